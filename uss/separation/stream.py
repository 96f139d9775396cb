"""The second pass over a recording: its stems, piece by piece, as they become complete."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uss.audio import AudioSource, Waveform, resample_blocks, resample_middle
from uss.audio.buffers import StreamBuffer, Track
from uss.audio.segments import Segmentation
from uss.core.errors import InputError
from uss.core.read_ahead import read_ahead
from uss.separation.batching import Batcher, FloatArray
from uss.separation.consistency import Combination
from uss.separation.full_band import follow_top_band, top_band_gain

_MARGIN_SECONDS = 1
_PIECE_SECONDS = 8
_MAX_WAITING_SEGMENTS = 32


@dataclass(frozen=True)
class Request:
    """What the separator is asked for.

    Attributes:
        conditions: maps (N,) segment numbers to (N, H) conditions.
        active: (I,) bool; in other segments it is not asked.
    """

    conditions: Callable[[NDArray[np.int64]], FloatArray]
    active: NDArray[np.bool_]


@dataclass(frozen=True)
class Piece:
    """Some seconds of a recording and its stems.

    Attributes:
        start: first sample, at the recording's rate.
        mixture: (C, n) float32.
        stems: (C, n) float32 each; None where a stem is silent.
    """

    start: int
    mixture: Waveform
    stems: tuple[Waveform | None, ...]


@dataclass(frozen=True)
class Layout:
    """What the first pass found out.

    Attributes:
        num_samples: T, at the recording's rate.
        segmentation: at the separator's rate.
        separator_rate: in Hz.
    """

    num_samples: int
    segmentation: Segmentation
    separator_rate: int


class StemStream:
    """Separates a recording block by block; memory does not depend on its duration.

    ``submit_next`` reads on and asks for the stems of one block of segments, ``ready`` gives what
    has become complete since. A batch may be waiting for pairs of another recording; ``pieces``
    does not wait.

    Args:
        source: the recording.
        layout: what the first pass found out.
        requests: what the separator is asked for.
        combination: makes stems of the separator's estimates.
        batcher: runs the separator; recordings may share it.
        full_band: stems follow the mask's top bins above the separator's band.
        progress: called with the number of pairs of segment and request just done.
    """

    def __init__(
        self,
        source: AudioSource,
        layout: Layout,
        requests: Sequence[Request],
        combination: Combination,
        batcher: Batcher,
        *,
        full_band: bool = False,
        progress: Callable[[int], None] = lambda done: None,
    ) -> None:
        self.source = source
        self.layout = layout
        self.requests = requests
        self.combination = combination
        self.full_band = full_band and source.sample_rate > layout.separator_rate
        self._batcher = batcher
        self._progress = progress
        self._native = StreamBuffer(source.num_channels)
        self._mixture = StreamBuffer(source.num_channels)
        self._tracks = [Track() for _ in combination.sources]
        self._next_segment = 0
        self._unfinished: dict[int, dict[int, FloatArray | None]] = {}
        self._emitted_seconds = 0
        self._anything = np.zeros(layout.segmentation.num_segments, bool)
        for source_row in combination.sources:
            self._anything |= requests[source_row].active
        self._input = self._resampled()
        batcher.expect(self.num_pairs)

    @property
    def num_pairs(self) -> int:
        """How often the separator is asked in all."""
        return sum(int(np.count_nonzero(request.active)) for request in self.requests)

    @property
    def is_complete(self) -> bool:
        """Whether all pieces have been given."""
        return self._emitted_seconds * self.source.sample_rate >= self.layout.num_samples

    def pieces(self) -> Iterator[Piece]:
        """Give all pieces in turn.

        Raises:
            OSError, ValueError: if the recording cannot be read, or changed since the first pass.
        """
        with closing(self):
            while self.submit_next():
                yield from self.ready()
            self._batcher.flush()
            yield from self.ready()

    def close(self) -> None:
        """Stop reading."""
        self._input.close()

    def submit_next(self) -> bool:
        """Read on and ask for the stems of one block of segments; False if there is none left.

        Raises:
            OSError, ValueError: see ``pieces``.
        """
        segmentation = self.layout.segmentation
        first = self._next_segment
        if first >= segmentation.num_segments:
            return False
        last = min(first + self._batcher.runtime.batch_size, segmentation.num_segments)
        self._read_until((last - 1) * segmentation.hop_samples + segmentation.segment_samples)
        if last == segmentation.num_segments:
            self._read_to_the_end()
        active = [
            index
            for index in range(first, last)
            if any(request.active[index] for request in self.requests)
        ]
        self._next_segment = last
        if active:
            self._submit(active)
        # What is kept of the recording must not grow while a batch waits for a rare sound.
        if self._unfinished and last - min(self._unfinished) > _MAX_WAITING_SEGMENTS:
            self._batcher.flush()
        return True

    def ready(self) -> Iterator[Piece]:
        """Give the pieces that are complete, at most eight seconds each."""
        rate, total = self.source.sample_rate, self.layout.num_samples
        complete = self._complete_seconds()
        while self._emitted_seconds < complete:
            start = self._emitted_seconds
            end = min(start + _PIECE_SECONDS, complete)
            self._emitted_seconds = end
            yield self._piece(start, end, min(end * rate, total))
        before = self._emitted_seconds - _MARGIN_SECONDS
        hop_samples = self.layout.segmentation.hop_samples
        needed = min(before * self.layout.separator_rate, self._next_segment * hop_samples)
        self._mixture.forget(needed)
        self._native.forget(self._emitted_seconds * rate)
        for track in self._tracks:
            track.forget(before * self.layout.separator_rate)

    def _resampled(self) -> Generator[Waveform, None, None]:
        """Read the recording, and keep it until its pieces are given."""
        rate = self.source.sample_rate

        def kept() -> Generator[Waveform, None, None]:
            with closing(read_ahead(self.source.blocks())) as blocks:
                for block in blocks:
                    self._native.append(block)
                    yield block

        with closing(kept()) as blocks:
            yield from resample_blocks(blocks, rate, self.layout.separator_rate)

    def _read_until(self, end: int) -> None:
        while self._mixture.end < end:
            block = next(self._input, None)
            if block is None:
                return
            self._mixture.append(block)

    def _read_to_the_end(self) -> None:
        for block in self._input:
            self._mixture.append(block)
        if self._native.end != self.layout.num_samples:
            raise InputError(
                f"the recording had {self.layout.num_samples} samples when it was tagged and now "
                f"has {self._native.end}; do not write to it while it is separated"
            )

    def _submit(self, segments: Sequence[int]) -> None:
        segmentation = self.layout.segmentation
        starts = [index * segmentation.hop_samples for index in segments]
        waveforms = np.stack(
            [self._mixture.cut(start, start + segmentation.segment_samples) for start in starts]
        )
        asked = [
            [row for row, request in enumerate(self.requests) if request.active[index]]
            for index in segments
        ]
        for index, rows in zip(segments, asked, strict=True):
            self._unfinished[index] = dict.fromkeys(rows)
        conditions: dict[tuple[int, int], FloatArray] = {}
        for row, request in enumerate(self.requests):
            where = [index for index in segments if request.active[index]]
            if where:
                keys = ((index, row) for index in where)
                conditions.update(zip(keys, request.conditions(np.array(where)), strict=True))
        prepared = self._batcher.prepare(waveforms)
        for index, rows, waveform, segment in zip(
            segments, asked, waveforms, prepared, strict=True
        ):
            for row in rows:
                self._batcher.submit(
                    segment, conditions[index, row], self._delivery(index, row, waveform)
                )

    def _delivery(self, index: int, row: int, waveform: FloatArray) -> Callable[[FloatArray], None]:
        def deliver(estimate: FloatArray) -> None:
            estimates = self._unfinished[index]
            estimates[row] = estimate
            self._progress(1)
            if all(each is not None for each in estimates.values()):
                del self._unfinished[index]
                self._join(index, waveform, {r: e for r, e in estimates.items() if e is not None})

        return deliver

    def _join(self, index: int, waveform: FloatArray, estimates: dict[int, FloatArray]) -> None:
        """Overlap-add a finished segment."""
        segmentation = self.layout.segmentation
        start = index * segmentation.hop_samples
        for stem, samples in self.combination(waveform, estimates).items():
            # Families add up only if all their members are weighted alike.
            source = self.requests[self.combination.sources[stem]].active
            active = self._anything if self.combination.families else source
            weights = segmentation.weights(
                index,
                previous_active=bool(active[max(0, index - 1)]),
                next_active=bool(active[min(len(active) - 1, index + 1)]),
            )
            self._tracks[stem].add(start, samples * weights)

    def _complete_seconds(self) -> int:
        """Up to where all that a piece needs has been separated."""
        segmentation, rate = self.layout.segmentation, self.layout.separator_rate
        first_open = min(self._unfinished, default=self._next_segment)
        if first_open >= segmentation.num_segments:
            return -(-self.layout.num_samples // self.source.sample_rate)
        return max(0, first_open * segmentation.hop_samples // rate - _MARGIN_SECONDS)

    def _piece(self, start: int, end: int, end_sample: int) -> Piece:
        """Bring the seconds from ``start`` to ``end`` to the recording's rate."""
        rate, separator_rate = self.source.sample_rate, self.layout.separator_rate
        first_sample = start * rate
        mixture = self._native.cut(first_sample, end_sample)
        first = (start - _MARGIN_SECONDS) * separator_rate
        last = (end + _MARGIN_SECONDS) * separator_rate

        def at_native_rate(waveform: Waveform) -> Waveform:
            return resample_middle(waveform, separator_rate, rate)[:, : mixture.shape[1]]

        in_band = self._mixture.cut(first, last) if self.full_band else None
        high = None if in_band is None else mixture - at_native_rate(in_band)
        stems: list[Waveform | None] = []
        for track in self._tracks:
            samples = track.cut(first, last)
            if samples is None:
                stems.append(None)
                continue
            stem = at_native_rate(samples)
            if in_band is not None and high is not None:
                gain = top_band_gain(samples, in_band, separator_rate)
                stem = stem + follow_top_band(high, rate, gain, _MARGIN_SECONDS)
            stems.append(stem)
        return Piece(first_sample, mixture, tuple(stems))
