"""What gives audio block by block, so that memory does not depend on its duration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from uss.core.arrays import Waveform

SILENCE_PEAK = 1e-4
"""-80 dBFS: what stays below it holds nothing to hear."""

MIN_SAMPLE_RATE = 100
"""In Hz; less holds nothing that is heard, and makes hours of a few samples."""

MAX_SAMPLE_RATE = 2**22
"""In Hz; hydrophones reach 2 MHz, and beyond this the margins of resampling fill the memory."""

# 32 MiB; a damaged header may promise any sample rate and a thousand channels.
_MAX_BLOCK_VALUES = 2**23


class AudioSource(Protocol):
    """Audio that can be gone through more than once."""

    @property
    def sample_rate(self) -> int:
        """In Hz."""

    @property
    def num_channels(self) -> int:
        """C."""

    def blocks(self) -> Iterator[Waveform]:
        """Go through the audio, from its start at every call.

        Yields:
            (C, n) float32, of a second or less; n is at least 1.
        """


@dataclass(frozen=True)
class Recording:
    """A decoded file.

    Attributes:
        waveform: (C, T) float32; integer formats are scaled so that full scale is 1.
        sample_rate: in Hz.
    """

    waveform: Waveform
    sample_rate: int

    @property
    def num_channels(self) -> int:
        """C."""
        return int(self.waveform.shape[0])

    @property
    def num_samples(self) -> int:
        """T."""
        return int(self.waveform.shape[1])

    def blocks(self) -> Iterator[Waveform]:
        """Go through the waveform, as ``AudioSource`` says.

        Yields:
            (C, n) float32 views.
        """
        return reblock([self.waveform], block_samples(self.sample_rate, self.num_channels))


class Remainder:
    """What is left of a recording without a stem, as ``AudioSource``.

    Args:
        whole: the recording.
        part: of its rate, channels and length.
    """

    def __init__(self, whole: AudioSource, part: AudioSource) -> None:
        self.sample_rate = whole.sample_rate
        self.num_channels = whole.num_channels
        self._whole = whole
        self._part = part

    def blocks(self) -> Iterator[Waveform]:
        """Go through it; see ``AudioSource``."""
        length = block_samples(self.sample_rate, self.num_channels)
        each = (reblock(source.blocks(), length) for source in (self._whole, self._part))
        for whole, part in zip(*each, strict=True):
            yield whole - part


def block_samples(sample_rate: int, num_channels: int) -> int:
    """Give the length of a source's blocks: a second, or less where that would be large."""
    return max(1, min(sample_rate, _MAX_BLOCK_VALUES // num_channels))


def reblock(blocks: Iterable[Waveform], num_samples: int) -> Iterator[Waveform]:
    """Join and cut blocks of any sizes.

    Args:
        blocks: (C, n) each; n may be 0.
        num_samples: the length wanted.

    Yields:
        (C, num_samples); the last may be shorter, but not empty. They may be views of the input.
    """
    pieces: list[Waveform] = []
    num_missing = num_samples
    for block in blocks:
        while block.shape[1] >= num_missing:
            yield _joined([*pieces, block[:, :num_missing]])
            block = block[:, num_missing:]
            pieces, num_missing = [], num_samples
        if block.shape[1]:
            pieces.append(block)
            num_missing -= block.shape[1]
    if pieces:
        yield _joined(pieces)


def skipping(blocks: Iterable[Waveform], num_samples: int) -> Iterator[Waveform]:
    """Leave out the first samples of (C, n) blocks."""
    for block in blocks:
        skipped = min(num_samples, block.shape[1])
        num_samples -= skipped
        if skipped < block.shape[1]:
            yield block[:, skipped:]


def _joined(pieces: list[Waveform]) -> Waveform:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)
