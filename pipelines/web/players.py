"""Copies of recordings and stems that a browser plays in pieces: 16-bit WAV, mono or stereo."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uss.audio import AudioSource, resample_blocks
from uss.audio.envelopes import Envelope
from uss.audio.remixing import remix
from uss.core.arrays import Waveform
from uss.core.files import written_whole

HEADER_BYTES = 44
"""Before the first sample; ``wave`` writes no other chunks."""

_MIN_RATE, _MAX_RATE = 8_000, 48_000
"""In Hz; browsers need not play more, nor less."""

_NUM_PEAKS = 480


@dataclass(frozen=True)
class Player:
    """What a browser plays.

    Attributes:
        path: the file.
        sample_rate: in Hz.
        num_channels: 1 or 2.
        num_samples: T.
        peaks: the highest magnitude in equal parts of the time, 0 to 255 for full scale.
    """

    path: Path
    sample_rate: int
    num_channels: int
    num_samples: int
    peaks: tuple[int, ...]

    @property
    def duration_seconds(self) -> float:
        """How long it plays."""
        return self.num_samples / self.sample_rate


def write_player(
    source: AudioSource,
    path: Path,
    on_block: Callable[[Waveform], object] = lambda block: None,
) -> Player:
    """Write what a browser plays of a recording.

    Args:
        source: the recording.
        path: ends in ``.wav``.
        on_block: called with each (C, n) block of the recording.

    Raises:
        OSError, ValueError: if the recording cannot be read, or the file not written.
    """
    sample_rate = min(max(source.sample_rate, _MIN_RATE), _MAX_RATE)
    num_channels = min(source.num_channels, 2)

    def mixed() -> Iterator[Waveform]:
        for block in source.blocks():
            on_block(block)
            yield remix(block, num_channels)

    blocks = resample_blocks(mixed(), source.sample_rate, sample_rate, block_seconds=1)
    envelope = Envelope(sample_rate)
    with (
        written_whole(path) as part,
        part.open("wb") as stream,
        wave.open(stream, "wb") as file,
    ):
        file.setparams((num_channels, 2, sample_rate, 0, "NONE", ""))
        for block in blocks:
            envelope.add(block)
            file.writeframes(_sixteen_bits(block))
    return Player(path, sample_rate, num_channels, envelope.num_samples, _peaks(envelope))


def _sixteen_bits(block: Waveform) -> bytes:
    levels = np.clip(np.rint(block * 2.0**15), -(2**15), 2**15 - 1)
    samples: bytes = levels.T.astype("<i2").tobytes()
    return samples


def _peaks(envelope: Envelope) -> tuple[int, ...]:
    highest = np.maximum(envelope.high, -envelope.low)
    if not len(highest):
        return ()
    starts = np.unique(np.linspace(0, len(highest), _NUM_PEAKS, endpoint=False).astype(int))
    levels = np.minimum(np.maximum.reduceat(highest, starts), 1.0)
    return tuple(np.rint(255.0 * levels).astype(int).tolist())
