"""Categories of the Universal Category System (UCS 8), which sound editors name files by."""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping, Sequence
from importlib import resources

from ontology import load_ontology

UNKNOWN = "OBJMisc"
"""Of what no class says: a sound by example."""
REST = "AMBMisc"
"""Of residuals."""


def category_of(mids: Sequence[str]) -> str:
    """Give the CatID of a sound, such as ``ANMLDog``.

    Nodes that ``ucs.csv`` does not name have the category of the nearest node above them.

    Args:
        mids: of the nodes that it stands for, the first of which counts; none if it stands for
            none.
    """
    ontology, named = load_ontology(), load_categories()
    nodes = [ontology.nodes[mid] for mid in mids[:1] if mid in ontology.nodes]
    above = [each.mid for node in nodes for each in (node, *ontology.ancestors(node))]
    return next((named[mid] for mid in above if mid in named), UNKNOWN)


@functools.cache
def load_categories() -> Mapping[str, str]:
    """Read the CatIDs of nodes by their mids."""
    table = resources.files("uss.results").joinpath("ucs.csv")
    lines = table.read_text(encoding="utf-8").splitlines()
    return {row["mid"]: row["cat_id"] for row in csv.DictReader(lines)}
