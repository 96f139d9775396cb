"""Excerpts of the audio files that lists and scenes name."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Literal

import numpy as np

from uss.audio import AudioFile, Recording, resample
from uss.core.arrays import Waveform
from uss.core.errors import InputError

Fill = Literal["zeros", "repeat"]
"""What stands in for samples that an excerpt lacks: zeros, or the excerpt again."""

MAX_SECONDS, MAX_GAIN_DB, MAX_RATE = 86_400.0, 200.0, 768_000
"""What a list may ask for; beyond it, a number is a slip of the pen."""

_MARGIN_SECONDS = 1.0
_TRACK = re.compile(r"(.+)#([1-9]\d*)")


def find_audio(name: str, root: Path) -> tuple[Path, int]:
    """Find a file that a list names.

    Args:
        name: relative to ``root``; ``film.mp4#2`` for the second audio track.
        root: the folder the list's audio starts from.

    Returns:
        The file and its track, from 1.

    Raises:
        FileNotFoundError: if there is none.
    """
    path = root / name
    if path.is_file():
        return path, 1
    match = _TRACK.fullmatch(name)
    if match is not None and (root / match[1]).is_file():
        return root / match[1], int(match[2])
    raise FileNotFoundError(
        f"{path}: no such file; correct the list, or name the folder that its paths start from"
    )


def load_excerpt(
    name: str,
    root: Path,
    *,
    start_seconds: float = 0.0,
    seconds: float | None = None,
    fill: Fill = "zeros",
    sample_rate: int | None = None,
) -> Recording:
    """Read an excerpt of one file, as ``ListRow`` describes it.

    Raises:
        OSError, InputError: if the file is missing or cannot be read, or the excerpt starts behind
            its end.
    """
    end_seconds = None if seconds is None else start_seconds + seconds
    recording = _read(AudioFile(*find_audio(name, root)), end_seconds)
    waveform, rate = recording.waveform, recording.sample_rate
    if sample_rate is not None:
        waveform = resample(waveform.mean(axis=0, keepdims=True), rate, sample_rate)
        rate = sample_rate
    start = round(start_seconds * rate)
    if start >= waveform.shape[1]:
        raise InputError(
            f"{name} has {waveform.shape[1] / rate:.2f} s; an excerpt cannot start at "
            f"{start_seconds:g} s"
        )
    num_samples = waveform.shape[1] - start if seconds is None else max(1, round(seconds * rate))
    return Recording(_fitted(waveform[:, start:], num_samples, fill), rate)


def _read(file: AudioFile, end_seconds: float | None) -> Recording:
    """Read a file as far as it is needed; resampling hears a little more."""
    blocks: list[Waveform] = []
    num_samples = 0
    with closing(file.blocks()) as stream:
        for block in stream:
            blocks.append(block)
            num_samples += block.shape[1]
            if end_seconds and num_samples >= (end_seconds + _MARGIN_SECONDS) * file.sample_rate:
                break
    return Recording(np.concatenate(blocks, axis=1), file.sample_rate)


def _fitted(waveform: Waveform, num_samples: int, fill: Fill) -> Waveform:
    """Cut or extend (C, T) to the number of samples."""
    missing = num_samples - waveform.shape[1]
    if missing <= 0:
        return waveform[:, :num_samples]
    mode = "constant" if fill == "zeros" else "wrap"
    padded: Waveform = np.pad(waveform, ((0, 0), (0, missing)), mode)  # type: ignore[call-overload]
    return padded
