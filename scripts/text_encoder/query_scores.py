"""How many queries of a list the embedded encoder understands as the list says."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ontology import Node, Ontology
from uss.conditions.text_classes import TextClasses
from uss.conditions.understanding import Meaning, Understood, understand
from uss.core.errors import InputError

NONSENSE = "nonsense"
_FIRST = 3


@dataclass(frozen=True)
class Answer:
    """What became of a query.

    Attributes:
        query, kind: of the list.
        is_right: its classes are among the first three, or it is nonsense and refused.
        said: the classes, or the error.
        asks: it asks for something, and does not only exclude.
    """

    query: str
    kind: str
    is_right: bool
    said: str
    asks: bool = False


def answers(path: Path, encoder: TextClasses, ontology: Ontology) -> list[Answer]:
    """Ask everything in a list with ``query,kind,expected,excluded``.

    Sounds are separated by ``;``, and each may be one of several classes, separated by ``|``. All
    sounds of a query count as one answer: with two sounds the first two classes of each are seen,
    so that not more than four are.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return [_answer(row, encoder, ontology) for row in csv.DictReader(file)]


def share(found: Sequence[Answer], *, nonsense: bool) -> float:
    """Which share of the answers is right, of nonsense or of everything else."""
    counted = [each.is_right for each in found if (each.kind == NONSENSE) == nonsense]
    return sum(counted) / len(counted)


def _answer(row: dict[str, str], encoder: TextClasses, ontology: Ontology) -> Answer:
    try:
        meant = understand(row["query"], encoder, ontology)
    except InputError as error:
        return Answer(row["query"], row["kind"], row["kind"] == NONSENSE, str(error))
    is_right = (
        row["kind"] != NONSENSE
        and _covers(meant.wanted, row["expected"], ontology)
        and _covers(meant.unwanted, row["excluded"], ontology)
    )
    return Answer(row["query"], row["kind"], is_right, _said(meant), bool(meant.wanted))


def _covers(meanings: Sequence[Meaning], listed: str, ontology: Ontology) -> bool:
    """Whether every sound that is listed is among the first classes; and nothing is, of nothing."""
    if not listed:
        return not meanings
    count = _FIRST if len(meanings) == 1 else 2
    first = {
        index
        for each in meanings
        for node in each.nodes[:count]
        for index in _classes_of(node, ontology)
    }
    return all(
        any(_classes(name, ontology) & first for name in sound.split("|"))
        for sound in listed.split(";")
    )


def _classes(name: str, ontology: Ontology) -> set[int]:
    return _classes_of(ontology.find(name, aliases=False), ontology)


def _classes_of(node: Node, ontology: Ontology) -> set[int]:
    return {node.class_index} if node.class_index is not None else {*ontology.class_indexes(node)}


def _said(meant: Understood) -> str:
    def names(meanings: Sequence[Meaning]) -> str:
        return " | ".join(
            ", ".join(
                f"{node.name} {weight:.2f}"
                for node, weight in zip(each.nodes[:4], each.weights, strict=False)
            )
            for each in meanings
        )

    without = f"; without {names(meant.unwanted)}" if meant.unwanted else ""
    return names(meant.wanted) + without
