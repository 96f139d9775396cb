"""Reading the clips of a manifest."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from uss.audio import read_audio, resample
from uss.core.arrays import Float32
from uss.core.errors import INPUT_ERRORS, one_line
from uss.core.stage_clock import StageClock
from uss.data.manifest import Clip


@dataclass(frozen=True)
class DecodedClip:
    """What there is of a clip.

    Attributes:
        waveform: (T,); None where it could not be read.
        error: why not.
        missing: whether that is for want of a file, which may still come; a file that is broken
            stays so.
    """

    waveform: Float32 | None
    error: str = ""
    missing: bool = False


class ClipReader:
    """Decodes clips; any number of threads may use it.

    Args:
        root: the folder the clips' paths start from.
        sample_rate: to which they are brought, as one channel.
        clock: is told the stages ``decode`` and ``resample``.
    """

    def __init__(self, root: Path, sample_rate: int, clock: StageClock) -> None:
        self.root = root
        self.sample_rate = sample_rate
        self.clock = clock

    def __call__(self, clip: Clip) -> DecodedClip:
        """Decode one clip, as ``uss.audio.read_mono`` does."""
        if not clip.path:
            return DecodedClip(None, "no audio file", missing=True)
        try:
            with self.clock("decode"):
                recording = read_audio(self.root / clip.path)
                mono = recording.waveform.mean(axis=0)
            with self.clock("resample"):
                return DecodedClip(resample(mono, recording.sample_rate, self.sample_rate))
        except INPUT_ERRORS as error:
            return DecodedClip(None, one_line(error), isinstance(error, FileNotFoundError))


def has_file(clip: Clip, root: Path) -> bool:
    """Whether there is something where a clip's file should be."""
    return bool(clip.path) and os.path.exists(root / clip.path)
