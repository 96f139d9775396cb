"""From classes to nodes of the ontology: which are active, and when (Algorithms 3 and 4)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ontology import Node, Ontology
from uss.conditions.queries import NodeQuery, Query
from uss.core.arrays import Bools, Float32
from uss.detection.detections import Detection
from uss.detection.sensitivity import shifted

GRAB_BAGS = (
    "/t/dd00071",  # Domestic sounds, home sounds
    "/t/dd00089",  # Miscellaneous sources
    "/t/dd00098",  # Source-ambiguous sounds
    "/t/dd00099",  # Generic impact sounds
    "/t/dd00109",  # Surface contact
    "/t/dd00110",  # Deformable shell
    "/t/dd00122",  # Other sourceless
    "/m/05n1m",  # Onomatopoeia
)
"""Nodes below which AudioSet gathers what is not alike, so that any noise wakes one class."""

SURELY = 1.4
"""A class at four times the odds of its threshold needs no second one."""


def group_probabilities(
    probabilities: Float32, nodes: Sequence[Node], ontology: Ontology
) -> Float32:
    """Hierarchical ontology grouping (Algorithm 4): the maximum over each node's classes.

    Args:
        probabilities: (I, K) P(i, k).
        nodes: J nodes, each with at least one class at or below it.
        ontology: gives each node's classes.

    Returns:
        (I, J) Q(i, j).
    """
    columns = [NodeQuery.of(node, ontology).heard_in(probabilities) for node in nodes]
    return np.stack(columns, axis=1) if columns else np.zeros((len(probabilities), 0), np.float32)


def detect(
    probabilities: Float32,
    queries: Sequence[Query],
    thresholds: Float32,
    level: int | None = None,
    release: float = 1.0,
    doubted: Collection[str] = (),
) -> list[Detection]:
    """Decide in which segments each group of classes is active (Algorithm 3).

    A segment is active if one of the classes reaches its threshold; with one threshold delta for
    all classes that is Q(i, j) >= delta. Hysteresis, which the paper does not have, then holds a
    group active as long as one of its classes reaches a lower threshold.

    Args:
        probabilities: (I, K).
        queries: J queries that stand for classes.
        thresholds: (K,).
        level: noted in the detections.
        release: the lower threshold as a fraction of the threshold; 1 for no hysteresis.
        doubted: mids of queries that one class does not make active unless it is far above its
            threshold; two do.

    Returns:
        One detection per query, in their order, active or not.
    """
    reached = np.greater_equal(probabilities, thresholds)
    sustained = np.greater_equal(probabilities, release * thresholds)
    surely = shifted(thresholds, SURELY)
    detections = []
    for query in queries:
        classes = list(query.class_indexes)
        is_there = np.any(reached[:, classes], axis=1)
        if query.mid in doubted:
            is_sure = probabilities[:, classes] >= surely[classes]
            is_there = np.any(is_sure, axis=1) | (np.sum(reached[:, classes], axis=1) > 1)
        active = _held(is_there, np.any(sustained[:, classes], axis=1))
        detections.append(Detection(query, level, query.heard_in(probabilities), active))
    return detections


def active_at_level(
    probabilities: Float32,
    level: int,
    ontology: Ontology,
    thresholds: Float32,
    release: float = 1.0,
    doubted: Collection[str] = (),
) -> list[Detection]:
    """Return the active nodes of a level, most probable first; see ``detect``.

    A node is active if one of its classes exceeds its threshold in some segment.

    Raises:
        ValueError: if the ontology has no such level.
    """
    nodes = ontology.nodes_at_level(level, with_classes=True)
    queries = [NodeQuery.of(node, ontology) for node in nodes]
    exceeded = np.any(np.greater(probabilities, thresholds), axis=0)
    found = [
        detection
        for detection in detect(probabilities, queries, thresholds, level, release, doubted)
        if np.any(exceeded[list(detection.query.class_indexes)]) and np.any(detection.active)
    ]
    return most_probable_first(found)


def most_probable_first(detections: Sequence[Detection]) -> list[Detection]:
    """Sort detections; those without a probability come last."""

    def order(detection: Detection) -> tuple[bool, float]:
        return detection.probability is None, -(detection.probability or 0.0)

    return sorted(detections, key=order)


def _held(reached: Bools, sustained: Bools) -> Bools:
    """Of the runs of sustained segments, those that reach the threshold somewhere."""
    sustained = sustained | reached
    run = np.cumsum(np.diff(sustained, prepend=False))
    return sustained & np.isin(run, run[reached])
