import math

import numpy as np
import pytest
import torch

from uss.hearing.mel import LogMel, PannsLogMel, SpecAugment, mel_filterbank, slaney_filterbank


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


@pytest.mark.parametrize("front_end", [LogMel(), PannsLogMel()])
def test_front_ends_stay_in_float32_under_autocast(front_end: LogMel | PannsLogMel) -> None:
    waveform = torch.rand(1, 32_000, generator=torch.Generator().manual_seed(0)) - 0.5
    expected = front_end(waveform)
    with torch.autocast("cpu", torch.bfloat16):
        image = front_end(waveform)
    assert image.dtype == torch.float32
    assert torch.equal(image, expected)


def test_front_end_stores_nothing() -> None:
    assert not LogMel().state_dict()


@pytest.mark.parametrize(
    ("num_bands", "low_hz", "high_hz"), [(64, 50.0, 14_000.0), (128, 0.0, 16_000.0), (8, 50, 900)]
)
def test_slaney_filterbank_is_librosa_s(num_bands: int, low_hz: float, high_hz: float) -> None:
    librosa = pytest.importorskip("librosa")
    expected = librosa.filters.mel(
        sr=32_000, n_fft=1024, n_mels=num_bands, fmin=low_hz, fmax=high_hz
    )
    filters = slaney_filterbank(num_bands, 1024, 32_000, low_hz, high_hz)
    assert filters.shape == (num_bands, 513)
    np.testing.assert_allclose(filters.numpy(), expected, atol=1e-8, rtol=1e-5)


def test_slaney_corners_lie_on_the_linear_part() -> None:
    """Up to 1 kHz the corners are equally spaced in Hz: 8 bands from 100 Hz to 1 kHz."""
    filters = slaney_filterbank(8, 1024, 32_000, 100.0, 1_000.0).numpy()
    for band in range(8):
        centre_hz = 100.0 * (band + 2)
        height = np.maximum(0.0, 1.0 - np.abs(np.arange(513) * 31.25 - centre_hz) / 100.0)
        np.testing.assert_allclose(filters[band], height / 100.0, atol=1e-8)


def test_panns_logmel_of_silence_is_the_floor() -> None:
    image = PannsLogMel()(torch.zeros(2, 32_000))
    torch.testing.assert_close(image, torch.full((2, 64, 101), -100.0))


def test_panns_logmel_is_in_decibels() -> None:
    logmel = PannsLogMel()
    loud = 0.1 * torch.randn(1, 32_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(logmel(0.1 * loud), logmel(loud) - 20.0, atol=1e-3, rtol=0.0)


def test_panns_logmel_frames_are_centred_at_hundredths_of_a_second() -> None:
    click = torch.zeros(1, 32_000)
    click[0, 16_000] = 1.0
    image = PannsLogMel()(click)[0]
    assert image.shape == (64, 101)
    assert int(image.sum(dim=0).argmax()) == 50
    torch.testing.assert_close(image[:, 49], image[:, 51], atol=1e-2, rtol=0.0)


def test_panns_front_end_stores_nothing() -> None:
    assert not PannsLogMel().state_dict()


def test_spec_augment_leaves_evaluation_alone() -> None:
    image = torch.ones(2, 64, 200)
    assert SpecAugment().eval()(image) is image


@pytest.mark.parametrize("num_frames", [1, 10, 64, 1001])
def test_spec_augment_drops_up_to_two_stripes_each_way(num_frames: int) -> None:
    torch.manual_seed(0)
    image = torch.ones(50, 64, num_frames)
    dropped = SpecAugment()(image) == 0.0
    assert (image == 1.0).all()
    bands, frames = dropped.all(dim=2), dropped.all(dim=1)
    assert torch.equal(dropped, bands[:, :, None] | frames[:, None, :])
    if num_frames > 2 * 63:
        assert 1 <= int(bands.sum(dim=1).max()) <= 2 * 7
        assert 1 <= int(frames.sum(dim=1).max()) <= 2 * 63
        assert len({tuple(row.tolist()) for row in frames}) > 25
