from pathlib import Path

import numpy as np
import pytest
import torch

from uss.data.mixing import Augmentation, draw_gains, energy_matching_gain, mix_sources

ONE = torch.ones(8, dtype=torch.int64)


def ring(segments: torch.Tensor, num_sources: int) -> torch.Tensor:
    """(B, J, T): every segment with the ones after it, cyclically."""
    return torch.stack([segments.roll(-shift, dims=0) for shift in range(num_sources)], dim=1)


@pytest.fixture
def rows() -> torch.Tensor:
    """The input of the published gains: four rows of noise whose levels differ widely."""
    noise = np.random.Generator(np.random.PCG64(11)).standard_normal((4, 64_000))
    scale = np.array([1.0, 0.1, 3.0, 0.001], np.float32)
    return torch.from_numpy(noise.astype(np.float32) * scale[:, None])


def test_gains_equal_the_published_ones(rows: torch.Tensor, shared: Path) -> None:
    expected = np.load(shared / "parity" / "mixer.npz")["gain"]
    gain = energy_matching_gain(rows, rows.roll(-1, dims=0))
    np.testing.assert_allclose(gain.numpy(), expected, rtol=1e-5)
    sources = ring(rows, 2)
    others = mix_sources(sources, ONE[:4]).mixture - rows
    expected_others = torch.from_numpy(expected).float().reshape(4, 1) * sources[:, 1]
    # What is left of a sum of loud and quiet in float32.
    torch.testing.assert_close(others, expected_others, rtol=1e-3, atol=1e-5)


def test_mixture_is_the_segment_plus_gain_times_the_next_one_cyclically() -> None:
    segments = torch.tensor([[3.0, 4.0], [0.0, 10.0], [2.5, 0.0]])
    expected = torch.tensor([[3.0, 4.0 + 5.0], [10.0, 10.0], [2.5 + 1.5, 2.0]])
    mixture, target = mix_sources(ring(segments, 2), ONE[:3])
    torch.testing.assert_close(mixture, expected)
    assert torch.equal(target, segments)


def test_both_sources_of_a_mixture_have_equal_energy(rng: np.random.Generator) -> None:
    levels = np.array([[0.5], [0.02], [0.3], [0.1]])
    segments = torch.from_numpy(rng.standard_normal((4, 1000)) * levels)
    others = mix_sources(ring(segments, 2), ONE[:4]).mixture - segments
    torch.testing.assert_close(others.square().sum(dim=1), segments.square().sum(dim=1))


def test_gain_is_clamped() -> None:
    quiet, loud = torch.full((10,), 1e-4), torch.full((10,), 1.0)
    assert float(energy_matching_gain(quiet, loud)) == pytest.approx(0.02)
    assert float(energy_matching_gain(loud, quiet)) == pytest.approx(50.0)


def test_silence_is_mixed_without_infinities() -> None:
    silence, tone = torch.zeros(8), torch.ones(8)
    assert float(energy_matching_gain(silence, silence)) == 1.0
    assert float(energy_matching_gain(silence, tone)) == pytest.approx(0.02)
    segments = torch.stack([silence, tone, silence, silence])
    mixtures = mix_sources(ring(segments, 2), ONE[:4]).mixture
    expected = torch.stack([0.02 * tone, tone, silence, silence])
    torch.testing.assert_close(mixtures, expected)


def test_gain_has_one_value_per_leading_index() -> None:
    assert energy_matching_gain(torch.ones(2, 3, 7), torch.ones(2, 3, 7)).shape == (2, 3)


def test_one_sample() -> None:
    mixtures = mix_sources(ring(torch.tensor([[0.5], [-0.25], [0.1]]), 2), ONE[:3]).mixture
    torch.testing.assert_close(mixtures, torch.tensor([[0.0], [0.0], [0.2]]))


# Energies 25, 100, 6.25 and 400: the gains on the first are 1/2, 2 and 1/4.
SOURCES = torch.tensor([[3.0, 4.0], [0.0, 10.0], [2.5, 0.0], [-12.0, 16.0]])
SCALED = torch.tensor([[3.0, 4.0], [0.0, 5.0], [5.0, 0.0], [-3.0, 4.0]])


@pytest.mark.parametrize(
    ("num_sources", "num_targets", "mixture", "target"),
    [
        (2, 1, [3.0, 9.0], [3.0, 4.0]),
        (3, 1, [8.0, 9.0], [3.0, 4.0]),
        (3, 2, [8.0, 9.0], [3.0, 9.0]),
        (4, 1, [5.0, 13.0], [3.0, 4.0]),
        (4, 2, [5.0, 13.0], [3.0, 9.0]),
        (4, 3, [5.0, 13.0], [8.0, 9.0]),
    ],
)
def test_every_added_source_has_the_energy_of_the_first(
    num_sources: int, num_targets: int, mixture: list[float], target: list[float]
) -> None:
    mixed = mix_sources(SOURCES[None, :num_sources], torch.tensor([num_targets]))
    torch.testing.assert_close(mixed.mixture, torch.tensor([mixture]))
    torch.testing.assert_close(mixed.target, torch.tensor([target]))


def test_mixtures_of_a_batch_have_each_their_number_of_targets() -> None:
    sources = SOURCES.expand(3, 4, 2)
    mixture, target = mix_sources(sources, torch.tensor([3, 1, 2]))
    torch.testing.assert_close(mixture, SCALED.sum(dim=0).expand(3, 2))
    torch.testing.assert_close(target, torch.tensor([[8.0, 9.0], [3.0, 4.0], [3.0, 9.0]]))


