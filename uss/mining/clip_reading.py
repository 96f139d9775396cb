"""Reading the clips of a manifest ahead of their use."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from uss.audio import read_mono
from uss.core.arrays import Float32
from uss.core.errors import INPUT_ERRORS
from uss.data.manifest import Clip

_CLIPS_AHEAD_PER_WORKER = 4


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
    """Decodes clips ahead of their use, in their order.

    Args:
        root: the folder the clips' paths start from.
        sample_rate: to which they are brought, as one channel.
        workers: threads that decode.
    """

    def __init__(self, root: Path, sample_rate: int, workers: int) -> None:
        self.root = root
        self.sample_rate = sample_rate
        self.workers = workers

    def __call__(self, clips: Sequence[Clip]) -> Iterator[DecodedClip]:
        """Decode each of the clips."""
        pending: deque[Future[DecodedClip]] = deque()
        with ThreadPoolExecutor(self.workers) as pool:
            for clip in clips:
                pending.append(pool.submit(self._read, clip))
                if len(pending) > _CLIPS_AHEAD_PER_WORKER * self.workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def _read(self, clip: Clip) -> DecodedClip:
        if not clip.path:
            return DecodedClip(None, "no audio file", missing=True)
        try:
            return DecodedClip(read_mono(self.root / clip.path, self.sample_rate))
        except INPUT_ERRORS as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            return DecodedClip(None, reason, missing=isinstance(error, FileNotFoundError))


def has_file(clip: Clip, root: Path) -> bool:
    """Whether there is something where a clip's file should be."""
    return bool(clip.path) and os.path.exists(root / clip.path)
