"""What results say of what was asked: words and what they mean, marked seconds, exclusions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ontology import Ontology
from uss.conditions.placed_queries import PlacedQuery
from uss.conditions.queries import Query
from uss.conditions.span_queries import SpanQuery
from uss.conditions.text_queries import MeantClass, TextQuery


@dataclass(frozen=True)
class ExcludedSound:
    """What must be in no stem.

    Attributes:
        name: as it was asked for.
        understood: the classes, or nodes above classes, that this means; none of a recording, or of
            words that only the separator's own encoder understands.
    """

    name: str
    understood: tuple[MeantClass, ...] = ()

    def __str__(self) -> str:
        """The name, and what it means where that is something else."""
        means = "; ".join(each.name for each in self.understood)
        return self.name if means in ("", self.name) else f"{self.name} ({means})"


def asked_with(query: Query) -> dict[str, Any]:
    """Give the words that asked for something, and what they mean, or the seconds that did."""
    asked = query.query if isinstance(query, PlacedQuery) else query
    if isinstance(asked, SpanQuery):
        return {"marked": asked.marked}
    if not isinstance(asked, TextQuery):
        return {}
    return {"text": asked.name, "understood": asked.understood}


def excluded_sounds(without: Sequence[Query], ontology: Ontology) -> tuple[ExcludedSound, ...]:
    """Say what queries against something were understood as."""
    return tuple(ExcludedSound(each.name, _understood(each, ontology)) for each in without)


def meant_classes(content: Iterable[Mapping[str, Any]]) -> tuple[MeantClass, ...]:
    """Take them from ``detections.json``."""
    return tuple(MeantClass(**each) for each in content)


def _understood(query: Query, ontology: Ontology) -> tuple[MeantClass, ...]:
    if isinstance(query, TextQuery):
        return query.understood
    mids = query.mids or ((query.mid,) if query.mid is not None else ())
    nodes = (ontology.nodes[mid] for mid in mids)
    return tuple(MeantClass(node.class_index, node.mid, node.name, 1.0) for node in nodes)
