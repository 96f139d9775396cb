"""FSDKaggle2018: single-label clips of 41 classes, 2 s from their start (section 4.4)."""

from __future__ import annotations

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

_NAME = "fsdkaggle2018"
_SEGMENT_SECONDS = 2.0
# CLAPSep says nothing of these clips' length; its released evaluation of AudioCaps takes 10 s.
_CLAPSEP_SECONDS = 10.0
_PER_CLASS = 100
_TEST = "FSDKaggle2018.meta/test_post_competition_scoring_clips.csv"
_TRAIN = "FSDKaggle2018.meta/train_post_competition.csv"
_REMEDY = (
    "name the folder that FSDKaggle2018.meta.zip, FSDKaggle2018.audio_test.zip and, for queries, "
    "FSDKaggle2018.audio_train.zip were unpacked into"
)


def make_rows(folder: Path, options: PrepareOptions, track: Track = list) -> list[ListRow]:
    """Make the list; see ``Benchmark.make_rows``."""
    find_prefix(folder, _TEST, ("",), _REMEDY)
    sources = _read_test(folder)
    rng = np.random.default_rng(options.seed)
    queries = _queries(folder, options, sources, rng)
    if options.pairs is not None:
        excerpt = Excerpt(_CLAPSEP_SECONDS, "zeros", options.sample_rate)
        mixing = ExcerptGains(folder, excerpt)
        return peer_rows(options, _NAME, sources, mixing, queries, track=track)
    mixing = ExcerptGains(folder, Excerpt(_SEGMENT_SECONDS, "repeat", options.sample_rate))
    clips = [sources[name] for name in sorted(sources)]
    pairs = PairDrawer(clips, rng, sounds=mixing.sounds).per_class(
        options.per_class or _PER_CLASS, track
    )
    return drawn_rows(pairs, clips, mixing, seed=options.seed, queries=queries)


def _read_test(folder: Path) -> dict[str, Source]:
    mids = class_mids(_NAME)
    return {
        record["fname"]: Source(
            f"FSDKaggle2018.audio_test/{record['fname']}",
            record["label"],
            mids.get(record["label"], ()),
        )
        for _, record in read_table(folder / _TEST, "fname", "label")
    }


def _queries(
    folder: Path, options: PrepareOptions, tests: dict[str, Source], rng: np.random.Generator
) -> dict[str, tuple[str, ...]]:
    """Examples from the training split, of those whose label was checked by people."""
    if options.query_samples is None and not options.queries_per_class:
        return {}
    find_prefix(folder, _TRAIN, ("",), f"{_REMEDY}, or ask for --queries-per-class 0")
    records = [record for _, record in read_table(folder / _TRAIN, "fname", "label")]
    if options.query_samples is not None:
        files = {name: source.file for name, source in tests.items()}
        files |= {row["fname"]: _train_file(row["fname"]) for row in records}
        return read_query_samples(options.query_samples, _NAME, files)
    files_of: dict[str, list[str]] = {}
    for record in sorted(records, key=lambda row: row["fname"]):
        if record.get("manually_verified", "1") == "1":
            files_of.setdefault(record["label"], []).append(_train_file(record["fname"]))
    return draw_files(files_of, options.queries_per_class, rng)


def _train_file(name: str) -> str:
    return f"FSDKaggle2018.audio_train/{name}"


FSDKAGGLE2018 = Benchmark(
    name=_NAME,
    title="FSDKaggle2018: instruments, people, things and animals, 41 classes, 2 s, mixed at 0 dB",
    make_rows=make_rows,
    options=(
        "seed",
        "per_class",
        "queries_per_class",
        "sample_rate",
        "pairs",
        "query_samples",
    ),
    defaults=PrepareOptions(per_class=_PER_CLASS),
)
