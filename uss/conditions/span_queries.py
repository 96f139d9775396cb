"""Queries by spans: what sounds in marked seconds of the very recording that is separated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from uss.audio import AudioSource
from uss.conditions.audio_queries import AudioEncoder, heard_in_examples
from uss.conditions.placed_queries import PlacedQuery
from uss.conditions.queries import AudioQuery, Query
from uss.core.clock import format_time
from uss.core.errors import InputError
from uss.core.runtime import Runtime
from uss.core.spans import Span, Spans, between, merged, overlap_of
from uss.taggers import TaggerNetwork

ReadPart = Callable[[float, float], AudioSource]
"""Gives the part of a recording between two times in seconds."""

REST_WEIGHT = 0.5
"""How much of what tells a span from the rest is added to it; see ``docs/separation.md``."""

_MAX_RESTS = 12
_LEAST_REST_SECONDS = 0.3


@dataclass(frozen=True, eq=False)
class SpanQuery(AudioQuery):
    """What sounds like marked seconds of the recording.

    Attributes:
        name, space, vector, probabilities: see ``AudioQuery``.
        marked: these seconds.
    """

    marked: Spans = ()


@dataclass(frozen=True)
class SpanMaker:
    """Makes queries of spans for one separator.

    Attributes:
        encoder: makes conditions.
        tagger: says which classes spans are of.
        segment_seconds: what the separator was trained on.
        runtime: where networks run.
        rest_weight: of what tells marked from unmarked seconds, where conditions are embeddings.
    """

    encoder: AudioEncoder
    tagger: TaggerNetwork
    segment_seconds: float
    runtime: Runtime
    rest_weight: float = REST_WEIGHT

    def queries(
        self, spans: Sequence[Span], read: ReadPart, heard: tuple[float, float]
    ) -> list[SpanQuery]:
        """Make one query for each name.

        Args:
            spans: with ends that the recording has.
            read: reads them, and some of what is not marked.
            heard: (start, end) of what is separated, to which the rest belongs.

        Raises:
            OSError, ValueError: if a part cannot be read, or all spans of a name are silent.
        """
        named: dict[str, list[tuple[float, float]]] = {}
        for each in spans:
            named.setdefault(each.name, []).append((each.start_seconds, each.end_seconds))
        return [self._query(name, merged(own), read, heard) for name, own in named.items()]

    def _query(
        self, name: str, spans: Spans, read: ReadPart, heard: tuple[float, float]
    ) -> SpanQuery:
        inside = self._heard(name, (read(*span) for span in spans))
        if inside is None:
            raise InputError(f"{name!r} is marked where all is silent; mark where it sounds")
        query = SpanQuery(name, inside.space, inside.vector, inside.probabilities, marked=spans)
        if not self.encoder.is_embedding or not self.rest_weight:
            return query
        rest = self._heard(name, (read(*each) for each in self._rests(spans, *heard)))
        if rest is None:
            return query
        vector = query.vector + self.rest_weight * (query.vector - rest.vector)
        return replace(query, vector=vector.astype(np.float32))

    def _heard(self, name: str, parts: Iterator[AudioSource]) -> AudioQuery | None:
        return heard_in_examples(
            name,
            parts,
            self.encoder,
            self.tagger,
            segment_seconds=self.segment_seconds,
            runtime=self.runtime,
        )

    def _rests(self, spans: Spans, start: float, end: float) -> Spans:
        """Choose segments that are not marked, evenly among all of them."""
        gaps = between(overlap_of(spans, start, end), end - start)
        rests = [each for gap in gaps for each in self._cut(start + gap[0], start + gap[1])]
        chosen = np.linspace(0, len(rests) - 1, min(_MAX_RESTS, len(rests))).round().astype(int)
        return tuple(rests[index] for index in chosen)

    def _cut(self, start: float, end: float) -> Iterator[tuple[float, float]]:
        while end - start >= _LEAST_REST_SECONDS:
            yield start, min(start + self.segment_seconds, end)
            start += self.segment_seconds


def only_where_marked(query: SpanQuery, start_seconds: float, end_seconds: float) -> Query:
    """Ask for what is marked at these times alone, counted from the start of an excerpt.

    Raises:
        ValueError: if the excerpt holds none of them.
    """
    inside = overlap_of(query.marked, start_seconds, end_seconds)
    if not inside:
        raise InputError(
            f"{query.name!r} is marked nowhere between {format_time(start_seconds)} and "
            f"{format_time(end_seconds)}, and wanted where it is marked alone; separate that part"
        )
    return PlacedQuery.of(query, inside)