def test_without_augmentation_the_sources_stay_as_they_are() -> None:
    mixture, target = mix_sources(SOURCES[None], torch.tensor([2]), "none")
    torch.testing.assert_close(mixture, torch.tensor([[-6.5, 30.0]]))
    torch.testing.assert_close(target, torch.tensor([[3.0, 14.0]]))


def gains_of(
    augmentation: Augmentation, sources: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    return torch.from_numpy(draw_gains(augmentation, *sources.shape[:2], rng))


@pytest.mark.parametrize("augmentation", ["match-energy", "none"])
def test_where_nothing_is_random_nothing_is_drawn(
    augmentation: Augmentation, rng: np.random.Generator
) -> None:
    before = rng.bit_generator.state
    assert draw_gains(augmentation, 2, 3, rng).tolist() == [[1.0] * 3] * 2
    assert rng.bit_generator.state == before


def test_random_gains_lie_within_20_db_and_reach_the_bounds(rng: np.random.Generator) -> None:
    # Each source sounds at a time of its own, so that a mixture shows every gain.
    sources = torch.eye(3).expand(2000, 3, 3)
    gains = gains_of("random-gain", sources, rng)
    mixture, target = mix_sources(sources, torch.full((2000,), 2), "random-gain", gains)
    torch.testing.assert_close(target, mixture * torch.tensor([1.0, 1.0, 0.0]))
    gain_db = 20.0 * torch.log10(mixture)
    assert float(gain_db.abs().max()) <= 20.0 + 1e-4
    for source in range(3):
        counts = torch.histc(gain_db[:, source], bins=10, min=-20.0, max=20.0)
        # Chi-square with 9 degrees of freedom exceeds 27.9 once in a thousand.
        assert float(((counts - 200.0).square() / 200.0).sum()) < 27.9
    correlation = np.corrcoef(gain_db.numpy().T) - np.eye(3)
    assert np.abs(correlation).max() < 0.1


def test_random_gains_are_those_of_the_generator() -> None:
    sources = torch.ones(2, 2, 5)
    first, again, other = (
        mix_sources(
            sources,
            ONE[:2],
            "random-gain",
            gains_of("random-gain", sources, np.random.default_rng(seed)),
        ).mixture
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.dtype == torch.float32


def test_random_snrs_set_the_others_around_the_energy_of_the_first(
    rng: np.random.Generator,
) -> None:
    sources = torch.from_numpy(rng.standard_normal((2_000, 2, 50)))
    sources[:, 1] *= 0.3
    gains = gains_of("random-snr", sources, rng)
    mixture, target = mix_sources(
        sources, torch.ones(2_000, dtype=torch.int64), "random-snr", gains
    )
    assert torch.equal(target, sources[:, 0])
    energies = (each.square().sum(dim=1) for each in (target, mixture - target))
    snr_db = 10.0 * torch.log10(torch.div(*energies))
    assert float(snr_db.abs().max()) <= 15.0 + 1e-4
    counts = torch.histc(snr_db, bins=10, min=-15.0, max=15.0)
    # Chi-square with 9 degrees of freedom exceeds 27.9 once in a thousand.
    assert float(((counts - 200.0).square() / 200.0).sum()) < 27.9
    with pytest.raises(ValueError, match="the gains of random-snr are drawn"):
        mix_sources(SOURCES[None], ONE[:1], "random-snr")


def test_bad_augmentations_are_named() -> None:
    with pytest.raises(ValueError, match="'loud'; choose one of match-energy, none, random-gain"):
        mix_sources(SOURCES[None], ONE[:1], "loud")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pass those of draw_gains"):
        mix_sources(SOURCES[None], ONE[:1], "random-gain")


def test_loudness_sets_others_to_whole_decibels_around_the_first(
    rng: np.random.Generator,
) -> None:
    sources = 0.001 * torch.from_numpy(rng.standard_normal((2_000, 2, 50)))
    gains = gains_of("loudness", sources, rng)
    mixture, target = mix_sources(sources, torch.ones(2_000, dtype=torch.int64), "loudness", gains)
    # Nothing clips, so the first stays as it is.
    assert torch.equal(target, sources[:, 0])
    ratio = (mixture - target).square().sum(dim=1) / target.square().sum(dim=1)
    gain_db = 10.0 * torch.log10(ratio)
    torch.testing.assert_close(gain_db, gain_db.round(), atol=1e-6, rtol=0.0)
    assert set(gain_db.round().int().tolist()) == set(range(-10, 11))


def test_loudness_of_several_others_is_that_of_their_sum(rng: np.random.Generator) -> None:
    sources = 0.001 * torch.from_numpy(rng.standard_normal((50, 4, 200)))
    gains = gains_of("loudness", sources, rng)
    mixture, target = mix_sources(sources, torch.ones(50, dtype=torch.int64), "loudness", gains)
    ratio = (mixture - target).square().sum(dim=1) / target.square().sum(dim=1)
    gain_db = 10.0 * torch.log10(ratio)
    torch.testing.assert_close(gain_db, gain_db.round(), atol=1e-6, rtol=0.0)


def test_loudness_brings_what_would_clip_to_a_peak_below(rng: np.random.Generator) -> None:
    sources = torch.from_numpy(rng.standard_normal((30, 2, 100)))
    gains = gains_of("loudness", sources, rng)
    mixture, target = mix_sources(sources, torch.ones(30, dtype=torch.int64), "loudness", gains)
    torch.testing.assert_close(mixture.abs().amax(dim=1), torch.full((30,), 0.9).double())
    scale = target[:, :1] / sources[:, 0, :1]
    torch.testing.assert_close(target, scale * sources[:, 0])
    with pytest.raises(ValueError, match="gains of loudness are drawn"):
        mix_sources(sources, torch.ones(30, dtype=torch.int64), "loudness")
