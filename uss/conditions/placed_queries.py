"""Queries for some times only: ``Dog@12-15`` is the dog from 12 to 15 s, whatever else barks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ontology import Ontology
from uss.conditions.conditioning import Conditioning
from uss.conditions.queries import Query, named_queries
from uss.core.arrays import Float32
from uss.core.clock import format_time
from uss.core.errors import InputError
from uss.core.spans import Spans, merged, split_place


@dataclass(frozen=True)
class PlacedQuery(Query):
    """A query that is separated at some times, whether it is heard there or not, and only there.

    Attributes:
        name, mid, mids, class_indexes: of the query.
        query: what is asked for.
        spans: when.
    """

    name: str
    mid: str | None
    query: Query
    spans: Spans
    class_indexes: tuple[int, ...]
    mids: tuple[str, ...] = ()

    @classmethod
    def of(cls, query: Query, spans: Spans) -> PlacedQuery:
        """Ask for a query at some times."""
        return cls(query.name, query.mid, query, spans, query.class_indexes, query.mids)

    @property
    def key(self) -> object:
        """The same at other times is another query."""
        return (self.query.key, self.spans)

    def heard_in(self, heard: Float32) -> Float32 | None:
        """As the query's."""
        return self.query.heard_in(heard)

    def check(self, conditioning: Conditioning) -> None:
        """As the query's."""
        self.query.check(conditioning)

    def conditions(self, heard: Float32, conditioning: Conditioning) -> Float32:
        """As the query's."""
        return self.query.conditions(heard, conditioning)

    def spans_from(self, start_seconds: float) -> PlacedQuery:
        """Count the times from the start of an excerpt.

        Raises:
            ValueError: if one of them lies before it.
        """
        if self.spans[0][0] < start_seconds:
            raise InputError(
                f"{self.name} is wanted from {format_time(self.spans[0][0])} on, before the "
                f"excerpt, which starts at {format_time(start_seconds)}; choose a later time"
            )
        moved = tuple((start - start_seconds, end - start_seconds) for start, end in self.spans)
        return replace(self, spans=moved)


def placed_queries(named: Any, ontology: Ontology) -> list[Query]:
    """Look up what is asked for by name, of which some may be ``NAME@START-END,START-END``.

    A name that holds an ``@`` itself is taken as it is. What is asked for at several times in turn
    is one query.

    Args:
        named: as ``named_queries``.
        ontology: knows the names.

    Raises:
        ValueError: if there is no node of a name, times make no sense, or something is asked for
            both everywhere and at some times.
    """
    listed = [named] if isinstance(named, (str, int, Query)) else named
    return united([_query(each, ontology) for each in listed])


def united(queries: Sequence[Query]) -> list[Query]:
    """Join what is asked for at several times; the order of the others stays.

    Raises:
        ValueError: if something is asked for both everywhere and at some times.
    """
    kept: dict[object, Query] = {}
    everywhere = {query.key for query in queries if not isinstance(query, PlacedQuery)}
    for query in queries:
        if not isinstance(query, PlacedQuery):
            kept.setdefault(query.key, query)
            continue
        if query.query.key in everywhere:
            raise InputError(
                f"{query.name} is asked for everywhere and at some times; leave out one of them"
            )
        earlier = kept.get(("placed", query.query.key))
        spans = earlier.spans if isinstance(earlier, PlacedQuery) else ()
        kept["placed", query.query.key] = replace(query, spans=merged([*spans, *query.spans]))
    return list(kept.values())


def placed_after(queries: Sequence[Query], start_seconds: float) -> list[Query]:
    """Count the times of queries from the start of an excerpt; see ``PlacedQuery.spans_from``."""
    return [
        query.spans_from(start_seconds) if isinstance(query, PlacedQuery) else query
        for query in queries
    ]


def _query(each: Any, ontology: Ontology) -> Query:
    if not isinstance(each, str) or "@" not in each or ontology.is_name(each):
        return named_queries([each], ontology)[0]
    name, spans = split_place(each)
    return PlacedQuery.of(named_queries([name], ontology)[0], spans)
