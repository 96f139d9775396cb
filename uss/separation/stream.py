"""The second pass over a recording: its stems, piece by piece, as they become complete."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from uss.audio import AudioSource, resample_middle
from uss.core.arrays import Float32, Waveform
from uss.separation.batching import Asked, Batcher
from uss.separation.chunk_drawing import chunks_of
from uss.separation.full_band import follow_top_band, top_band_gains, top_band_shares
from uss.separation.gating import gated
from uss.separation.latent_join import LatentJoin
from uss.separation.mixture import MixtureReader
from uss.separation.overlap_add import OverlapAdd
from uss.separation.stem_order import StemOrder
from uss.separation.work import Work

_MARGIN_SECONDS = 1
_PIECE_SECONDS = 8
_MAX_WAITING_SEGMENTS = 32


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


class StemStream:
    """Separates a recording block by block; memory does not depend on its duration.

    Going through it gives all pieces in turn. Where recordings share batches, that is done in two
    halves: ``read`` gives what it can and leaves what only waits for a batch, which the next
    recordings may fill, to ``rest``.

    Args:
        source: the recording.
        work: what is to be done with it.
        batcher: runs the separator; recordings may share it.
        progress: called with the number of pairs of segment and query just done.
    """

    def __init__(
        self,
        source: AudioSource,
        work: Work,
        batcher: Batcher,
        progress: Callable[[int], None] = lambda done: None,
    ) -> None:
        self.work = work
        self._batcher = batcher
        self._progress = progress
        rate = batcher.model.sample_rate
        self._mixture = MixtureReader(source, work.num_samples, rate, work.high_pass)
        order = StemOrder(work.segmentation) if work.blind else None
        self._stems = OverlapAdd(work.segmentation, work.active, work.combination, order)
        self._latents: LatentJoin | None = None
        if batcher.drawing_runs is not None:
            self._latents = LatentJoin(work.segmentation, work.active, batcher.drawing_runs)
        self._next_segment = 0
        self._given_seconds = 0
        self._failure: Exception | None = None
        batcher.expect(self.num_pairs)

    @property
    def num_pairs(self) -> int:
        """How often the separator is asked in all."""
        return int(np.count_nonzero(self.work.active))

    @property
    def is_waiting(self) -> bool:
        """Whether a batch must be filled, or flushed, before the rest can be given."""
        return self._failure is None and self._stems.first_unfinished is not None

    def __iter__(self) -> Iterator[Piece]:
        with closing(self):
            yield from self.read()
            yield from self.rest()

    def read(self) -> Iterator[Piece]:
        """Read the recording to its end; give the pieces that are complete by then.

        Raises:
            OSError, ValueError: if the recording cannot be read, or changed since the first pass.
            Exception: that the separator raised for pairs of this recording.
        """
        num_segments = self.work.segmentation.num_segments
        while self._next_segment < num_segments:
            last = min(self._next_segment + self._batcher.runtime.batch_size, num_segments)
            self._ask(range(self._next_segment, last))
            yield from self._complete_pieces()

    def rest(self) -> Iterator[Piece]:
        """Give what ``read`` has left, after running what still waits for a batch.

        Raises:
            Exception: that the separator raised for pairs of this recording.
        """
        if self.is_waiting:
            self._batcher.flush()
        self._check_failure()
        yield from self._complete_pieces()

    def close(self) -> None:
        """Stop reading, and separating."""
        self._batcher.forget(self)
        self._mixture.close()

    def fail(self, error: Exception) -> None:
        """Take note that pairs of this recording failed; see ``Owner``."""
        self._failure = self._failure or error

    def _check_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _ask(self, segments: range) -> None:
        """Read some segments, and ask for their stems."""
        segmentation = self.work.segmentation
        hop, length = segmentation.hop_samples, segmentation.segment_samples
        self._mixture.read_until((segments.stop - 1) * hop + length)
        if segments.stop == segmentation.num_segments:
            self._mixture.read_to_the_end()
        self._next_segment = segments.stop
        active = [index for index in segments if self.work.active[:, index].any()]
        if active:
            self._submit(active)
        # What is kept of the recording must not grow while a batch waits for a rare sound.
        first = self._stems.first_unfinished
        if first is not None and segments.stop - first > _MAX_WAITING_SEGMENTS:
            self._batcher.flush()
        self._check_failure()

    def _submit(self, segments: Sequence[int]) -> None:
        segmentation = self.work.segmentation
        starts = [index * segmentation.hop_samples for index in segments]
        waveforms = np.stack(
            [
                self._mixture.resampled.cut(start, start + segmentation.segment_samples)
                for start in starts
            ]
        )
        conditions = self.work.conditions_in(segments)
        rows = [np.flatnonzero(self.work.active[:, index]).tolist() for index in segments]
        takers = [
            self._stems.open(index, waveform, asked)
            for index, waveform, asked in zip(segments, waveforms, rows, strict=True)
        ]
        prepared = self._batcher.prepare(waveforms, chunks_of(segmentation, starts))
        for index, segment, asked, takes in zip(segments, prepared, rows, takers, strict=True):
            if self._latents is not None:
                takes = self._latents.takers(index, segment, asked, takes)
            stems = {
                row: Asked(conditions[index, row], self._counted(take), self.work.prior(row, index))
                for row, take in zip(asked, takes, strict=True)
            }
            self._batcher.submit_all(segment, stems, self.work.contests, self)

    def _counted(self, take: Callable[[Float32], None]) -> Callable[[Float32], None]:
        def deliver(estimate: Float32) -> None:
            self._progress(1)
            take(estimate)

        return deliver

    def _complete_pieces(self) -> Iterator[Piece]:
        """Give the pieces that are complete, at most eight seconds each."""
        rate, total = self._mixture.source.sample_rate, self.work.num_samples
        separator_rate = self._mixture.separator_rate
        complete = self._complete_seconds()
        while self._given_seconds < complete:
            start = self._given_seconds
            end = min(start + _PIECE_SECONDS, complete)
            self._given_seconds = end
            yield self._piece(start, end, min(end * rate, total))
        before = (self._given_seconds - _MARGIN_SECONDS) * separator_rate
        hop_samples = self.work.segmentation.hop_samples
        needed = min(before, self._next_segment * hop_samples)
        self._mixture.forget(needed, self._given_seconds * rate)
        self._stems.forget(before)

    def _complete_seconds(self) -> int:
        """Up to where all that a piece needs has been separated."""
        segmentation = self.work.segmentation
        first_open = self._stems.first_unfinished
        if first_open is None:
            first_open = self._next_segment
        if first_open >= segmentation.num_segments:
            return -(-self.work.num_samples // self._mixture.source.sample_rate)
        separated = first_open * segmentation.hop_samples // self._mixture.separator_rate
        return max(0, separated - _MARGIN_SECONDS)

    def _piece(self, start: int, end: int, end_sample: int) -> Piece:
        """Bring the seconds from ``start`` to ``end`` to the recording's rate."""
        rate, separator_rate = self._mixture.source.sample_rate, self._mixture.separator_rate
        mixture = self._mixture.native.cut(start * rate, end_sample)
        first = (start - _MARGIN_SECONDS) * separator_rate
        last = (end + _MARGIN_SECONDS) * separator_rate

        def at_native_rate(waveform: Waveform) -> Waveform:
            return resample_middle(waveform, separator_rate, rate)[:, : mixture.shape[1]]

        cuts = [track.cut(first, last) for track in self._stems.tracks]
        gains: dict[int, Float32] = {}
        if self.work.shares_out_the_rest(rate, separator_rate):
            in_band = self._mixture.resampled.cut(first, last)
            shares = top_band_shares if self.work.blind else top_band_gains
            gains = shares(cuts, in_band, separator_rate)
            high = mixture - at_native_rate(self._mixture.band.cut(first, last))

        def whole(row: int, samples: Waveform) -> Waveform:
            heard = at_native_rate(samples)
            if row not in gains:
                return heard
            return heard + follow_top_band(high, rate, gains[row], _MARGIN_SECONDS)

        stems = [None if each is None else whole(row, each) for row, each in enumerate(cuts)]
        return Piece(
            start * rate, mixture, tuple(gated(stems, self.work.spans, rate, start * rate))
        )


def whole_stems(pieces: Iterable[Piece], num_stems: int, like: Waveform) -> list[Waveform]:
    """Join the pieces of a recording that fits into memory.

    Args:
        pieces: of a ``StemStream``.
        num_stems: in each piece.
        like: (C, T) the recording.

    Returns:
        (C, T) float32 per stem; zeros where it is silent.
    """
    stems = [np.zeros_like(like) for _ in range(num_stems)]
    for piece in pieces:
        end = piece.start + piece.mixture.shape[1]
        for stem, samples in zip(stems, piece.stems, strict=True):
            if samples is not None:
                stem[:, piece.start : end] = samples
    return stems
