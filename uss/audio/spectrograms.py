"""Spectrograms of waveforms that are too long to keep."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uss.core.arrays import Float32, Floats, Indexes

_FRAME_SECONDS = 0.032
_MIN_FRAME_SAMPLES = 64
# Of all channels; 2 MiB of single precision.
_VALUES_AT_ONCE = 2**19
_HIGHEST_AMPLITUDE = 100.0
_LOWEST_POWER = 1e-12


class Spectrogram:
    """Highest power of each band in equal columns of time.

    Every sample counts, so that a click shows in an hour too; memory does not depend on duration.
    Frames of about 32 ms (Hann) begin at most half of that apart. Bands are equally wide on the mel
    scale (O'Shaughnessy 1987); one that is narrower than the frames resolve has the power at its
    place. The channels' powers are averaged: phases do not cancel.

    Args:
        sample_rate: in Hz.
        num_samples: T of the whole waveform.
        max_columns: N at most; a short waveform has fewer.
        num_bands: B, from 0 Hz to half the sample rate.
    """

    def __init__(
        self, sample_rate: int, num_samples: int, max_columns: int, num_bands: int
    ) -> None:
        exponent = round(np.log2(_FRAME_SECONDS * sample_rate))
        self._frame = max(2**exponent, _MIN_FRAME_SAMPLES)
        self._num_samples = num_samples
        finest = self._frame // 16
        num_columns = max(1, min(max_columns, num_samples // finest))
        self._hop = max(1, min(self._frame // 2, num_samples // num_columns))
        self._window = np.hanning(self._frame + 1)[:-1].astype(np.float32)
        self._bins = _first_bins(sample_rate, self._frame, num_bands)
        self._power = np.zeros((num_columns, num_bands), np.float32)
        # The middle of the first frame is the first sample.
        self._kept: Float32 | None = None
        self._next_frame = 0

    def add(self, waveform: Floats) -> None:
        """Append (C, n) samples."""
        if self._kept is None:
            self._kept = np.zeros((waveform.shape[0], self._frame // 2), np.float32)
        samples = np.concatenate([self._kept, waveform.astype(np.float32)], axis=1)
        count = (samples.shape[1] - self._frame) // self._hop + 1
        at_once = max(1, _VALUES_AT_ONCE // (samples.shape[0] * self._frame))
        for first in range(0, count, at_once):
            last = min(first + at_once, count)
            end = (last - 1) * self._hop + self._frame
            self._add_frames(samples[:, first * self._hop : end], last - first)
        self._kept = samples[:, max(count, 0) * self._hop :]

    def finish(self) -> None:
        """Take in the last samples, once all are added."""
        if self._kept is not None:
            self.add(np.zeros((self._kept.shape[0], self._frame // 2), np.float32))

    @property
    def half_decibels(self) -> NDArray[np.uint8]:
        """(B, N) twice the level in dB above -120 dB; 0 dB is a sine at full scale."""
        levels = 10.0 * np.log10(np.maximum(self._power.T, _LOWEST_POWER))
        return np.clip(np.round(2.0 * (levels + 120.0)), 0, 255).astype(np.uint8)

    def _add_frames(self, samples: Float32, count: int) -> None:
        """Take in (C, n) samples, which are whole frames."""
        centres = np.arange(self._next_frame, self._next_frame + count) * self._hop
        self._next_frame += count
        # Stems are mostly silent.
        if not samples.any():
            return
        columns = np.minimum(centres * len(self._power) // self._num_samples, len(self._power) - 1)
        frames = np.lib.stride_tricks.sliding_window_view(samples, self._frame, axis=1)
        spectra = np.fft.rfft(frames[:, :: self._hop] * self._window, axis=2)
        amplitudes = np.abs(spectra) * (2.0 / self._window.sum())
        # Damaged floats may be as large as floats are.
        amplitudes = np.minimum(amplitudes, _HIGHEST_AMPLITUDE).astype(np.float32)
        power = np.square(amplitudes).mean(axis=0)
        bands = np.maximum.reduceat(power, self._bins, axis=1)
        np.maximum.at(self._power, columns, bands)


def _first_bins(sample_rate: int, frame_samples: int, num_bands: int) -> Indexes:
    """(B,) the lowest bin of each band; where bands are narrow, several have the same."""
    highest = _mel(np.array(sample_rate / 2.0))
    edges_mel = np.linspace(0.0, highest, num_bands, endpoint=False)
    edges_hz = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    return np.floor(edges_hz * frame_samples / sample_rate).astype(np.int64)


def _mel(frequencies_hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2595.0 * np.log10(1.0 + frequencies_hz / 700.0)
