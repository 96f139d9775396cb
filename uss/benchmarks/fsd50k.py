"""FSD50K: clips with several labels of AudioSet's ontology, 2 s from their start."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uss.benchmarks.archives import find_prefix
from uss.benchmarks.benchmark import Benchmark, PrepareOptions, Track
from uss.benchmarks.drawn_rows import drawn_rows
from uss.benchmarks.exclusion import LabelExclusion
from uss.benchmarks.gains import ExcerptGains
from uss.benchmarks.mixed_rows import Excerpt, Source
from uss.benchmarks.pairs import PairDrawer, draw_files
from uss.core.errors import InputError
from uss.evaluation.csv_tables import read_table
from uss.evaluation.lists.mixture_list import ListRow

_SEGMENT_SECONDS = 2.0
_PER_CLASS = 100
_GROUND_TRUTH = "FSD50K.ground_truth"
_REMEDY = (
    "name the folder that FSD50K.ground_truth.zip, FSD50K.eval_audio.zip and, for queries, "
    "FSD50K.dev_audio.zip were unpacked into"
)


@dataclass(frozen=True)
class _Clip:
    """A clip; its class is the first of its labels, as in the released evaluation of USS."""

    source: Source
    label_mids: tuple[str, ...]


def make_rows(folder: Path, options: PrepareOptions, track: Track = list) -> list[ListRow]:
    """Make the list; see ``Benchmark.make_rows``."""
    clips = _read_clips(folder, "eval")
    sources = [clip.source for clip in clips]
    mixing = ExcerptGains(folder, Excerpt(_SEGMENT_SECONDS, "repeat", options.sample_rate))
    rng = np.random.default_rng(options.seed)
    queries = _queries(folder, options, rng)
    drawer = PairDrawer(
        sources,
        rng,
        sounds=mixing.sounds,
        conflict=LabelExclusion(
            [clip.label_mids for clip in clips], [source.mids[0] for source in sources]
        ),
    )
    pairs = drawer.per_class(options.per_class or _PER_CLASS, track)
    return drawn_rows(pairs, sources, mixing, seed=options.seed, queries=queries)


def _read_clips(folder: Path, split: str) -> list[_Clip]:
    find_prefix(folder, f"{_GROUND_TRUTH}/{split}.csv", ("",), _REMEDY)
    mids = _read_vocabulary(folder)
    path = folder / _GROUND_TRUTH / f"{split}.csv"
    clips = []
    for number, record in read_table(path, "fname", "labels", "mids"):
        name = record["labels"].split(",")[0]
        if name not in mids:
            raise InputError(
                f"{path}, row {number}: label {name!r} is not in vocabulary.csv; take both files "
                "from one archive"
            )
        file = f"FSD50K.{split}_audio/{record['fname']}.wav"
        labels = tuple(filter(None, record["mids"].split(",")))
        clips.append(_Clip(Source(file, name, (mids[name],)), labels))
    return sorted(clips, key=lambda clip: clip.source.file)


def _read_vocabulary(folder: Path) -> dict[str, str]:
    """Read ``vocabulary.csv``, which has no header: index, label, mid."""
    find_prefix(folder, f"{_GROUND_TRUTH}/vocabulary.csv", ("",), _REMEDY)
    path = folder / _GROUND_TRUTH / "vocabulary.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file ({error}); unpack it again") from error
    if any(len(row) != 3 for row in rows):
        raise InputError(f"{path} does not have three columns (index, label, mid); unpack it again")
    return {label: mid for _, label, mid in rows}


def _queries(
    folder: Path, options: PrepareOptions, rng: np.random.Generator
) -> dict[str, tuple[str, ...]]:
    """Examples from the development split, by their first label."""
    if not options.queries_per_class:
        return {}
    files: dict[str, list[str]] = {}
    for clip in _read_clips(folder, "dev"):
        files.setdefault(clip.source.class_name, []).append(clip.source.file)
    return draw_files(files, options.queries_per_class, rng)


FSD50K = Benchmark(
    name="fsd50k",
    title="FSD50K: Freesound clips of 195 classes of AudioSet, 2 s, mixed at 0 dB",
    make_rows=make_rows,
    options=("seed", "per_class", "queries_per_class", "sample_rate"),
    defaults=PrepareOptions(per_class=_PER_CLASS),
)
