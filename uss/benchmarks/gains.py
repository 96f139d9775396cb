"""How loud excerpts are as the evaluation reads them, and the gains that follow."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from uss.audio import SILENCE_PEAK
from uss.benchmarks.mixed_rows import Excerpt, Gains, Source
from uss.core.arrays import Waveform
from uss.core.errors import InputError
from uss.data.mixing import MAX_GAIN, MIN_GAIN
from uss.evaluation.excerpts import load_excerpt

_LIMITED_PEAK = 0.9
_KEPT_WAVEFORMS = 256


class Loudness(NamedTuple):
    """Of an excerpt, over all channels."""

    energy: float
    peak: float


def loudness_of(waveform: Waveform) -> Loudness:
    """Measure (C, T)."""
    return Loudness(
        float(np.square(waveform, dtype=np.float64).sum()),
        float(np.abs(waveform).max(initial=0.0)),
    )


def matching_gain(target_energy: float, interferer_energy: float) -> float:
    """Gain of the interferer for 0 dB, within the bounds of the released USS system (eq. 7)."""
    return min(max(math.sqrt(target_energy / interferer_energy), MIN_GAIN), MAX_GAIN)


def in_db(gain: float) -> float:
    """Convert an amplitude factor to dB, to a ten-thousandth."""
    return round(20.0 * math.log10(gain), 4) + 0.0


class ExcerptGains:
    """Reads excerpts, measures each once, and finds the gains that mix two of them.

    Args:
        root: folder that the files' names start from.
        excerpt: how they are read.
    """

    def __init__(self, root: Path, excerpt: Excerpt) -> None:
        self.root = root
        self.excerpt = excerpt
        self._waveform = functools.lru_cache(_KEPT_WAVEFORMS)(self._read)
        self._loudness = functools.cache(self._measure)

    def sounds(self, source: Source) -> bool:
        """Whether the excerpt is louder than -80 dBFS somewhere."""
        return self._loudness(source.file, source.start_seconds).peak >= SILENCE_PEAK

    def matched(self, target: Source, interferer: Source) -> Gains:
        """Match the interferer's energy with the target's (eq. 7).

        Raises:
            OSError, InputError: as ``load_excerpt``, and if one of them is silent.
        """
        ratio = matching_gain(*(self._energy(source) for source in (target, interferer)))
        return Gains(0.0, in_db(ratio))

    def limited(self, target: Source, interferer: Source, snr_db: float = 0.0) -> Gains:
        """Set a signal-to-noise ratio, and bring a mixture that exceeds full scale to 0.9.

        Raises:
            OSError, InputError: as ``load_excerpt``, and if one of them is silent.
        """
        energies = (self._energy(source) for source in (target, interferer))
        ratio = math.sqrt(next(energies) / next(energies)) * 10.0 ** (-snr_db / 20.0)
        first, second = (self._waveform(s.file, s.start_seconds) for s in (target, interferer))
        peak = float(np.abs(first + np.float32(ratio) * second).max())
        scale = _LIMITED_PEAK / peak if peak > 1.0 else 1.0
        return Gains(in_db(scale), in_db(scale * ratio))

    def _energy(self, source: Source) -> float:
        if not self.sounds(source):
            raise InputError(
                f"{self.root / source.file} is silent from {source.start_seconds:g} s on; "
                "leave it out"
            )
        return self._loudness(source.file, source.start_seconds).energy

    def _measure(self, file: str, start_seconds: float) -> Loudness:
        return loudness_of(self._waveform(file, start_seconds))

    def _read(self, file: str, start_seconds: float) -> Waveform:
        return load_excerpt(
            file,
            self.root,
            start_seconds=start_seconds,
            seconds=self.excerpt.seconds,
            fill=self.excerpt.fill,
            sample_rate=self.excerpt.sample_rate,
        ).waveform
