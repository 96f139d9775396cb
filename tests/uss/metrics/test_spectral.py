import math

import numpy as np
import pytest
import scipy.signal

from uss.metrics.spectral import log_spectral_distance

RATE = 16_000


def noise(seed: int, channels: int = 1, seconds: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal((channels, round(seconds * RATE)))).astype(np.float32)


def by_scipy(reference: np.ndarray, estimate: np.ndarray) -> float:
    """ssr_eval's formula on scipy's windows, of one channel."""
    size, hop = int(2048 / (44_100 / RATE)), RATE // 100
    window = scipy.signal.get_window("hann", size)

    def magnitudes(waveform: np.ndarray) -> np.ndarray:
        padded = np.pad(waveform.astype(np.float64), size // 2)
        starts = range(0, len(padded) - size + 1, hop)
        return np.abs([np.fft.rfft(window * padded[start : start + size]) for start in starts])

    ratios = np.log10(magnitudes(reference) ** 2 / (magnitudes(estimate) + 1e-12) ** 2 + 1e-12)
    return float(np.mean(np.sqrt(np.mean(ratios**2, axis=1))))


def test_it_is_the_published_one() -> None:
    reference, estimate = noise(0), noise(0) + 0.3 * noise(1)
    expected = by_scipy(reference[0], estimate[0])
    assert log_spectral_distance(reference, estimate, RATE) == pytest.approx(expected, abs=1e-3)


def test_a_gain_is_its_decades_of_power() -> None:
    reference = noise(0)
    louder = (10.0 ** (10.0 / 20.0)) * reference
    assert log_spectral_distance(reference, louder, RATE) == pytest.approx(1.0, abs=1e-3)
    assert log_spectral_distance(reference, reference, RATE) == 0.0


def test_phases_do_not_count() -> None:
    """A delay of a millisecond is far in SDR, and next to nothing here; other noise is far."""
    reference = noise(0)
    late = np.roll(reference, RATE // 1000, axis=1)
    assert log_spectral_distance(reference, late, RATE) < 0.3
    assert log_spectral_distance(reference, noise(1), RATE) > 0.7


def test_what_nobody_hears_does_not_decide() -> None:
    reference = noise(0)
    reference[:, RATE // 2 :] = 0.0
    hum = reference + 1e-6 * noise(1)
    assert log_spectral_distance(reference, hum, RATE) < 0.01


def test_channels_are_averaged() -> None:
    reference = noise(0, channels=2)
    estimate = reference * np.array([[1.0], [math.sqrt(10.0)]], np.float32)
    assert log_spectral_distance(reference, estimate, RATE) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("num_samples", [1, 10, 500])
def test_short_sounds_have_one(num_samples: int) -> None:
    reference = 10.0 * noise(0)[:, :num_samples]
    assert log_spectral_distance(reference, 0.1 * reference, RATE) > 0.5


def test_a_silent_reference_is_undefined() -> None:
    assert math.isnan(log_spectral_distance(np.zeros((1, RATE)), noise(0), RATE))


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="give equal ones of channels and samples"):
        log_spectral_distance(noise(0), noise(0, channels=2), RATE)
