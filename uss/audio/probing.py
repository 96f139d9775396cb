"""Whether a file is worth reading: decoded up to its first sound, and no further."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing, suppress
from pathlib import Path

import soundfile

from uss.audio.reading import AudioFile
from uss.core.arrays import Waveform
from uss.core.errors import INPUT_ERRORS, one_line
from uss.core.files import native_path

_BLOCK_FRAMES = 4_096
_LIBSNDFILE_ERRORS = (soundfile.LibsndfileError, TypeError)
"""soundfile refuses headerless files by their suffix with a TypeError."""


def problem_of(path: Path, min_seconds: float) -> tuple[str, str] | None:
    """Find out what is wrong with a file, and decode no more of it than that takes.

    Nearly all files have a sound at once, and are closed after their header and some samples. What
    comes behind is not looked at, so a file that is cut off later passes.

    Args:
        path: the file.
        min_seconds: what is shorter is ``short``.

    Returns:
        ``missing``, ``unreadable``, ``short`` or ``silent`` (not one sample that is not 0), and in
        words what was found; None for a file that is none of these.
    """
    with suppress(*_LIBSNDFILE_ERRORS, OSError), soundfile.SoundFile(native_path(path)) as file:
        if _verdict(_quick_blocks(file), file.samplerate, min_seconds) is None:
            return None
    # Whatever is amiss, the reader that all else is read with says what.
    try:
        recording = AudioFile(path)
        with closing(recording.blocks()) as blocks:
            return _verdict(blocks, recording.sample_rate, min_seconds)
    except FileNotFoundError as error:
        return "missing", one_line(error)
    except INPUT_ERRORS as error:
        return "unreadable", one_line(error)


def _quick_blocks(file: soundfile.SoundFile) -> Generator[Waveform, None, None]:
    while len(block := file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
        yield block.T


def _verdict(
    blocks: Iterable[Waveform], sample_rate: int, min_seconds: float
) -> tuple[str, str] | None:
    num_samples, is_silent = 0, True
    for block in blocks:
        num_samples += block.shape[1]
        is_silent = is_silent and not block.any()
        if not is_silent and num_samples >= min_seconds * sample_rate:
            return None
    is_short = num_samples < min_seconds * sample_rate
    return "short" if is_short else "silent", f"{num_samples / sample_rate:.3f} s"
