"""From a row of an evaluation list to waveforms."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from uss.audio import Recording
from uss.core.arrays import Waveform
from uss.core.errors import InputError
from uss.evaluation.excerpts import load_excerpt
from uss.evaluation.lists.mixture_list import ListRow


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


def load_mixture(row: ListRow, root: Path) -> Mixture:
    """Read and mix what a row says.

    Raises:
        OSError, InputError: if a file is missing, cannot be read or holds samples that are not
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
