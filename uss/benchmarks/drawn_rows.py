"""Rows of pairs that were drawn: mixed at 0 dB, each with examples of its target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from uss.benchmarks.gains import ExcerptGains
from uss.benchmarks.mixed_rows import Source, mixed_row
from uss.benchmarks.pairs import Pair
from uss.evaluation.lists.mixture_list import ListRow


def drawn_rows(
    pairs: Iterable[Pair],
    sources: Sequence[Source],
    mixing: ExcerptGains,
    *,
    seed: int,
    queries: Mapping[str, tuple[str, ...]] | None = None,
) -> list[ListRow]:
    """Describe the mixtures of pairs, in their order.

    Args:
        pairs: indexes of sources.
        sources: of the data set.
        mixing: how they are read and measured.
        seed: that the pairs and queries were drawn with.
        queries: see ``query_for``.

    Raises:
        OSError, InputError: if a source cannot be read or is silent.
    """
    rows = []
    for pair in pairs:
        target, interferer = sources[pair.target], sources[pair.interferer]
        gains = mixing.matched(target, interferer)
        query = query_for(target, queries or {})
        rows.append(mixed_row(target, interferer, mixing.excerpt, gains, query=query, seed=seed))
    return rows


def query_for(target: Source, queries: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Find the examples of a target: its own by its file, else those of its class; or none."""
    return queries.get(target.file) or queries.get(target.class_name, ())
