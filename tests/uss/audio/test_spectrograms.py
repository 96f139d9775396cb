import tracemalloc

import numpy as np
import pytest

from uss.audio.spectrograms import Spectrogram

RATE = 16_000


def spectrogram_of(
    waveform: np.ndarray, block: int = RATE, rate: int = RATE, columns: int = 100, bands: int = 64
) -> np.ndarray:
    """Decibels, of a waveform given in blocks."""
    made = Spectrogram(rate, waveform.shape[1], columns, bands)
    for start in range(0, waveform.shape[1], block):
        made.add(waveform[:, start : start + block])
    made.finish()
    return made.half_decibels / 2.0 - 120.0


def sine(frequency_hz: float, seconds: float, amplitude: float = 1.0) -> np.ndarray:
    times = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.sin(2.0 * np.pi * frequency_hz * times)).astype(np.float32)[None]


@pytest.mark.parametrize(("frequency_hz", "amplitude"), [(1_000.0, 1.0), (4_000.0, 0.1)])
def test_a_sine_is_in_its_band_at_its_level(frequency_hz: float, amplitude: float) -> None:
    levels = spectrogram_of(sine(frequency_hz, 4.0, amplitude))
    assert levels.shape == (64, 100)
    mel = 2595.0 * np.log10(1.0 + frequency_hz / 700.0)
    highest_mel = 2595.0 * np.log10(1.0 + RATE / 2.0 / 700.0)
    middle = levels[:, 10:-10]
    assert set(middle.argmax(axis=0)) == {int(mel / highest_mel * 64)}
    # 1,000 Hz and 4,000 Hz are in the middle of a bin of the 512 point frames.
    np.testing.assert_allclose(middle.max(axis=0), 20.0 * np.log10(amplitude), atol=0.3)
    assert middle.min() < -100.0


def test_a_click_shows_in_its_column_alone() -> None:
    waveform = np.zeros((1, 100 * RATE), np.float32)
    waveform[0, round(42.5 * RATE)] = 1.0
    loud = spectrogram_of(waveform).max(axis=0) > -110.0
    assert np.flatnonzero(loud).tolist() == [42]


@pytest.mark.parametrize("seconds", [0.05, 0.7, 13.0])
def test_blocks_do_not_matter(seconds: float, rng: np.random.Generator) -> None:
    waveform = rng.standard_normal((2, round(seconds * RATE))).astype(np.float32)
    whole = spectrogram_of(waveform, block=waveform.shape[1])
    assert np.all(whole > -60.0)
    for block in (777, 16_000):
        np.testing.assert_allclose(spectrogram_of(waveform, block=block), whole, atol=0.5)


def test_channels_do_not_cancel() -> None:
    tone = sine(1_000.0, 1.0)
    opposite = spectrogram_of(np.concatenate([tone, -tone]))
    np.testing.assert_array_equal(opposite, spectrogram_of(np.concatenate([tone, tone])))


@pytest.mark.parametrize("num_samples", [1, 10, 63])
def test_a_few_samples_are_one_column(num_samples: int) -> None:
    levels = spectrogram_of(np.ones((1, num_samples), np.float32), rate=100)
    assert levels.shape[0] == 64 and levels.max() > -60.0


def test_many_channels_at_a_high_rate_take_little_memory() -> None:
    block = np.ones((16, 192_000), np.float32)
    tracemalloc.start()
    made = Spectrogram(192_000, 192_000, 100, 64)
    made.add(block)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The block three times over, and what is transformed of it at once.
    assert peak_bytes < 3 * block.nbytes + 40e6


def test_silence_is_the_lowest_level() -> None:
    assert set(np.unique(spectrogram_of(np.zeros((2, RATE), np.float32)))) == {-120.0}


def test_memory_does_not_grow_with_duration(rng: np.random.Generator) -> None:
    second = rng.standard_normal((1, RATE)).astype(np.float32)
    peaks = []
    for seconds in (30, 120):
        tracemalloc.start()
        made = Spectrogram(RATE, seconds * RATE, 100, 64)
        for _ in range(seconds):
            made.add(second)
        made.finish()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]
