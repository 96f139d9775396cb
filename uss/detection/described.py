"""How detection goes, as data: for programs in other languages that run exported networks."""

from __future__ import annotations

from typing import Any

from ontology import Ontology
from uss.audio import SILENCE_PEAK
from uss.detection.analysis import RELEASE
from uss.detection.defaults import DEFAULT_LEVEL, DEFAULT_OVERLAP, DEFAULT_THRESHOLD
from uss.detection.detector import TAG_WINDOW_SECONDS
from uss.detection.grouping import GRAB_BAGS, SURELY


def describe_detection(ontology: Ontology) -> dict[str, Any]:
    """Give the classes, the nodes above them, and the constants of Algorithms 3 and 4.

    Returns:
        What JSON holds: ``classes`` in the order of the tagger's outputs, ``nodes`` with their
        levels and their classes' indexes, ``rules`` by name.
    """
    nodes = {
        node.mid: node
        for level in range(1, ontology.max_level + 1)
        for node in ontology.nodes_at_level(level, with_classes=True)
    }
    return {
        "classes": [{"mid": node.mid, "name": node.name} for node in ontology.classes],
        "nodes": [
            {
                "mid": node.mid,
                "name": node.name,
                "levels": list(ontology.levels(node)),
                "classes": list(ontology.class_indexes(node)),
                "doubted": node.mid in GRAB_BAGS,
            }
            for node in nodes.values()
        ],
        "rules": {
            "level": DEFAULT_LEVEL,
            "overlap": DEFAULT_OVERLAP,
            "window_seconds": TAG_WINDOW_SECONDS,
            "threshold": DEFAULT_THRESHOLD,
            "release": RELEASE,
            "surely_logits": SURELY,
            "silence_peak": SILENCE_PEAK,
        },
    }
