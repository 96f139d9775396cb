"""Building blocks: oscillators, envelopes, filters and a small room, in plain numpy.

Every generator of this package is a function ``(num_samples, rng) -> (T,) float64`` of any
scale; ``catalogue.render`` brings the result to float32 and to a level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

SAMPLE_RATE = 32_000
MAX_PEAK = 0.9
Waveform: TypeAlias = NDArray[np.float64]
Generator: TypeAlias = Callable[[int, np.random.Generator], Waveform]


def time_axis(num_samples: int) -> Waveform:
    """(T,) seconds at each sample."""
    return np.arange(num_samples) / SAMPLE_RATE


def phase_of(frequency_hz: ArrayLike, num_samples: int) -> Waveform:
    """(T,) radians of an oscillator whose frequency may change with time."""
    frequency = np.broadcast_to(np.asarray(frequency_hz, dtype=np.float64), (num_samples,))
    return 2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE


def sine(frequency_hz: ArrayLike, num_samples: int) -> Waveform:
    """(T,) sine of a fixed or gliding frequency."""
    return np.sin(phase_of(frequency_hz, num_samples))


def harmonic_tone(
    frequency_hz: ArrayLike, amplitudes: Sequence[float] | Waveform, num_samples: int
) -> Waveform:
    """(T,) sum of harmonics 1, 2, ...; those above the Nyquist frequency are left out."""
    frequency = np.broadcast_to(np.asarray(frequency_hz, dtype=np.float64), (num_samples,))
    phase = phase_of(frequency, num_samples)
    tone = np.zeros(num_samples)
    for order, amplitude in enumerate(amplitudes, start=1):
        tone += amplitude * np.sin(order * phase) * (order * frequency < 0.48 * SAMPLE_RATE)
    return tone


def square_spectrum(num_harmonics: int) -> Waveform:
    """Amplitudes 1, 0, 1/3, 0, 1/5, ... of a square wave."""
    orders = np.arange(1, num_harmonics + 1)
    return np.where(orders % 2 == 1, 1.0 / orders, 0.0)


def ramps(gate: Waveform, ramp_seconds: float = 0.005) -> Waveform:
    """Rounds the corners of a 0/1 envelope, so that switching does not click."""
    length = max(1, round(ramp_seconds * SAMPLE_RATE))
    window = np.hanning(length + 2)[1:-1]
    return convolve(gate, window / window.sum(), len(gate))


def cadence(
    num_samples: int, pattern_seconds: Sequence[float], start_seconds: float = 0.0
) -> Waveform:
    """(T,) envelope that repeats on, off, on, off, ... for the seconds given."""
    edges = np.cumsum(pattern_seconds)
    position = np.mod(time_axis(num_samples) + start_seconds, edges[-1])
    index = np.searchsorted(edges, position, side="right")
    return ramps((index % 2 == 0).astype(np.float64))


def decay(num_samples: int, decay_seconds: float) -> Waveform:
    """(T,) exponential that falls by 60 dB in ``decay_seconds``."""
    return np.exp(-6.908 * time_axis(num_samples) / decay_seconds)


def convolve(waveform: Waveform, response: Waveform, num_samples: int) -> Waveform:
    """Linear convolution by FFT, cut to ``num_samples``."""
    size = len(waveform) + len(response) - 1
    size = 1 << (size - 1).bit_length()
    product = np.fft.rfft(waveform, size) * np.fft.rfft(response, size)
    return np.fft.irfft(product, size)[:num_samples]


def band_pass(
    waveform: Waveform, low_hz: float = 0.0, high_hz: float = np.inf, order: int = 2
) -> Waveform:
    """Zero-phase filter with the magnitude of a Butterworth band-pass."""
    frequency = np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE)
    gain = 1 / np.sqrt(1 + (frequency / high_hz) ** (2 * order))
    if low_hz > 0:
        gain *= 1 / np.sqrt(1 + (low_hz / np.maximum(frequency, 1e-3)) ** (2 * order))
    return np.fft.irfft(np.fft.rfft(waveform) * gain, len(waveform))


def coloured_noise(num_samples: int, exponent: float, rng: np.random.Generator) -> Waveform:
    """(T,) noise of power density 1/f**exponent above 20 Hz: 0 white, 1 pink, 2 brown."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequency = np.maximum(np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE), 20.0)
    noise = np.fft.irfft(spectrum * frequency ** (-exponent / 2), num_samples)
    return noise / (float(noise.std()) + 1e-12)


def drift(num_samples: int, rate_hz: float, rng: np.random.Generator) -> Waveform:
    """(T,) slow random control in [0, 1] with about ``rate_hz`` turns a second."""
    num_knots = max(4, int(num_samples / SAMPLE_RATE * rate_hz) + 4)
    position = np.linspace(0, num_knots - 1.001, num_samples)
    index = position.astype(int)
    blend = 0.5 - 0.5 * np.cos(np.pi * (position - index))
    knots: Waveform = rng.random(num_knots + 1)
    bridged: Waveform = knots[index] * (1 - blend) + knots[index + 1] * blend
    return bridged


def impulses(num_samples: int, at_seconds: ArrayLike, amplitudes: ArrayLike = 1.0) -> Waveform:
    """(T,) zeros with single-sample pulses; those outside the clip are dropped."""
    index = np.round(np.atleast_1d(at_seconds) * SAMPLE_RATE).astype(int)
    values = np.broadcast_to(np.asarray(amplitudes, dtype=np.float64), index.shape)
    inside = (index >= 0) & (index < num_samples)
    train = np.zeros(num_samples)
    np.add.at(train, index[inside], values[inside])
    return train


def add_at(target: Waveform, part: Waveform, start: int) -> None:
    """Adds ``part`` into ``target`` from sample ``start`` on, cut at the end."""
    stop = min(len(target), start + len(part))
    if start < stop:
        target[start:stop] += part[: stop - start]


def room(
    waveform: Waveform, decay_seconds: float, wet: float, rng: np.random.Generator
) -> Waveform:
    """Adds the reverberation of a small room: exponentially decaying, darkening noise."""
    num_samples = round(decay_seconds * SAMPLE_RATE)
    tail = rng.standard_normal(num_samples) * decay(num_samples, decay_seconds)
    tail = band_pass(tail, 150.0, 4500.0, order=1)
    delay_samples = round(rng.uniform(0.002, 0.012) * SAMPLE_RATE)
    tail = np.concatenate([np.zeros(delay_samples), tail / np.sqrt(np.sum(tail**2))])
    return waveform + wet * convolve(waveform, tail, len(waveform))


def normalised(waveform: Waveform, peak: float = 1.0) -> Waveform:
    """Scales to the given absolute peak; silence stays silence."""
    largest = np.max(np.abs(waveform), initial=0.0)
    return waveform * (peak / largest) if largest > 0 else waveform


def levelled(waveform: Waveform, rng: np.random.Generator) -> NDArray[np.float32]:
    """(T,) float32 with a peak from 0.1 to 0.9 that starts and ends without a click."""
    num_samples = len(waveform)
    edge = round(0.005 * SAMPLE_RATE)
    if num_samples > 4 * edge:
        inside = np.ones(num_samples)
        inside[:edge] = inside[-edge:] = 0.0
        waveform = waveform * ramps(inside)
    peak = MAX_PEAK * 10 ** rng.uniform(-0.95, 0.0)
    return normalised(waveform, peak).astype(np.float32)
