"""Which nodes of the ontology are active, and when (Algorithms 3 and 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ontology import Node, Ontology

FloatArray = NDArray[np.float32]

_TOUCHING_SECONDS = 1e-6


class Target(Protocol):
    """What can be separated: an ontology node, or a query made of audio, which has no mid."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def mid(self) -> str | None:
        """Its AudioSet id."""
        ...


@dataclass(frozen=True)
class Detection:
    """One target over the segments of a recording.

    Attributes:
        target: an ontology node, or a query made of audio.
        level: the level it was asked for at; None where the user named it.
        probabilities: (I,) Q(i, j) per segment; for audio, how alike segment and query are.
        active: (I,) bool, the segments in which it is separated.
    """

    target: Target
    level: int | None
    probabilities: FloatArray
    active: NDArray[np.bool_]

    @property
    def probability(self) -> float:
        """The highest probability over all segments."""
        return float(self.probabilities.max(initial=0.0))


def group_probabilities(
    probabilities: FloatArray, nodes: Sequence[Node], ontology: Ontology
) -> FloatArray:
    """Hierarchical ontology grouping (Algorithm 4): the maximum over each node's classes.

    Args:
        probabilities: (I, K) P(i, k).
        nodes: J nodes, each with at least one class at or below it.
        ontology: gives each node's classes.

    Returns:
        (I, J) Q(i, j).
    """
    columns = [
        probabilities[:, ontology.class_indexes(node)].max(axis=1, initial=0.0) for node in nodes
    ]
    return np.stack(columns, axis=1) if columns else np.zeros((len(probabilities), 0), np.float32)


def detect(
    probabilities: FloatArray,
    nodes: Sequence[Node],
    ontology: Ontology,
    thresholds: FloatArray,
    level: int | None = None,
    release: float = 1.0,
) -> list[Detection]:
    """Decide in which segments each node is active (Algorithm 3).

    A segment is active if one of the node's classes reaches its threshold; with one threshold
    delta for all classes that is Q(i, j) >= delta. Hysteresis, which the paper does not have, then
    holds a node active as long as one of its classes reaches a lower threshold.

    Args:
        probabilities: (I, K).
        nodes: J nodes.
        ontology: gives each node's classes.
        thresholds: (K,).
        level: noted in the detections.
        release: the lower threshold as a fraction of the threshold; 1 for no hysteresis.

    Returns:
        One detection per node, in the order of ``nodes``, active or not.
    """
    grouped = group_probabilities(probabilities, nodes, ontology)
    reached = np.greater_equal(probabilities, thresholds)
    sustained = np.greater_equal(probabilities, release * thresholds)
    detections = []
    for column, node in enumerate(nodes):
        classes = list(ontology.class_indexes(node))
        active = _held(np.any(reached[:, classes], axis=1), np.any(sustained[:, classes], axis=1))
        detections.append(Detection(node, level, grouped[:, column], active))
    return detections


def active_at_level(
    probabilities: FloatArray,
    level: int,
    ontology: Ontology,
    thresholds: FloatArray,
    release: float = 1.0,
) -> list[Detection]:
    """Return the active nodes of a level, most probable first; see ``detect``.

    A node is active if one of its classes exceeds its threshold in some segment.

    Raises:
        ValueError: if the ontology has no such level.
    """
    nodes = ontology.nodes_at_level(level, with_classes=True)
    exceeded = np.any(np.greater(probabilities, thresholds), axis=0)
    detections = detect(probabilities, nodes, ontology, thresholds, level, release)
    found = [
        detection
        for node, detection in zip(nodes, detections, strict=True)
        if np.any(exceeded[list(ontology.class_indexes(node))])
    ]
    return sorted(found, key=lambda detection: -detection.probability)


def _held(reached: NDArray[np.bool_], sustained: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of the runs of sustained segments, those that reach the threshold somewhere."""
    sustained = sustained | reached
    run = np.cumsum(np.diff(sustained, prepend=False))
    return sustained & np.isin(run, run[reached])


def active_intervals(
    active: NDArray[np.bool_], starts: Sequence[float], segment_seconds: float, end: float
) -> list[tuple[float, float]]:
    """Join active segments that touch or overlap into intervals.

    Args:
        active: (I,).
        starts: of the segments, in seconds.
        segment_seconds: their length.
        end: of the recording, in seconds.

    Returns:
        (start, end) in seconds, ascending.
    """
    intervals: list[tuple[float, float]] = []
    for is_active, start in zip(active, starts, strict=True):
        if not is_active:
            continue
        stop = min(start + segment_seconds, end)
        if intervals and start <= intervals[-1][1] + _TOUCHING_SECONDS:
            intervals[-1] = (intervals[-1][0], stop)
        else:
            intervals.append((start, stop))
    return intervals
