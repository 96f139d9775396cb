import math

import numpy as np
import pytest
import torch

from uss.taggers.mel import LogMel, mel_filterbank


def mel(frequency_hz: float) -> float:
    return 1127.0 * math.log(1.0 + frequency_hz / 700.0)


def triangle_height(band: int, bin_index: int) -> float:
    """Filter ``band`` of 128 from 0 to 15 kHz at an FFT bin, by similar triangles."""
    spacing = mel(15_000.0) / 129
    centre = (band + 1) * spacing
    return max(0.0, 1.0 - abs(mel(bin_index * 31.25) - centre) / spacing)


def test_filterbank_agrees_with_triangles_drawn_by_hand() -> None:
    filters = mel_filterbank(128, 1024, 32_000, 0.0, 15_000.0)
    assert filters.shape == (128, 513)
    for band, bin_index in [(0, 0), (0, 1), (1, 1), (5, 5), (64, 104), (64, 105), (127, 475)]:
        expected = triangle_height(band, bin_index)
        assert float(filters[band, bin_index]) == pytest.approx(expected, abs=1e-6)
    expected = [[triangle_height(b, k) for k in range(512)] for b in range(128)]
    np.testing.assert_allclose(filters[:, :512].numpy(), expected, atol=2e-6)


def test_filterbank_weights_lie_in_0_to_1_and_sum_to_one_between_the_outer_centres() -> None:
    filters = mel_filterbank(128, 1024, 32_000, 0.0, 15_000.0).numpy()
    assert filters.min() == 0.0
    assert filters.max() <= 1.0
    spacing = mel(15_000.0) / 129
    inside = [k for k in range(512) if spacing <= mel(k * 31.25) <= 128 * spacing]
    np.testing.assert_allclose(filters[:, inside].sum(axis=0), 1.0, atol=1e-6)


def test_filterbank_ignores_the_nyquist_bin_and_everything_above_the_highest_edge() -> None:
    filters = mel_filterbank(128, 1024, 32_000, 0.0, 15_000.0)
    assert not filters[:, 512].any()
    assert not filters[:, 480:].any()


def test_logmel_of_silence_is_the_floor() -> None:
    image = LogMel()(torch.zeros(2, 32_000))
    assert image.shape == (2, 128, 100)
    torch.testing.assert_close(image, torch.full_like(image, (math.log(1e-5) + 4.5) / 5.0))


def test_logmel_of_a_tone_peaks_in_the_band_around_its_frequency() -> None:
    frequency_hz = 2_000.0
    tone = torch.sin(2.0 * math.pi * frequency_hz * torch.arange(32_000) / 32_000)
    loudest = int(LogMel()(tone[None])[0, :, 50].argmax())
    assert loudest == round(mel(frequency_hz) / (mel(15_000.0) / 129)) - 1


@pytest.mark.parametrize(("seconds", "num_frames"), [(1, 100), (5, 500), (10, 1000)])
def test_logmel_gives_a_hundred_frames_per_second(seconds: int, num_frames: int) -> None:
    assert LogMel()(torch.zeros(1, seconds * 32_000)).shape == (1, 128, num_frames)


def test_front_end_stores_nothing() -> None:
    assert not LogMel().state_dict()
