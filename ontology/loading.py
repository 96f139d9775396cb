"""Reading the ontology from the package's own CSV files."""

import csv
import functools
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import get_args

from ontology.graph import Node, Ontology, OntologyError, Reading


def load_ontology(reading: Reading = "tree") -> Ontology:
    """Return the AudioSet ontology; every call with the same reading gives the same object.

    Args:
        reading: 38 of the 632 nodes are listed under several parents. ``tree``, the reading of
            Kong et al. 2023, keeps each under the parent that comes first in the ontology file;
            ``graph`` keeps all parents.
    """
    if reading not in get_args(Reading):
        raise OntologyError(f'unknown reading "{reading}"; choose "tree" or "graph"')
    return _load(reading)


@functools.cache
def _load(reading: Reading) -> Ontology:
    rows = _read_rows("nodes.csv")
    class_index = {row["mid"]: int(row["index"]) for row in _read_rows("classes.csv")}
    parents: dict[str, list[str]] = {row["mid"]: [] for row in rows}
    children: dict[str, list[str]] = {row["mid"]: [] for row in rows}
    for row in rows:
        for child in row["child_mids"].split():
            if reading == "graph" or not parents[child]:
                parents[child].append(row["mid"])
                children[row["mid"]].append(child)
    nodes = {
        row["mid"]: Node(
            mid=row["mid"],
            name=row["name"],
            class_index=class_index.get(row["mid"]),
            restrictions=tuple(row["restrictions"].split()),
            parents=tuple(parents[row["mid"]]),
            children=tuple(children[row["mid"]]),
        )
        for row in rows
    }
    classes = tuple(nodes[mid] for mid in class_index)
    aliases, hints = (
        MappingProxyType({row[word]: tuple(row["mids"].split(";")) for row in _read_rows(filename)})
        for word, filename in (("alias", "aliases.csv"), ("word", "hints.csv"))
    )
    return Ontology(reading, MappingProxyType(nodes), classes, aliases, hints)


@functools.cache
def load_kinds() -> Mapping[str, str]:
    """Return what kinds of things are called, such as birds, to the mid of what they are a kind of.

    They come from WordNet (``scripts/list_kinds.py``); what has another, commoner meaning is not
    among them.
    """
    return MappingProxyType({row["word"]: row["mid"] for row in _read_rows("kinds.csv")})


def _read_rows(filename: str) -> list[dict[str, str]]:
    text = resources.files("ontology").joinpath(filename).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
