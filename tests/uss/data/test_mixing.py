from pathlib import Path

import numpy as np
import pytest
import torch

from uss.data.mixing import energy_matching_gain, mix_neighbours


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


def test_mixture_is_the_segment_plus_gain_times_the_next_one_cyclically() -> None:
    segments = torch.tensor([[3.0, 4.0], [0.0, 10.0], [2.5, 0.0]])
    expected = torch.tensor([[3.0, 4.0 + 5.0], [10.0, 10.0], [2.5 + 1.5, 2.0]])
    torch.testing.assert_close(mix_neighbours(segments), expected)


def test_both_sources_of_a_mixture_have_equal_energy(rng: np.random.Generator) -> None:
    levels = np.array([[0.5], [0.02], [0.3], [0.1]])
    segments = torch.from_numpy(rng.standard_normal((4, 1000)) * levels)
    others = mix_neighbours(segments) - segments
    torch.testing.assert_close(others.square().sum(dim=1), segments.square().sum(dim=1))


def test_gain_is_clamped() -> None:
    quiet, loud = torch.full((10,), 1e-4), torch.full((10,), 1.0)
    assert float(energy_matching_gain(quiet, loud)) == pytest.approx(0.02)
    assert float(energy_matching_gain(loud, quiet)) == pytest.approx(50.0)


def test_silence_is_mixed_without_infinities() -> None:
    silence, tone = torch.zeros(8), torch.ones(8)
    assert float(energy_matching_gain(silence, silence)) == 1.0
    assert float(energy_matching_gain(silence, tone)) == pytest.approx(0.02)
    mixtures = mix_neighbours(torch.stack([silence, tone, silence, silence]))
    expected = torch.stack([0.02 * tone, tone, silence, silence])
    torch.testing.assert_close(mixtures, expected)


def test_gain_has_one_value_per_leading_index() -> None:
    assert energy_matching_gain(torch.ones(2, 3, 7), torch.ones(2, 3, 7)).shape == (2, 3)


def test_one_sample() -> None:
    mixtures = mix_neighbours(torch.tensor([[0.5], [-0.25], [0.1]]))
    torch.testing.assert_close(mixtures, torch.tensor([[0.0], [0.0], [0.2]]))
