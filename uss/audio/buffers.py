"""The part of a long waveform that is still needed, by absolute position."""

from __future__ import annotations

from collections import deque

import numpy as np

from uss.core.arrays import Waveform


class StreamBuffer:
    """The last samples of a stream.

    Args:
        num_channels: C.

    Attributes:
        end: how many samples have come.
    """

    def __init__(self, num_channels: int) -> None:
        self.num_channels = num_channels
        self.end = 0
        self._blocks: deque[tuple[int, Waveform]] = deque()

    def append(self, block: Waveform) -> None:
        """Take the next (C, n) samples."""
        self._blocks.append((self.end, block))
        self.end += block.shape[1]

    def cut(self, start: int, end: int) -> Waveform:
        """Copy (C, end - start) samples; zeros before the stream's start and beyond its end."""
        out = np.zeros((self.num_channels, end - start), np.float32)
        for position, block in self._blocks:
            _add(out, start, block, position)
        return out

    def forget(self, before: int) -> None:
        """Drop blocks that end before a position, which is not asked for again."""
        while self._blocks and self._blocks[0][0] + self._blocks[0][1].shape[1] <= before:
            self._blocks.popleft()


class Track:
    """A stem as a sum of pieces; silent where there are none (overlap-add)."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[int, Waveform]] = deque()

    def add(self, start: int, piece: Waveform) -> None:
        """Add (C, n) samples at a position; positions never decrease."""
        self._pieces.append((start, piece))

    def cut(self, start: int, end: int) -> Waveform | None:
        """Sum up (C, end - start) samples; None where nothing was added."""
        out: Waveform | None = None
        for position, piece in self._pieces:
            if position < end and start < position + piece.shape[1]:
                if out is None:
                    out = np.zeros((len(piece), end - start), np.float32)
                _add(out, start, piece, position)
        return out

    def forget(self, before: int) -> None:
        """Drop pieces that end before a position, which is not asked for again."""
        while self._pieces and self._pieces[0][0] + self._pieces[0][1].shape[1] <= before:
            self._pieces.popleft()


def _add(out: Waveform, start: int, piece: Waveform, position: int) -> None:
    """Add the part of a piece that lies within ``out``, which begins at ``start``."""
    first = max(start, position)
    last = min(start + out.shape[1], position + piece.shape[1])
    if first < last:
        out[:, first - start : last - start] += piece[:, first - position : last - position]
