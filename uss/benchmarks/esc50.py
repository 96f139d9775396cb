"""ESC-50: 2,000 clips of 5 s, each a target once (the protocol of AudioSep's list)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uss.benchmarks.archives import find_prefix
from uss.benchmarks.benchmark import Benchmark, PrepareOptions, Track
from uss.benchmarks.class_names import class_mids
from uss.benchmarks.drawn_rows import drawn_rows
from uss.benchmarks.gains import ExcerptGains
from uss.benchmarks.mixed_rows import Excerpt, Source
from uss.benchmarks.pairs import PairDrawer, draw_files
from uss.benchmarks.peers import peer_rows, read_query_samples
from uss.evaluation.csv_tables import read_table
from uss.evaluation.lists.mixture_list import ListRow

_NAME = "esc50"
_CLIP_SECONDS = 5.0
_REMEDY = "name the folder ESC-50-master that the archive holds, or the one it was unpacked into"


@dataclass(frozen=True)
class _Clip:
    """A row of ``meta/esc50.csv``; clips of one recording are in one fold."""

    name: str
    fold: str
    source: Source


def make_rows(folder: Path, options: PrepareOptions, track: Track = list) -> list[ListRow]:
    """Make the list; see ``Benchmark.make_rows``."""
    clips = _read_clips(folder)
    mixing = ExcerptGains(folder, Excerpt(_CLIP_SECONDS, "zeros", options.sample_rate))
    rng = np.random.default_rng(options.seed)
    queries = _queries(clips, options, rng)
    if options.pairs is not None:
        by_name = {clip.name: clip.source for clip in clips}
        return peer_rows(options, _NAME, by_name, mixing, queries, track=track)
    sources = [clip.source for clip in clips]
    drawer = PairDrawer(sources, rng, sounds=mixing.sounds)
    if options.per_class is None:
        pairs = drawer.each_once(track)
    else:
        pairs = drawer.per_class(options.per_class, track)
    return drawn_rows(pairs, sources, mixing, seed=options.seed, queries=queries)


def _read_clips(folder: Path) -> list[_Clip]:
    prefix = find_prefix(folder, "meta/esc50.csv", ("", "ESC-50-master/"), _REMEDY)
    mids = class_mids(_NAME)
    clips = [
        _Clip(
            record["filename"],
            record["fold"],
            Source(
                f"{prefix}audio/{record['filename']}",
                record["category"],
                mids.get(record["category"], ()),
            ),
        )
        for _, record in read_table(
            folder / prefix / "meta/esc50.csv", "filename", "fold", "category"
        )
    ]
    return sorted(clips, key=lambda clip: clip.name)


def _queries(
    clips: Sequence[_Clip], options: PrepareOptions, rng: np.random.Generator
) -> dict[str, tuple[str, ...]]:
    """Examples for each target, of its class but of other folds; or a peer's for each class."""
    if options.query_samples is not None:
        files = {clip.name: clip.source.file for clip in clips}
        return read_query_samples(options.query_samples, _NAME, files)
    if not options.queries_per_class:
        return {}
    members: dict[str, list[_Clip]] = {}
    for clip in clips:
        members.setdefault(clip.source.class_name, []).append(clip)
    keys = {clip.source.file: f"{clip.source.class_name}/{clip.fold}" for clip in clips}
    others = {
        keys[clip.source.file]: [
            other.source.file
            for other in members[clip.source.class_name]
            if other.fold != clip.fold
        ]
        for clip in clips
    }
    drawn = draw_files(others, options.queries_per_class, rng)
    return {file: drawn[key] for file, key in keys.items()}


ESC50 = Benchmark(
    name=_NAME,
    title="ESC-50: environmental sounds, 50 classes, 5 s, mixed at 0 dB",
    make_rows=make_rows,
    options=(
        "seed",
        "per_class",
        "queries_per_class",
        "sample_rate",
        "pairs",
        "query_samples",
    ),
)
