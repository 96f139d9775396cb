"""How strongly nodes were heard in scenes: their ranking, and what thresholds would detect."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ontology import load_ontology
from uss.core.arrays import Bools, Float64
from uss.core.errors import InputError
from uss.evaluation.scenes.records import SceneRecord
from uss.metrics.detection import average_precision


class NodeScores(NamedTuple):
    """How strongly each node was heard in each scene.

    Attributes:
        mids: J nodes of the level.
        scores: (N, J) max over segments of Q(i, j).
        truth: (N, J) bool, which are there.
        counted: (N, J) bool, which are right or wrong.
    """

    mids: tuple[str, ...]
    scores: Float64
    truth: Bools
    counted: Bools


def node_scores(records: Sequence[SceneRecord], level: int) -> NodeScores:
    """Group the classes of each scene by the nodes of a level (Algorithm 4).

    Raises:
        InputError: if a scene was not evaluated at it.
    """
    nodes = _classes_of_nodes(level)
    mids = tuple(nodes)
    at_level = [record.at(level) for record in records]
    classes = np.array([record.class_scores for record in records], float)
    columns = [classes[:, indexes].max(axis=1) for indexes in nodes.values()]

    def marked(sets: Iterable[Sequence[str]]) -> Bools:
        return np.array([[mid in each for mid in mids] for each in map(set, sets)], bool)

    return NodeScores(
        mids,
        np.stack(columns, axis=1),
        marked(each.true for each in at_level),
        ~marked(each.disregarded for each in at_level),
    )


@functools.cache
def _classes_of_nodes(level: int) -> dict[str, list[int]]:
    """Class indexes of each node of a level, by its mid."""
    ontology = load_ontology()
    nodes = ontology.nodes_at_level(level, with_classes=True)
    return {node.mid: list(ontology.class_indexes(node)) for node in nodes}


def average_precisions(records: Sequence[SceneRecord], level: int) -> dict[str, float]:
    """Return the average precision of each node that is true in some scene, by its mid.

    Raises:
        InputError: if a scene was not evaluated at this level.
    """
    if not records:
        return {}
    nodes = node_scores(records, level)
    found = {}
    for column, mid in enumerate(nodes.mids):
        counted = nodes.counted[:, column]
        truth = nodes.truth[counted, column]
        if truth.any():
            found[mid] = average_precision(nodes.scores[counted, column], truth)
    return found


def class_average_precisions(records: Sequence[SceneRecord]) -> dict[int, float]:
    """Return the average precision of each class that is true in some scene, by its index.

    Each ranks the scenes by max over segments of P(i, k). An event is of the classes of its labels
    alone, and noise that is no event is wrong.
    """
    if not records:
        return {}
    scores = np.array([record.class_scores for record in records], float)
    truth = np.zeros(scores.shape, bool)
    for row, record in zip(truth, records, strict=True):
        row[list(record.true_classes)] = True
    return {
        int(index): average_precision(scores[:, index], truth[:, index])
        for index in np.flatnonzero(truth.any(axis=0))
    }


def best_global_threshold(
    records: Sequence[SceneRecord], levels: Sequence[int]
) -> tuple[float, float]:
    """Find the threshold of all classes that maximises micro-F1, averaged over levels.

    Args:
        records: with or without stems; what was detected in them does not matter.
        levels: of the ontology.

    Returns:
        The threshold, half way between the scores it parts, and the F1 it gives.

    Raises:
        InputError: if there are no records, no events in them, nothing was heard, or a level lacks
            in one.
    """
    if not any(record.at(level).true for record in records for level in levels):
        raise InputError("no scene holds an event; a threshold needs scenes with events")
    by_level = [node_scores(records, level) for level in levels]
    scores = np.unique(np.concatenate([each.scores[each.counted] for each in by_level]))
    # From 0, which is what was never heard.
    scores = np.append(0.0, scores[scores > 0.0])
    thresholds = (scores[1:] + scores[:-1]) / 2.0
    if not thresholds.size:
        raise InputError("nothing was heard in any scene; check the recordings and the tagger")
    f1 = np.mean([f1_at(each, thresholds) for each in by_level], axis=0)
    # Of equal ones the highest, which lets the least in elsewhere.
    best = len(f1) - 1 - int(np.argmax(f1[::-1]))
    return float(thresholds[best]), float(f1[best])


def f1_at(nodes: NodeScores, thresholds: NDArray[Any]) -> Float64:
    """Micro-F1 of detection at each of (M,) thresholds, which scores must exceed."""
    true = np.sort(nodes.scores[nodes.counted & nodes.truth])
    wrong = np.sort(nodes.scores[nodes.counted & ~nodes.truth])
    hits = len(true) - np.searchsorted(true, thresholds, side="right")
    errors = len(wrong) - np.searchsorted(wrong, thresholds, side="right")
    f1: Float64 = 2.0 * hits / np.maximum(1, hits + errors + len(true))
    return f1
