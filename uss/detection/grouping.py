"""From classes to nodes of the ontology: which are active, and when (Algorithms 3 and 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ontology import Node, Ontology
from uss.conditions.queries import NodeQuery, Query
from uss.core.arrays import Bools, Float32
from uss.detection.detections import Detection


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

    Returns:
        One detection per query, in their order, active or not.
    """
    reached = np.greater_equal(probabilities, thresholds)
    sustained = np.greater_equal(probabilities, release * thresholds)
    detections = []
    for query in queries:
        classes = list(query.class_indexes)
        active = _held(np.any(reached[:, classes], axis=1), np.any(sustained[:, classes], axis=1))
        detections.append(Detection(query, level, query.heard_in(probabilities), active))
    return detections


def active_at_level(
    probabilities: Float32,
    level: int,
    ontology: Ontology,
    thresholds: Float32,
    release: float = 1.0,
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
        for detection in detect(probabilities, queries, thresholds, level, release)
        if np.any(exceeded[list(detection.query.class_indexes)])
    ]
    return sorted(found, key=lambda detection: -detection.probability)


def _held(reached: Bools, sustained: Bools) -> Bools:
    """Of the runs of sustained segments, those that reach the threshold somewhere."""
    sustained = sustained | reached
    run = np.cumsum(np.diff(sustained, prepend=False))
    return sustained & np.isin(run, run[reached])
