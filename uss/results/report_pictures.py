"""What the report draws of each file: its waveform and its spectrogram."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uss.audio import AudioFile
from uss.audio.envelopes import Envelope
from uss.audio.spectrograms import Spectrogram
from uss.core.arrays import Float32, Waveform
from uss.core.png import indexed_png
from uss.results.result import SeparationResult

MAX_COLUMNS = 1200
"""About the width of a page in pixels."""

_MIN_COLUMNS = 100
_NUM_BANDS = 96
# Of the pixels of all spectrograms together; as text in a page they take a third more.
_MAX_PIXELS = 9_000_000
_RANGE_DB = 80.0
_NUM_COLOURS = 64
_WAVE_HEIGHT = 100
# From silent to loud: the lightness rises evenly, so that it reads without colours too.
_COLOURS = ("#0d0b1e", "#3b1a5a", "#7d2a66", "#bd4152", "#ec7a35", "#f8bd4a", "#fdf6c3")


@dataclass(frozen=True)
class Picture:
    """A file in columns of time.

    Attributes:
        low, high: (N,) lowest and highest sample of each column.
        half_decibels: (B, M) see ``Spectrogram``.
    """

    low: Float32
    high: Float32
    half_decibels: NDArray[np.uint8]

    @property
    def waveform_path(self) -> str:
        """The path of an SVG that is N wide and 100 high; its own peak fills the height."""
        peak = max(float(np.maximum(self.high, -self.low).max(initial=0.0)), 1e-4)
        half = _WAVE_HEIGHT / 2
        tops, bottoms = (
            np.round(half - half * (values / peak)).astype(int).tolist()
            for values in (self.high, self.low)
        )
        there = "L".join(f"{column} {top}" for column, top in enumerate(tops))
        back = "L".join(f"{column} {bottoms[column]}" for column in reversed(range(len(bottoms))))
        return f"M{there}L{back}Z"

    def spectrogram_url(self, loudest_half_decibels: int) -> str:
        """A ``data:`` address of the PNG, high frequencies at the top.

        Args:
            loudest_half_decibels: what has the lightest colour; 80 dB less have the darkest.
        """
        lowest = loudest_half_decibels - 2.0 * _RANGE_DB
        share = (self.half_decibels[::-1] - lowest) / (2.0 * _RANGE_DB)
        numbers = np.clip(np.round(share * (_NUM_COLOURS - 1)), 0, _NUM_COLOURS - 1)
        png = indexed_png(numbers.astype(np.uint8), _palette())
        return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


@dataclass(frozen=True)
class Pictures:
    """Those of a result.

    Attributes:
        files: of each file, by its name relative to the result's folder.
        mixture: of the sum of a folder's files, which is the recording.
    """

    files: Mapping[str, Picture] = field(default_factory=dict)
    mixture: Picture | None = None

    @property
    def loudest_half_decibels(self) -> int:
        """Of all pictures, which share one scale."""
        every = [*self.files.values(), *([self.mixture] if self.mixture else [])]
        return max((int(each.half_decibels.max(initial=0)) for each in every), default=0)


def picture_files(folder: Path, result: SeparationResult) -> Pictures:
    """Read all stems and residuals, block by block, and sum up what is to be seen of them.

    Args:
        folder: of the result.
        result: says which files there are.

    Raises:
        OSError, ValueError: if one cannot be read.
    """
    groups: dict[str, list[str]] = {group: [] for group in result.residuals}
    for stem in result.stems:
        if stem.file is not None:
            groups[stem.group].append(stem.file)
    for group, residual in result.residuals.items():
        groups[group].append(residual)
    count = 1 + sum(map(len, groups.values()))
    num_columns = _MAX_PIXELS // (_NUM_BANDS * count)
    num_columns = max(_MIN_COLUMNS, min(MAX_COLUMNS, num_columns))
    files: dict[str, Picture] = {}
    mixture = None
    for names in groups.values():
        drawn = _drawn([folder / name for name in names], result, num_columns)
        files.update(zip(names, drawn, strict=False))
        mixture = mixture or drawn[-1]
    return Pictures(files, mixture)


class _Drawing:
    """A picture that grows."""

    def __init__(self, sample_rate: int, num_samples: int, num_columns: int) -> None:
        self._num_columns = num_columns
        self._envelope = Envelope(sample_rate)
        self._spectrogram = Spectrogram(sample_rate, num_samples, num_columns, _NUM_BANDS)

    def add(self, waveform: Waveform) -> None:
        self._envelope.add(waveform)
        self._spectrogram.add(waveform)

    def finished(self) -> Picture:
        self._spectrogram.finish()
        low, high = self._envelope.low, self._envelope.high
        if len(low) > self._num_columns:
            firsts = np.arange(self._num_columns) * len(low) // self._num_columns
            low, high = np.minimum.reduceat(low, firsts), np.maximum.reduceat(high, firsts)
        return Picture(low, high, self._spectrogram.half_decibels)


def _drawn(paths: Sequence[Path], result: SeparationResult, num_columns: int) -> list[Picture]:
    """Draw files that are read together; last, their sum."""
    num_samples = round(result.duration_seconds * result.sample_rate)
    drawings = [
        _Drawing(result.sample_rate, num_samples, num_columns) for _ in range(len(paths) + 1)
    ]
    sources = (AudioFile(path).blocks() for path in paths)
    # All are of one length, rate and format, so that their blocks are too.
    for blocks in zip(*sources, strict=True):
        for drawing, block in zip(drawings, (*blocks, _sum(blocks)), strict=True):
            drawing.add(block)
    return [drawing.finished() for drawing in drawings]


def _sum(blocks: Sequence[Waveform]) -> Waveform:
    """Add up blocks; damaged floats may be as large as floats are, and their sum larger."""
    largest = float(np.finfo(np.float32).max)
    return np.sum(blocks, axis=0, dtype=np.float64).clip(-largest, largest).astype(np.float32)


def _palette() -> NDArray[np.uint8]:
    """(64, 3) colours."""
    stops = np.array([[int(each[i : i + 2], 16) for i in (1, 3, 5)] for each in _COLOURS])
    places = np.linspace(0.0, len(stops) - 1.0, _NUM_COLOURS)
    channels = [np.interp(places, np.arange(len(stops)), stops[:, part]) for part in range(3)]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)
