from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from uss.core.arrays import Float32
from uss.separation.consistency import Combination, Family, share_remainder, suppress

SAMPLES = 6_000


def spectrum(rng: np.random.Generator, *shape: int) -> Tensor:
    values = rng.standard_normal((2, *shape)).astype(np.float32)
    return torch.complex(torch.from_numpy(values[0]), torch.from_numpy(values[1]))


def noise(rng: np.random.Generator, channels: int = 2, num_samples: int = SAMPLES) -> Float32:
    return rng.uniform(-0.5, 0.5, (channels, num_samples)).astype(np.float32)


def total(stems: Mapping[int, Float32]) -> Float32:
    return np.asarray(sum(stems.values()))


@pytest.mark.parametrize("num_parts", [1, 2, 5])
def test_parts_add_up_to_their_total(rng: np.random.Generator, num_parts: int) -> None:
    mixture = spectrum(rng, 2, 5, 7)
    parts = [3.0 * spectrum(rng, 2, 5, 7) for _ in range(num_parts)]
    shared = share_remainder(mixture, parts)
    assert len(shared) == num_parts
    torch.testing.assert_close(torch.stack(shared).sum(0), mixture, atol=1e-5, rtol=0.0)


def test_the_remainder_is_shared_by_energy() -> None:
    """Of 10 - (3 + 1) = 6, parts of energies 9 and 1 get nine tenths and one tenth."""
    mixture = torch.full((1, 1, 1), 10.0 + 0.0j)
    parts = [torch.full((1, 1, 1), 3.0 + 0.0j), torch.full((1, 1, 1), 0.0 + 1.0j)]
    first, second = share_remainder(mixture, parts)
    remainder = 10.0 - (3.0 + 1.0j)
    assert first.item() == pytest.approx(3.0 + 0.9 * remainder)
    assert second.item() == pytest.approx(1.0j + 0.1 * remainder)


def test_each_bin_and_channel_is_shared_on_its_own() -> None:
    mixture = torch.ones(1, 2, 1, dtype=torch.complex64)
    here, there = torch.tensor([[[0.5], [0.0]]]), torch.tensor([[[0.0], [0.25]]])
    first, second = share_remainder(mixture, [here + 0j, there + 0j])
    assert first.flatten().tolist() == pytest.approx([1.0, 0.0])
    assert second.flatten().tolist() == pytest.approx([0.0, 1.0])


def test_parts_that_are_all_silent_get_equal_shares() -> None:
    mixture = torch.full((2, 3, 4), 3.0 - 6.0j)
    shared = share_remainder(mixture, [torch.zeros_like(mixture)] * 3)
    for part in shared:
        torch.testing.assert_close(part, torch.full_like(part, 1.0 - 2.0j))


def test_parts_that_add_up_already_stay() -> None:
    parts = [torch.full((1, 2, 2), 1.0 + 1.0j), torch.full((1, 2, 2), 2.0 + 0.0j)]
    for before, after in zip(parts, share_remainder(parts[0] + parts[1], parts), strict=True):
        assert torch.equal(before, after)


def test_silence_is_shared_out_as_silence() -> None:
    silence = torch.zeros(1, 2, 2, dtype=torch.complex64)
    for part in share_remainder(silence, [silence, silence]):
        assert torch.equal(part, silence)


def test_suppression_is_wieners_by_energy() -> None:
    """A stem of energy 4 beside unwanted energies 3 and 9 keeps a quarter of its amplitude."""
    stem = torch.full((1, 1, 1), 2.0j)
    unwanted = [torch.full((1, 1, 1), 3.0**0.5 + 0.0j), torch.full((1, 1, 1), -3.0 + 0.0j)]
    assert suppress(stem, unwanted).item() == pytest.approx(0.5j)


def test_suppression_spares_what_is_not_there() -> None:
    stem = torch.full((1, 2, 2), 0.5 + 0.5j)
    silence = torch.zeros_like(stem)
    torch.testing.assert_close(suppress(stem, [silence]), stem)
    assert torch.equal(suppress(silence, [silence]), silence)


def test_a_plain_combination_hands_on_the_estimates_themselves(rng: np.random.Generator) -> None:
    combination = Combination(sources=(2, 0, 2))
    assert combination.is_plain
    estimates = {0: noise(rng), 2: noise(rng)}
    stems = combination(noise(rng), estimates)
    assert sorted(stems) == [0, 1, 2]
    assert stems[0] is estimates[2]
    assert stems[1] is estimates[0]
    assert stems[2] is estimates[2]


def test_stems_whose_request_is_not_active_are_left_out(rng: np.random.Generator) -> None:
    mixture, estimates = noise(rng), {1: noise(rng)}
    assert list(Combination((0, 1))(mixture, estimates)) == [1]
    assert Combination((0,))(mixture, estimates) == {}
    consistent = Combination((0,), [Family(None, (0,))], negatives=(1,))
    assert consistent(mixture, estimates) == {}


