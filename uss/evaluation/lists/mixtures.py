"""From a row of an evaluation list to waveforms."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from uss.audio import AudioFile, Recording, Waveform, resample
from uss.core.errors import InputError
from uss.evaluation.lists.rows import Fill, ListRow

_MARGIN_SECONDS = 1.0
_TRACK = re.compile(r"(.+)#([1-9]\d*)")


@dataclass(frozen=True)
class Mixture:
    """A mixture with its sources.

    Attributes:
        mixture, target: (C, T) float32.
        others: (C, T) float32 each, the files of the interferer; without any, what the mixture
            holds beside the target.
        sample_rate: in Hz.
    """

    mixture: Waveform
    target: Waveform
    others: tuple[Waveform, ...]
    sample_rate: int

    @property
    def interferer(self) -> Waveform:
        """(C, T) the sum of the others."""
        return functools.reduce(np.add, self.others)


class _Excerpt(NamedTuple):
    """An excerpt of a file."""

    name: str
    recording: Recording


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


def load_mixture(row: ListRow, root: Path) -> Mixture:
    """Read and mix what a row says.

    Raises:
        OSError, ValueError: if a file is missing, cannot be read or holds samples that are not
            finite; if rates, channels or lengths differ.
    """
    targets = _excerpts(row.target, row, root, row.target_start_seconds)
    others = _excerpts(row.interferer, row, root, row.interferer_start_seconds)
    mixtures = _excerpts(tuple(filter(None, [row.mixture])), row, root, row.target_start_seconds)
    _check_alike([*targets, *others, *mixtures])

    def amplified(excerpts: Sequence[_Excerpt], gain_db: float) -> tuple[Waveform, ...]:
        gain = np.float32(10.0 ** (gain_db / 20.0))
        return tuple(gain * excerpt.recording.waveform for excerpt in excerpts)

    rate = targets[0].recording.sample_rate
    target = functools.reduce(np.add, amplified(targets, row.target_gain_db))
    rest = amplified(others, row.interferer_gain_db)
    if not mixtures:
        return Mixture(target + functools.reduce(np.add, rest), target, rest, rate)
    mixture = mixtures[0].recording.waveform
    return Mixture(mixture, target, rest or (mixture - target,), rate)


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
        OSError, ValueError: if the file is missing or cannot be read, or the excerpt starts behind
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


def _excerpts(
    names: tuple[str, ...], row: ListRow, root: Path, start_seconds: float
) -> list[_Excerpt]:
    """Read the excerpts of some files."""
    return [
        _Excerpt(
            name,
            load_excerpt(
                name,
                root,
                start_seconds=start_seconds,
                seconds=row.seconds,
                fill=row.fill,
                sample_rate=row.sample_rate,
            ),
        )
        for name in names
    ]


def _fitted(waveform: Waveform, num_samples: int, fill: Fill) -> Waveform:
    """Cut or extend (C, T) to the number of samples."""
    missing = num_samples - waveform.shape[1]
    if missing <= 0:
        return waveform[:, :num_samples]
    mode = "constant" if fill == "zeros" else "wrap"
    padded: Waveform = np.pad(waveform, ((0, 0), (0, missing)), mode)  # type: ignore[call-overload]
    return padded


def _check_alike(excerpts: Sequence[_Excerpt]) -> None:
    """Refuse to compare or to add what does not fit, rather than to cut or to resample it."""
    (first_name, first), *others = excerpts
    for name, other in others:
        if first.sample_rate != other.sample_rate:
            raise InputError(
                f"{first_name} has {first.sample_rate} Hz, {name} {other.sample_rate} Hz; "
                "bring them to one rate, or give the list a sample_rate"
            )
        if first.num_channels != other.num_channels:
            raise InputError(
                f"{first_name} has {first.num_channels} channels, {name} {other.num_channels}; "
                "bring them to one number, or give the list a sample_rate, which also makes them "
                "mono"
            )
        if first.num_samples != other.num_samples:
            raise InputError(
                f"{first_name} has {first.num_samples} samples, {name} {other.num_samples}; "
                "cut them alike, or give the row its seconds"
            )
