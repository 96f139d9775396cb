"""What a benchmark is, and what may be chosen when its list is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from uss.evaluation.lists.mixture_list import ListRow

Track: TypeAlias = Callable[[Sequence[Any]], Iterable[Any]]
"""Goes through a sequence and shows how far it is; ``list`` shows nothing."""


@dataclass(frozen=True, kw_only=True)
class PrepareOptions:
    """What may be chosen; ``Benchmark.options`` names what a benchmark heeds.

    Attributes:
        seed: of all that is drawn.
        per_class: mixtures per class; None for as many as the protocol says.
        count: mixtures in all, spread over the classes; goes before ``per_class``.
        queries_per_class: files given as examples of a class; 0 for none.
        sample_rate: written into the list, see ``ListRow``.
        pairs: a peer's list of pairs, to be taken as it is.
        query_samples: a peer's list of example files.
        manifest: the clips of a benchmark that is mined; None for the one in the folder.
        split: of the manifest, or of the data set's folders.
        shards: folder of the mined anchors.
        tagger: that mines them.
        whole_songs: whole songs, not segments of them.
    """

    seed: int = 0
    per_class: int | None = None
    count: int | None = None
    queries_per_class: int = 10
    sample_rate: int | None = 32_000
    pairs: Path | None = None
    query_samples: Path | None = None
    manifest: Path | None = None
    split: str | None = None
    shards: Path | None = None
    tagger: str = "default"
    whole_songs: bool = False


@dataclass(frozen=True)
class Mining:
    """How the anchors are mined that a benchmark is made of.

    Attributes:
        manifest: name of the file in the data set's folder.
        labels: which labels anchors are mined for, see ``uss.mining.miner.MiningSettings``.
    """

    manifest: str
    labels: str


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A data set and the protocol by which mixtures are made of it.

    Attributes:
        name: on the command line.
        title: one line for people.
        make_rows: (folder, options, track) to the rows of the list, whose paths are relative to
            the folder; raises ``OSError`` and ``InputError`` where the folder is not as published.
        options: names of the ``PrepareOptions`` it heeds.
        defaults: the options of its protocol.
        metrics: what is customarily measured on it beside SDR, SDRi and SI-SDR.
        mining: None where nothing is mined.
    """

    name: str
    title: str
    make_rows: Callable[[Path, PrepareOptions, Track], list[ListRow]]
    options: tuple[str, ...]
    defaults: PrepareOptions = PrepareOptions()
    metrics: tuple[str, ...] = ()
    mining: Mining | None = None
