"""What pictures and tables need of waveforms that are too long to keep."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from uss.core.arrays import Float32, Float64, Floats, Indexes, Waveform

_MAX_COLUMNS = 4096

FRAMES_PER_SECOND = 20
"""Of level curves: events begin and end at multiples of 50 ms."""


class Envelope:
    """Lowest and highest sample over all channels, in equal columns of time.

    When the columns are full, neighbours are merged, so memory does not depend on duration.

    Attributes:
        sample_rate: in Hz.
        samples_per_column: grows in powers of two.
        num_samples: T so far.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.samples_per_column = 1
        self.num_samples = 0
        self._low = np.zeros(_MAX_COLUMNS, np.float32)
        self._high = np.zeros(_MAX_COLUMNS, np.float32)

    @classmethod
    def of(cls, waveform: Waveform, sample_rate: int) -> Envelope:
        """Summarise a whole (C, T) waveform."""
        envelope = cls(sample_rate)
        envelope.add(waveform)
        return envelope

    @property
    def low(self) -> Float32:
        """(N,) lowest samples, N at most 4096."""
        return self._low[: self._num_columns]

    @property
    def high(self) -> Float32:
        """(N,) highest samples."""
        return self._high[: self._num_columns]

    @property
    def centres_seconds(self) -> Float64:
        """(N,) the middle of each column."""
        edges = np.arange(self._num_columns + 1) * self.samples_per_column
        edges = np.minimum(edges, self.num_samples)
        return (edges[:-1] + edges[1:]) / 2.0 / self.sample_rate

    def add(self, waveform: Floats) -> None:
        """Append (C, n) samples."""
        low, high = waveform.min(axis=0), waveform.max(axis=0)
        end = self.num_samples + len(low)
        while end > _MAX_COLUMNS * self.samples_per_column:
            self._merge_neighbours()
        if not len(low):
            return
        columns = np.arange(self.num_samples, end) // self.samples_per_column
        starts = np.flatnonzero(np.diff(columns, prepend=-1))
        filled = columns[starts]
        low, high = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
        if self.num_samples % self.samples_per_column:
            low[0] = min(low[0], self._low[filled[0]])
            high[0] = max(high[0], self._high[filled[0]])
        self._low[filled], self._high[filled] = low, high
        self.num_samples = end

    @property
    def _num_columns(self) -> int:
        return -(-self.num_samples // self.samples_per_column)

    def _merge_neighbours(self) -> None:
        count = self._num_columns
        for values, merge in ((self._low, np.minimum), (self._high, np.maximum)):
            if count % 2:
                values[count] = values[count - 1]
            pairs = values[: count + count % 2].reshape(-1, 2)
            merged = merge(pairs[:, 0], pairs[:, 1])
            values[: len(merged)] = merged
        self.samples_per_column *= 2


class LoudnessMeter:
    """RMS level of a waveform within given intervals.

    Args:
        intervals: (start, end) in seconds, ascending.
        sample_rate: in Hz.
    """

    def __init__(self, intervals: Sequence[tuple[float, float]], sample_rate: int) -> None:
        self._spans = [
            (round(start * sample_rate), round(end * sample_rate)) for start, end in intervals
        ]
        self._next = 0
        self._position = 0
        self._energy = 0.0
        self._count = 0

    def add(self, waveform: Floats) -> None:
        """Append (C, n) samples."""
        stop = self._position + waveform.shape[1]
        # Spans that have passed are not looked at again: there may be thousands, and of blocks too.
        for index in range(self._next, len(self._spans)):
            start, end = self._spans[index]
            if start >= stop:
                break
            piece = waveform[:, max(0, start - self._position) : max(0, end - self._position)]
            self._energy += float(np.sum(np.square(piece, dtype=np.float64)))
            self._count += piece.size
            if end <= stop:
                self._next = index + 1
        self._position = stop

    @property
    def dbfs(self) -> float | None:
        """0 dB for a square wave at full scale; None where there is nothing but silence."""
        if self._energy <= 0.0:
            return None
        return round(10.0 * math.log10(self._energy / self._count), 2)


class LevelCurve:
    """RMS level over all channels, 20 frames per second: a byte each, 72 kB for an hour.

    Levels are rounded to half a decibel, between -120 dBFS, which stands for silence too, and
    7.5 dBFS.

    Args:
        sample_rate: in Hz, at least 20.
    """

    def __init__(self, sample_rate: int) -> None:
        self._sample_rate = sample_rate
        self._position = 0
        self._energy = 0.0
        self._levels = bytearray()

    def add(self, waveform: Floats) -> None:
        """Append (C, n) samples."""
        num_samples = waveform.shape[1]
        if not num_samples:
            return
        end = self._position + num_samples
        first, last = self._frame_of(self._position), self._frame_of(end - 1)
        starts = np.maximum(self._start_of(np.arange(first, last + 1)) - self._position, 0)
        energies = np.add.reduceat(np.mean(np.square(waveform, dtype=np.float64), axis=0), starts)
        energies[0] += self._energy
        self._position, self._energy = end, float(energies[-1])
        is_last_whole = self._frame_of(end) > last
        self._levels += self._bytes_of(energies[: len(energies) - (not is_last_whole)], first)
        if is_last_whole:
            self._energy = 0.0

    @property
    def num_bytes(self) -> int:
        """How much memory it takes."""
        return len(self._levels)

    @property
    def levels_db(self) -> Float32:
        """(N,) dBFS, where 0 is a square wave at full scale; the last frame may be shorter."""
        levels = bytes(self._levels)
        begun = self._frame_of(self._position)
        if self._start_of(np.array([begun]))[0] < self._position:
            levels += self._bytes_of(np.array([self._energy]), begun)
        return np.frombuffer(levels, np.uint8).astype(np.float32) / 2.0 - 120.0

    def _bytes_of(self, energies: Float64, first: int) -> bytes:
        """Round the levels of frames that begin with this number."""
        edges = self._start_of(np.arange(first, first + len(energies) + 1))
        lengths = np.diff(np.minimum(edges, self._position))
        powers = np.maximum(energies / np.maximum(lengths, 1), 1e-12)
        halves = np.round(2.0 * (10.0 * np.log10(powers) + 120.0))
        return np.clip(halves, 0, 255).astype(np.uint8).tobytes()

    def _frame_of(self, sample: int) -> int:
        return sample * FRAMES_PER_SECOND // self._sample_rate

    def _start_of(self, frames: Indexes) -> Indexes:
        """The first sample of each frame."""
        return -(-frames * self._sample_rate // FRAMES_PER_SECOND)
