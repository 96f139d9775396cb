"""AudioSet's evaluation set, or any manifest: mixtures of two mined anchors (section 4.4)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ontology import load_ontology
from uss.benchmarks.benchmark import Benchmark, Mining, PrepareOptions, Track
from uss.benchmarks.drawn_rows import drawn_rows
from uss.benchmarks.gains import ExcerptGains
from uss.benchmarks.mixed_rows import Excerpt, Source
from uss.benchmarks.pairs import PairDrawer
from uss.benchmarks.peers import mixture_rows, read_pairs
from uss.core.errors import InputError
from uss.data.active_classes import ActiveClasses
from uss.data.locating import locate
from uss.data.manifest import Clip, read_manifest
from uss.evaluation.lists.mixture_list import ListRow
from uss.shards import ShardReader

_TAG_THRESHOLD = 0.5
_AUDIOSEP_SECONDS = 2.0


def manifest_of(folder: Path, options: PrepareOptions, mining: Mining) -> Path:
    """Return the manifest that is meant.

    Raises:
        FileNotFoundError: if there is no such folder or file.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; name the one that holds the clips")
    path = options.manifest or folder / mining.manifest
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such manifest; put {mining.manifest} there or name another with --manifest"
        )
    return path


def make_audioset_rows(folder: Path, options: PrepareOptions, track: Track = list) -> list[ListRow]:
    """Make the list of AudioSet's evaluation set; see ``Benchmark.make_rows``."""
    if options.pairs is None:
        return _mined_rows(folder, options, _AUDIOSET_MINING, track)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; name the one of AudioSep's data")
    mids = {node.name: node.mid for node in load_ontology().classes}
    excerpt = Excerpt(_AUDIOSEP_SECONDS, "zeros", options.sample_rate)
    return mixture_rows(read_pairs(options.pairs), folder, excerpt, mids, track)


def make_clips_rows(folder: Path, options: PrepareOptions, track: Track = list) -> list[ListRow]:
    """Make the list of a manifest's clips; see ``Benchmark.make_rows``."""
    return _mined_rows(folder, options, _CLIPS_MINING, track)


def _mined_rows(
    folder: Path, options: PrepareOptions, mining: Mining, track: Track
) -> list[ListRow]:
    if options.shards is None:
        raise InputError("the mixtures are made of mined anchors; name their folder with --shards")
    clips = read_manifest(manifest_of(folder, options, mining), options.split)
    with ShardReader(options.shards) as reader:
        settings = reader.settings
        sources = _sources(reader, locate(clips, folder), options.shards)
        conflict = _exclusion(reader)
    seconds = settings.segment_samples / settings.sample_rate
    mixing = ExcerptGains(folder, Excerpt(seconds, "zeros", options.sample_rate))
    drawer = PairDrawer(
        sources,
        np.random.default_rng(options.seed),
        sounds=mixing.sounds,
        conflict=conflict,
        partners="classes",
    )
    if options.count is not None:
        pairs = drawer.in_all(options.count, track)
    else:
        assert options.per_class is not None, "the defaults say how many"
        pairs = drawer.per_class(options.per_class, track)
    return drawn_rows(pairs, sources, mixing, seed=options.seed)


def _exclusion(reader: ShardReader) -> Callable[[int, int], bool]:
    """Anchors exclude each other as in training, and if the class of one sounds in the other."""
    classes = ActiveClasses.of(
        reader.labels,
        reader.tag_probabilities,
        _TAG_THRESHOLD,
        reader.settings.ontology,
        "specific",
    )
    asked = reader.class_index

    def conflict(first: int, second: int) -> bool:
        return bool(
            classes.conflict(first, second)
            or classes.active[second, asked[first]]
            or classes.active[first, asked[second]]
        )

    return conflict


def _sources(reader: ShardReader, clips: list[Clip], shards: Path) -> list[Source]:
    """Name the files of the anchors, in the order of the shards."""
    path_of = {clip.clip_id: clip.path for clip in clips}
    classes = reader.settings.ontology.classes
    sources = []
    for clip_id, index, start_seconds in zip(
        reader.clip_id, reader.class_index.tolist(), reader.start_seconds.tolist(), strict=True
    ):
        if not path_of.get(clip_id):
            raise InputError(
                f"{shards} holds an anchor of the clip {clip_id!r}, which the manifest lacks or "
                "has no file; name another folder for the shards"
            )
        node = classes[index]
        sources.append(Source(path_of[clip_id], node.name, (node.mid,), start_seconds))
    return sources


_AUDIOSET_MINING = Mining("eval_segments.csv", "all")
_CLIPS_MINING = Mining("clips.csv", "specific")

AUDIOSET = Benchmark(
    name="audioset",
    title="AudioSet's evaluation set: mined anchors of 527 classes, 2 s, mixed at 0 dB",
    make_rows=make_audioset_rows,
    options=("seed", "per_class", "sample_rate", "pairs", "manifest", "shards", "tagger"),
    defaults=PrepareOptions(per_class=100, queries_per_class=0),
    mining=_AUDIOSET_MINING,
)
CLIPS = Benchmark(
    name="clips",
    title="clips of your own manifest: mined anchors, 2 s, mixed at 0 dB",
    make_rows=make_clips_rows,
    options=(
        "seed",
        "per_class",
        "count",
        "sample_rate",
        "manifest",
        "split",
        "shards",
        "tagger",
    ),
    defaults=PrepareOptions(per_class=10, queries_per_class=0),
    mining=_CLIPS_MINING,
)
