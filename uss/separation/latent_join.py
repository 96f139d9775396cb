"""Latents of neighbouring chunks, cross-faded before they are decoded, so that no seam is heard.

Two chunks draw two versions of what they share. Faded into each other as samples these would
cancel each other, as their phases differ; their latents hold no phases. Both chunks are then
decoded with the same latents where they overlap, and what comes out is nearly the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from uss.audio.segments import Segmentation
from uss.core.arrays import Bools, Float32
from uss.core.errors import InputError
from uss.separation.chunk_drawing import DrawingRuns, Drawn
from uss.separation.model_runs import Deliver, Segment


class _Chunk(NamedTuple):
    """A chunk of a stem, whose neighbours may still be missing."""

    drawn: Drawn
    deliver: Deliver


class LatentJoin:
    """Joins the chunks of each stem; a chunk is decoded when its neighbours are drawn.

    Args:
        segmentation: where chunks lie.
        active: (J, I) bool, which query is asked in which chunk.
        runs: decodes them.

    Raises:
        ValueError: if chunks do not overlap by whole frames.
    """

    def __init__(self, segmentation: Segmentation, active: Bools, runs: DrawingRuns) -> None:
        self._active = active
        self._is_done = np.zeros_like(active)
        self._runs = runs
        self._chunks: dict[tuple[int, int], _Chunk] = {}
        self._frame = runs.model.latent_samples
        overlap = segmentation.segment_samples - segmentation.hop_samples
        if overlap % self._frame:
            raise InputError(
                f"chunks of {segmentation.segment_samples} samples that overlap by {overlap} share "
                f"no whole frames of {self._frame}; choose an overlap of 0.25"
            )
        self._shared_frames = overlap // self._frame

    def takers(
        self, index: int, segment: Segment, rows: Sequence[int], takers: Sequence[Deliver]
    ) -> list[Deliver]:
        """Announce the stems of a chunk.

        Args:
            index: of the chunk.
            segment: the same, from ``Batcher.prepare``.
            rows: of the queries that are asked.
            takers: take the (C, S) stem of each.

        Returns:
            What takes the (C, channels, F, bins) latents of each.
        """
        mixture: Float32 = segment.waveform.cpu().numpy()
        gains: Float32 = segment.encoded[-1].cpu().numpy()

        def taker(row: int, deliver: Deliver) -> Deliver:
            def take(latent: Float32) -> None:
                self._chunks[row, index] = _Chunk(Drawn(mixture, gains, latent), deliver)
                for each in (index - 1, index, index + 1):
                    self._finish(row, each)

            return take

        return [taker(row, deliver) for row, deliver in zip(rows, takers, strict=True)]

    def _finish(self, row: int, index: int) -> None:
        """Decode a chunk whose neighbours are there."""
        chunk = self._chunks.get((row, index))
        if chunk is None or self._is_done[row, index]:
            return
        neighbours = self._neighbours(row, index)
        if any((row, each) not in self._chunks for each in neighbours):
            return
        before, after = (
            self._chunks[row, each].drawn if each in neighbours else None
            for each in (index - 1, index + 1)
        )
        self._is_done[row, index] = True
        joined = self._joined(chunk.drawn, before, after)
        for each in (index, *neighbours):
            # What its neighbours still need is kept.
            if self._is_done[row, [each, *self._neighbours(row, each)]].all():
                del self._chunks[row, each]
        chunk.deliver(self._runs.decode(joined))

    def _neighbours(self, row: int, index: int) -> list[int]:
        """The chunks that a chunk shares frames with."""
        if not self._shared_frames:
            return []
        beside = (each for each in (index - 1, index + 1) if 0 <= each < self._active.shape[1])
        return [each for each in beside if self._active[row, each]]

    def _joined(self, drawn: Drawn, before: Drawn | None, after: Drawn | None) -> Drawn:
        latent = drawn.latent.copy()
        frames = latent.shape[2]
        levels = np.repeat(np.log(drawn.gains)[:, None], frames, axis=1)
        shared = self._shared_frames
        rising = ((np.arange(shared) + 0.5) / shared).astype(np.float32) if shared else None
        for other, own_part, other_part, weight in (
            (before, slice(0, shared), slice(frames - shared, frames), rising),
            (after, slice(frames - shared, frames), slice(0, shared), _falling(rising)),
        ):
            if other is None or weight is None:
                continue
            fade = weight[:, None]
            theirs = other.latent[:, :, other_part]
            latent[:, :, own_part] = fade * latent[:, :, own_part] + (1.0 - fade) * theirs
            own_level = levels[:, own_part]
            levels[:, own_part] = weight * own_level + (1.0 - weight) * np.log(other.gains)[:, None]
        if before is None and after is None:
            return Drawn(drawn.mixture, drawn.gains, latent)
        return Drawn(drawn.mixture, self._gains(levels, frames), latent)

    def _gains(self, levels: Float32, frames: int) -> Float32:
        """(C, S) gains of (C, F) levels, which hold in the middle of frames."""
        places = np.arange(frames * self._frame) / self._frame - 0.5
        middles = np.arange(frames)
        rows = [np.exp(np.interp(places, middles, row)) for row in levels]
        return np.stack(rows).astype(np.float32)


def _falling(rising: Float32 | None) -> Float32 | None:
    return None if rising is None else rising[::-1]
