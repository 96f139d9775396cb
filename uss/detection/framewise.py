"""What a tagger heard in frames, kept sparsely: of the classes that a segment may hold at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uss.core.arrays import Bools, Float32, Float64

LOWEST_PROBABILITY = 0.01
"""Frames are kept of the segments and classes with P(segment, class) from here on."""

MAX_FRAMES_PER_SECOND = 20.0
"""Faster frames are averaged in groups: events begin and end at multiples of 50 ms."""


@dataclass(frozen=True)
class Framewise:
    """Framewise probabilities of R pairs of a segment and a class.

    They say when within a segment a class is heard; whether it is, P(segment, class) says.

    Attributes:
        values: (R, F) float16, the frames within the segment.
        segments: (R,) ascending.
        class_indexes: (R,).
        offsets_seconds: (F,) the middle of each frame, from the start of its segment; F may be 0.
        starts_seconds: (I,) of the segments.
        segment_seconds: length of a segment.
    """

    values: NDArray[np.float16]
    segments: NDArray[np.int32]
    class_indexes: NDArray[np.int16]
    offsets_seconds: Float64
    starts_seconds: Float64
    segment_seconds: float

    @property
    def num_bytes(self) -> int:
        """How much memory it takes."""
        return self.values.nbytes + self.segments.nbytes + self.class_indexes.nbytes

    def curve(self, weights: Float32, times_seconds: Float64) -> Float32 | None:
        """How probable a group of classes is at some times: the maximum over them (Algorithm 4).

        Between frames it is interpolated. Where segments overlap, the one counts whose middle is
        nearer, as its tagger's window is.

        Args:
            weights: (K,) that probabilities are multiplied by; 0 for classes of other groups.
            times_seconds: (N,) ascending.

        Returns:
            (N,); 0 where none of the classes was kept. None where there are no frames at all.
        """
        num_segments, num_frames = len(self.starts_seconds), len(self.offsets_seconds)
        if not num_segments or not num_frames:
            return None
        weights_of_rows = weights[self.class_indexes]
        chosen = np.flatnonzero(weights_of_rows)
        heard = np.zeros((num_segments, num_frames), np.float32)
        weighted = self.values[chosen] * weights_of_rows[chosen, None]
        np.maximum.at(heard, self.segments[chosen], weighted)
        nearest = self._are_nearest()
        times = self.starts_seconds[:, None] + self.offsets_seconds
        curve: Float32 = np.interp(times_seconds, times[nearest], heard[nearest]).astype(np.float32)
        return curve

    def without(self, class_indexes: Sequence[int]) -> Framewise:
        """Return the same as if some classes had not been heard."""
        return self._of_rows(~np.isin(self.class_indexes, np.asarray(class_indexes, np.int16)))

    def where(self, segments: Bools) -> Framewise:
        """Return the same as if nothing had been heard in other than these (I,) segments."""
        return self._of_rows(segments[self.segments])

    def _of_rows(self, kept: Bools) -> Framewise:
        return replace(
            self,
            values=self.values[kept],
            segments=self.segments[kept],
            class_indexes=self.class_indexes[kept],
        )

    def _are_nearest(self) -> Bools:
        """(I, F) which frames lie nearer to the middle of their segment than to another's."""
        middles = self.starts_seconds + self.segment_seconds / 2.0
        borders = (middles[1:] + middles[:-1]) / 2.0
        times = self.starts_seconds[:, None] + self.offsets_seconds
        after = np.concatenate([[-np.inf], borders])[:, None]
        before = np.concatenate([borders, [np.inf]])[:, None]
        nearest: Bools = (times >= after) & (times < before)
        return nearest


class FramewiseRecorder:
    """Keeps frames as segments are tagged.

    Args:
        frames_per_second: of the tagger.
        window_seconds: what it hears, centred on the segment.
        segment_seconds: length of a segment.
    """

    def __init__(
        self, frames_per_second: float, window_seconds: float, segment_seconds: float
    ) -> None:
        self._segment_seconds = segment_seconds
        self._before_seconds = (window_seconds - segment_seconds) / 2.0
        self._rate = frames_per_second
        self._group = max(1, math.ceil(frames_per_second / MAX_FRAMES_PER_SECOND - 1e-6))
        self._num_segments = 0
        self._first = self._last = 0
        self._values: list[NDArray[np.float16]] = []
        self._segments: list[NDArray[np.int32]] = []
        self._class_indexes: list[NDArray[np.int16]] = []

    def add(self, clipwise: Float32, framewise: Tensor) -> None:
        """Keep what was heard in the next segments.

        Args:
            clipwise: (B, K) P(segment, class).
            framewise: (B, F, K) of their windows.
        """
        self._first, self._last = self._frames_within(framewise.shape[1])
        pooled = framewise[:, self._first : self._last].float()
        pooled = pooled.unflatten(1, (-1, self._group)).mean(dim=2)
        rows, classes = np.nonzero(clipwise >= LOWEST_PROBABILITY)
        frames = pooled.transpose(1, 2)[
            torch.from_numpy(rows).to(pooled.device), torch.from_numpy(classes).to(pooled.device)
        ]
        self._values.append(frames.cpu().numpy().astype(np.float16))
        self._segments.append((rows + self._num_segments).astype(np.int32))
        self._class_indexes.append(classes.astype(np.int16))
        self._num_segments += len(clipwise)

    def finish(self, starts_seconds: Float64) -> Framewise:
        """Give all that was kept.

        Args:
            starts_seconds: (I,) of the segments.
        """
        num_frames = (self._last - self._first) // self._group
        middles: Float64 = self._group * np.arange(num_frames, dtype=np.float64)
        middles += self._first + (self._group - 1) / 2.0
        return Framewise(
            np.concatenate([np.zeros((0, num_frames), np.float16), *self._values]),
            np.concatenate([np.zeros(0, np.int32), *self._segments]),
            np.concatenate([np.zeros(0, np.int16), *self._class_indexes]),
            middles / self._rate - self._before_seconds,
            starts_seconds,
            self._segment_seconds,
        )

    def _frames_within(self, num_frames: int) -> tuple[int, int]:
        """Which frames of a window lie in its segment: whole groups of them."""
        first = math.ceil(self._before_seconds * self._rate - 1e-6)
        end = math.ceil((self._before_seconds + self._segment_seconds) * self._rate - 1e-6)
        first, end = min(first, num_frames), min(end, num_frames)
        return first, first + (end - first) // self._group * self._group
