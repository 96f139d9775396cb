"""Slakh2100: synthesised songs; what one plugin plays is separated from all the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from uss.audio import SILENCE_PEAK
from uss.benchmarks.benchmark import Benchmark, PrepareOptions, Track
from uss.benchmarks.class_names import class_mids
from uss.core.errors import InputError
from uss.evaluation.excerpts import load_excerpt
from uss.evaluation.lists.mixture_list import ListRow

_NAME = "slakh2100"
_PER_CLASS = 100
_SEGMENT_SECONDS = 2.0
# What the released evaluation of USS takes: segments that exceed this, of plugins with more of them
# than that. The paper's 151 plugins are those that are left.
_SEGMENT_PEAK = 0.1
_TOO_FEW_SEGMENTS = 10
_SUFFIXES = (".flac", ".wav")
_REMEDY = "name the folder that holds test/TrackNNNNN/metadata.yaml, mix.flac and stems/SNN.flac"


@dataclass(frozen=True)
class _Part:
    """What one plugin plays in a song.

    Attributes:
        plugin, instrument: ``plugin_name`` and ``inst_class`` of the metadata.
        stems: its files.
        mixture: file of the song.
    """

    plugin: str
    instrument: str
    stems: tuple[str, ...]
    mixture: str

    def row(self, options: PrepareOptions, start_seconds: float | None) -> ListRow:
        """Describe a segment, or the whole song."""
        is_segment = start_seconds is not None
        return ListRow(
            target=self.stems,
            mixture=self.mixture,
            class_name=self.plugin,
            mids=class_mids(_NAME).get(self.instrument, ()),
            group=self.instrument,
            target_start_seconds=start_seconds or 0.0,
            seconds=_SEGMENT_SECONDS if is_segment else None,
            sample_rate=options.sample_rate,
            seed=options.seed if is_segment else None,
        )


def make_rows(folder: Path, options: PrepareOptions, track: Track = list) -> list[ListRow]:
    """Make the list; see ``Benchmark.make_rows``."""
    songs = sorted(path.parent for path in (folder / "test").glob("*/metadata.yaml"))
    if not songs:
        raise FileNotFoundError(f"{folder} holds no songs; {_REMEDY}")
    parts = [part for song in songs for part in _parts(folder, song)]
    segments: dict[str, list[tuple[_Part, float]]] = {}
    rows: list[ListRow] = []
    for part in track(parts):
        peaks = _segment_peaks(part, folder, options.sample_rate)
        if options.whole_songs:
            if max(peaks) >= SILENCE_PEAK:
                rows.append(part.row(options, None))
        else:
            segments.setdefault(part.plugin, []).extend(
                (part, index * _SEGMENT_SECONDS)
                for index, peak in enumerate(peaks)
                if peak > _SEGMENT_PEAK
            )
    if not options.whole_songs:
        rows = _draw_segments(segments, options)
    if not rows:
        raise InputError(
            f"no plugin of {folder} sounds in more than {_TOO_FEW_SEGMENTS} segments of "
            f"{_SEGMENT_SECONDS:g} s; unpack all songs, or ask for --whole-songs"
        )
    return rows


def _draw_segments(
    segments: dict[str, list[tuple[_Part, float]]], options: PrepareOptions
) -> list[ListRow]:
    rng = np.random.default_rng(options.seed)
    rows = []
    for plugin in sorted(segments):
        found = segments[plugin]
        if len(found) > _TOO_FEW_SEGMENTS:
            chosen = rng.permutation(len(found))[: options.per_class or _PER_CLASS]
            rows += [found[index][0].row(options, found[index][1]) for index in sorted(chosen)]
    return rows


def _parts(folder: Path, song: Path) -> list[_Part]:
    """Group the stems of a song that were rendered."""
    stems = _read_stems(song / "metadata.yaml")
    files: dict[str, list[str]] = {}
    instruments: dict[str, str] = {}
    for name in sorted(stems):
        stem = stems[name]
        if stem.get("audio_rendered", True):
            plugin = str(stem.get("plugin_name", ""))
            files.setdefault(plugin, []).append(_audio_file(folder, song / "stems" / name))
            instruments.setdefault(plugin, str(stem.get("inst_class", "")))
    mixture = _audio_file(folder, song / "mix")
    return [
        _Part(plugin, instruments[plugin], tuple(names), mixture)
        for plugin, names in sorted(files.items())
        if plugin not in ("", "None")
    ]


def _read_stems(path: Path) -> dict[str, dict[str, Any]]:
    try:
        metadata = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no YAML file ({error}); unpack the song again") from error
    stems = metadata.get("stems") if isinstance(metadata, dict) else None
    if not isinstance(stems, dict) or not all(isinstance(s, dict) for s in stems.values()):
        raise InputError(f"{path} names no stems; unpack the song again")
    return {str(name): stem for name, stem in stems.items()}


def _audio_file(folder: Path, stem: Path) -> str:
    for suffix in _SUFFIXES:
        path = stem.with_name(stem.name + suffix)
        if path.is_file():
            return path.relative_to(folder).as_posix()
    raise FileNotFoundError(f"{stem}{_SUFFIXES[0]}: no such file; unpack the song again")


def _segment_peaks(part: _Part, folder: Path, sample_rate: int | None) -> Sequence[float]:
    """Peak of each whole segment of what the plugin plays; of all of it if it is shorter."""
    total: Any = 0.0
    rate = 0
    for name in part.stems:
        recording = load_excerpt(name, folder, sample_rate=sample_rate)
        if rate and recording.waveform.shape != total.shape:
            raise InputError(f"{name} is not as long as {part.stems[0]}; unpack the song again")
        total, rate = total + recording.waveform, recording.sample_rate
    peaks = np.abs(total).max(axis=0)
    num_samples = round(_SEGMENT_SECONDS * rate)
    if len(peaks) < num_samples:
        return [float(peaks.max())]
    whole = peaks[: len(peaks) // num_samples * num_samples].reshape(-1, num_samples)
    result: list[float] = whole.max(axis=1).tolist()
    return result


SLAKH2100 = Benchmark(
    name=_NAME,
    title="Slakh2100: 151 plugins in the mixtures of 225 synthesised songs",
    make_rows=make_rows,
    options=("seed", "per_class", "sample_rate", "whole_songs"),
    defaults=PrepareOptions(per_class=_PER_CLASS, queries_per_class=0, sample_rate=None),
)
