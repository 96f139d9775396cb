"""Resampling with gradients, against tones and against soxr."""

import math

import numpy as np
import pytest
import torch

from uss.audio import resample
from uss.hearing.sinc_resampling import sinc_resample


def tone(frequency: float, rate: int, num_samples: int) -> torch.Tensor:
    return torch.sin(2 * math.pi * frequency * torch.arange(num_samples) / rate)[None]


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(16_000, 48_000), (32_000, 48_000), (32_000, 16_000), (44_100, 32_000)]
)
def test_a_tone_stays_the_tone_it_was(from_hz: int, to_hz: int) -> None:
    made = sinc_resample(tone(1_000.0, from_hz, 4_000), from_hz, to_hz)
    assert made.shape == (1, math.ceil(4_000 * to_hz / from_hz))
    expected = tone(1_000.0, to_hz, made.shape[1])
    inside = slice(200, -200)
    torch.testing.assert_close(made[:, inside], expected[:, inside], atol=2e-3, rtol=0.0)


def test_what_the_lower_rate_cannot_hold_is_gone() -> None:
    made = sinc_resample(tone(12_000.0, 32_000, 4_000), 32_000, 16_000)
    assert made[:, 100:-100].abs().max() < 0.02


def test_it_is_nearly_what_files_are_resampled_by(rng: np.random.Generator) -> None:
    # Below 2 kHz, where both filters let everything through.
    slow = rng.standard_normal((2, 1_000)).astype(np.float32)
    slow = resample(resample(slow, 8_000, 4_000), 4_000, 8_000)
    made = sinc_resample(torch.from_numpy(slow), 8_000, 48_000).numpy()
    expected = resample(slow, 8_000, 48_000)
    inside = slice(500, -500)
    np.testing.assert_allclose(made[:, inside], expected[:, inside], atol=0.05)


def test_equal_rates_change_nothing_and_axes_stay() -> None:
    waveform = torch.randn(2, 3, 50, generator=torch.Generator().manual_seed(0))
    assert sinc_resample(waveform, 16_000, 16_000) is waveform
    assert sinc_resample(waveform, 16_000, 48_000).shape == (2, 3, 150)
    assert sinc_resample(waveform[..., :1], 48_000, 16_000).shape == (2, 3, 1)


def test_gradients_flow_through() -> None:
    waveform = torch.randn(1, 40, generator=torch.Generator().manual_seed(0)).double()
    waveform.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: sinc_resample(x, 2, 3), (waveform,))


@pytest.mark.parametrize("rate", [0, -1, 0.5])
def test_a_rate_that_is_none_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="sample rate"):
        sinc_resample(torch.zeros(1, 10), 16_000, rate)  # type: ignore[arg-type]
