"""Sources of mixtures, and how a pair of them becomes a row of a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from uss.evaluation.excerpts import Fill
from uss.evaluation.lists.mixture_list import ListRow


@dataclass(frozen=True)
class Source:
    """What can be a target or an interferer.

    Attributes:
        file: relative to the data set's folder.
        class_name: as the data set calls its class.
        mids: AudioSet ids of the class; empty where AudioSet has none.
        start_seconds: where the excerpt starts.
    """

    file: str
    class_name: str
    mids: tuple[str, ...] = ()
    start_seconds: float = 0.0


@dataclass(frozen=True)
class Excerpt:
    """How all files of a list are read; see ``ListRow``."""

    seconds: float | None = None
    fill: Fill = "zeros"
    sample_rate: int | None = None


class Gains(NamedTuple):
    """What the two sources are amplified by."""

    target_db: float
    interferer_db: float


def mixed_row(
    target: Source,
    interferer: Source,
    excerpt: Excerpt,
    gains: Gains,
    *,
    query: tuple[str, ...] = (),
    seed: int | None = None,
) -> ListRow:
    """Describe the mixture of two sources; the queries are those that are not mixed."""
    return ListRow(
        target=(target.file,),
        interferer=(interferer.file,),
        query=tuple(file for file in query if file not in (target.file, interferer.file)),
        class_name=target.class_name,
        mids=target.mids,
        interferer_class=interferer.class_name,
        interferer_mids=interferer.mids,
        target_start_seconds=target.start_seconds,
        interferer_start_seconds=interferer.start_seconds,
        seconds=excerpt.seconds,
        fill=excerpt.fill,
        target_gain_db=gains.target_db,
        interferer_gain_db=gains.interferer_db,
        sample_rate=excerpt.sample_rate,
        seed=seed,
    )