@pytest.mark.parametrize("num_samples", [1, 500, 2_048, 6_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_family_without_parent_adds_up_to_the_mixture(
    rng: np.random.Generator, channels: int, num_samples: int
) -> None:
    mixture = noise(rng, channels, num_samples)
    estimates = {row: noise(rng, channels, num_samples) for row in range(3)}
    combination = Combination((0, 1, 2), [Family(None, (0, 1, 2))])
    assert not combination.is_plain
    stems = combination(mixture, estimates)
    assert all(stem.shape == mixture.shape for stem in stems.values())
    assert all(stem.dtype == np.float32 for stem in stems.values())
    np.testing.assert_allclose(total(stems), mixture, atol=1e-6, rtol=0.0)


def test_an_only_child_gets_all(rng: np.random.Generator) -> None:
    mixture = noise(rng)
    for estimate in (noise(rng), np.zeros_like(mixture)):
        stems = Combination((0, 1), [Family(None, (0, 1))])(mixture, {1: estimate})
        assert list(stems) == [1]
        np.testing.assert_allclose(stems[1], mixture, atol=1e-6)


def test_each_sound_goes_to_the_stem_that_has_more_of_it() -> None:
    """Estimates with three quarters of one tone and a bit of another end with nearly all of it."""
    time = np.arange(SAMPLES) / 32_000
    low, high = (np.sin(2.0 * np.pi * hz * time)[None].astype(np.float32) for hz in (500, 5_000))
    estimates = {0: 0.75 * low + 0.05 * high, 1: 0.05 * low + 0.75 * high}
    stems = Combination((0, 1), [Family(None, (0, 1))])(low + high, estimates)
    for row, tone in ((0, low), (1, high)):
        before, after = (np.square(each[row] - tone).mean() for each in (estimates, stems))
        assert after < 0.2 * before


def test_children_add_up_to_their_parent(rng: np.random.Generator) -> None:
    """Of parents 0 and 1, the first has children 2 and 3, and 4 is the second's."""
    mixture, estimates = noise(rng), {row: noise(rng) for row in range(5)}
    families = [Family(None, (0, 1)), Family(0, (2, 3)), Family(1, (4,))]
    stems = Combination(tuple(range(5)), families)(mixture, estimates)
    np.testing.assert_allclose(stems[0] + stems[1], mixture, atol=1e-6)
    np.testing.assert_allclose(stems[2] + stems[3], stems[0], atol=1e-6)
    np.testing.assert_allclose(stems[4], stems[1], atol=1e-6)


def test_a_parent_without_active_children_stays(rng: np.random.Generator) -> None:
    mixture, estimates = noise(rng), {0: noise(rng), 1: noise(rng)}
    families = [Family(None, (0, 1)), Family(0, (2, 3))]
    stems = Combination(tuple(range(4)), families)(mixture, estimates)
    alone = Combination((0, 1), families[:1])(mixture, estimates)
    assert sorted(stems) == [0, 1]
    for row in (0, 1):
        np.testing.assert_array_equal(stems[row], alone[row])


def test_children_whose_parent_is_not_active_stay(rng: np.random.Generator) -> None:
    mixture, estimates = noise(rng), {1: noise(rng), 2: noise(rng)}
    families = [Family(None, (0, 1)), Family(0, (2,))]
    stems = Combination((0, 1, 2), families)(mixture, estimates)
    np.testing.assert_allclose(stems[1], mixture, atol=1e-6)
    np.testing.assert_allclose(stems[2], estimates[2], atol=1e-6)


def test_two_stems_of_one_request_may_be_of_different_families(rng: np.random.Generator) -> None:
    mixture, estimates = noise(rng), {0: noise(rng), 1: noise(rng)}
    families = [Family(None, (0,)), Family(None, (1, 2))]
    stems = Combination((0, 0, 1), families)(mixture, estimates)
    np.testing.assert_allclose(stems[0], mixture, atol=1e-6)
    np.testing.assert_allclose(stems[1] + stems[2], mixture, atol=1e-6)


def test_a_negative_takes_its_energy_out_of_every_stem(rng: np.random.Generator) -> None:
    """A stem that is half of what the negative is keeps 1/(1 + 4) of it."""
    unwanted = noise(rng)
    estimates = {0: 0.5 * unwanted, 1: noise(rng), 2: unwanted}
    stems = Combination((0, 1), negatives=(2,))(noise(rng), estimates)
    assert sorted(stems) == [0, 1]
    np.testing.assert_allclose(stems[0], 0.1 * unwanted, atol=1e-6)
    assert np.square(stems[1]).sum() < np.square(estimates[1]).sum()


def test_a_negative_that_is_not_active_takes_nothing(rng: np.random.Generator) -> None:
    estimates = {0: noise(rng)}
    stems = Combination((0,), negatives=(1,))(noise(rng), estimates)
    np.testing.assert_allclose(stems[0], estimates[0], atol=1e-6)


def test_negatives_are_not_in_the_total(rng: np.random.Generator) -> None:
    mixture, estimates = noise(rng), {row: noise(rng) for row in range(4)}
    combination = Combination((0, 1), [Family(None, (0, 1))], negatives=(2, 3))
    stems = combination(mixture, estimates)
    expected = mixture - estimates[2] - estimates[3]
    np.testing.assert_allclose(stems[0] + stems[1], expected, atol=2e-6)


def test_combining_changes_no_input(rng: np.random.Generator) -> None:
    mixture, estimates = noise(rng), {row: noise(rng) for row in range(3)}
    before = {row: estimate.copy() for row, estimate in estimates.items()}
    mixture_before = mixture.copy()
    Combination((0, 1), [Family(None, (0, 1))], negatives=(2,))(mixture, estimates)
    np.testing.assert_array_equal(mixture, mixture_before)
    for row, estimate in estimates.items():
        np.testing.assert_array_equal(estimate, before[row])
