"""From a row of an evaluation list to waveforms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uss.audio import Recording, Waveform, read_audio, resample
from uss.evaluation.lists import Fill, ListRow

_TRACK = re.compile(r"(.+)#([1-9]\d*)")


@dataclass(frozen=True)
class Mixture:
    """A mixture with its sources.

    Attributes:
        mixture, target, interferer: (C, T) float32; without a file of its own the interferer is
            what the mixture holds beside the target.
        sample_rate: in Hz.
    """

    mixture: Waveform
    target: Waveform
    interferer: Waveform
    sample_rate: int


def locate(name: str, root: Path) -> tuple[Path, int]:
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
    target = _excerpt(row.target, row, root, row.target_start_seconds)
    interferer = None
    if row.interferer:
        interferer = _excerpt(row.interferer, row, root, row.interferer_start_seconds)
        _check_alike(target, row.target[0], interferer, row.interferer[0])
    if row.mixture:
        mixture = _excerpt((row.mixture,), row, root, row.target_start_seconds)
        _check_alike(target, row.target[0], mixture, row.mixture)
        rest = mixture.waveform - target.waveform if interferer is None else interferer.waveform
        return Mixture(mixture.waveform, target.waveform, rest, target.sample_rate)
    assert interferer is not None, "rows without a mixture have an interferer"
    wanted = _amplify(target.waveform, row.target_gain_db)
    rest = _amplify(interferer.waveform, row.interferer_gain_db)
    return Mixture(wanted + rest, wanted, rest, target.sample_rate)


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
    path, track = locate(name, root)
    recording = read_audio(path, track)
    waveform, rate = recording.waveform, recording.sample_rate
    if sample_rate is not None:
        waveform = resample(waveform.mean(axis=0, keepdims=True), rate, sample_rate)
        rate = sample_rate
    start = round(start_seconds * rate)
    if start >= waveform.shape[1]:
        raise ValueError(
            f"{name} has {waveform.shape[1] / rate:.2f} s; an excerpt cannot start at "
            f"{start_seconds:g} s"
        )
    num_samples = waveform.shape[1] - start if seconds is None else max(1, round(seconds * rate))
    return Recording(_fitted(waveform[:, start:], num_samples, fill), rate)


def _excerpt(names: tuple[str, ...], row: ListRow, root: Path, start_seconds: float) -> Recording:
    """Sum the excerpts of all files."""
    total: Recording | None = None
    for name in names:
        part = load_excerpt(
            name,
            root,
            start_seconds=start_seconds,
            seconds=row.seconds,
            fill=row.fill,
            sample_rate=row.sample_rate,
        )
        if total is None:
            total = part
        else:
            _check_alike(total, names[0], part, name)
            total = Recording(total.waveform + part.waveform, total.sample_rate)
    assert total is not None, "rows name at least one file"
    return total


def _fitted(waveform: Waveform, num_samples: int, fill: Fill) -> Waveform:
    """Cut or extend (C, T) to the number of samples."""
    missing = num_samples - waveform.shape[1]
    if missing <= 0:
        return waveform[:, :num_samples]
    mode = "constant" if fill == "zeros" else "wrap"
    padded: Waveform = np.pad(waveform, ((0, 0), (0, missing)), mode)  # type: ignore[call-overload]
    return padded


def _amplify(waveform: Waveform, gain_db: float) -> Waveform:
    return (np.float32(10.0 ** (gain_db / 20.0)) * waveform).astype(np.float32, copy=False)


def _check_alike(first: Recording, first_name: str, second: Recording, second_name: str) -> None:
    """Refuse to compare or to add what does not fit, rather than to cut or to resample it."""
    if first.sample_rate != second.sample_rate:
        raise ValueError(
            f"{first_name} has {first.sample_rate} Hz, {second_name} {second.sample_rate} Hz; "
            "bring them to one rate, or give the list a sample_rate"
        )
    if first.num_channels != second.num_channels:
        raise ValueError(
            f"{first_name} has {first.num_channels} channels, {second_name} "
            f"{second.num_channels}; bring them to one number, or give the list a sample_rate, "
            "which also makes them mono"
        )
    if first.num_samples != second.num_samples:
        raise ValueError(
            f"{first_name} has {first.num_samples} samples, {second_name} {second.num_samples}; "
            "cut them alike, or give the row its seconds"
        )
