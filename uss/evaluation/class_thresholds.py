"""Finding thresholds of single classes around a common one, by coordinate ascent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ontology import load_ontology
from uss.core.arrays import Bools, Float32, Float64, Indexes
from uss.evaluation.scenes.node_scores import node_scores
from uss.evaluation.scenes.records import SceneRecord
from uss.taggers import NUM_CLASSES

MIN_POSITIVES = 3
# Half octaves, three octaves up and down.
_OCTAVES = np.arange(-6, 7) / 2.0
_MAX_THRESHOLD = 0.95
_MAX_ROUNDS = 10


def class_thresholds(
    records: Sequence[SceneRecord],
    levels: Sequence[int],
    common: float,
    strength: float | None,
) -> Float32:
    """Move the thresholds of single classes where that gains micro-F1, averaged over levels.

    A node is detected if any of its classes exceeds its threshold, so classes are moved one by one,
    each given all the others, until none gains any more. Only classes that are true in at least
    three scenes move; the others are too rare to be judged.

    Args:
        records: with or without stems; what was detected in them does not matter.
        levels: whose micro-F1 is averaged.
        common: where all thresholds start.
        strength: how many true nodes at every level a move by an octave has to gain; None where no
            class may move.

    Returns:
        (K,) at most 0.95 and three octaves away from the common one.

    Raises:
        InputError: if a scene was not evaluated at a level.
    """
    thresholds = np.full(NUM_CLASSES, common, np.float32)
    if strength is None:
        return thresholds
    scores = np.array([record.class_scores for record in records], np.float32)
    at_level = [_level_of(records, level, scores > thresholds) for level in levels]
    price = strength * float(np.mean([1.0 / max(1, level.num_true) for level in at_level]))
    candidates = np.minimum(common * 2.0**_OCTAVES, max(_MAX_THRESHOLD, common)).astype(np.float32)
    prices = price * np.abs(_OCTAVES)
    num_positives = np.bincount(
        [index for record in records for index in record.true_classes], minlength=NUM_CLASSES
    )
    for _ in range(_MAX_ROUNDS):
        before = thresholds.copy()
        for index in np.flatnonzero(num_positives >= MIN_POSITIVES).tolist():
            exceeds = scores[:, index] > thresholds[index]
            would = scores[:, index, None] > candidates
            f1 = np.mean([level.f1_with(index, exceeds, would) for level in at_level], axis=0)
            best = _best(f1 - prices)
            thresholds[index] = candidates[best]
            for level in at_level:
                level.move(index, exceeds, would[:, best])
        if np.array_equal(before, thresholds):
            break
    return thresholds


class _Level(NamedTuple):
    """The scenes at one level.

    Attributes:
        node_of_class: (K,) column of the node a class lies in; -1 for none.
        right, wrong: (N, J) bool, what a detection there is; neither where it is disregarded.
        num_exceeding: (N, J) how many of the node's classes exceed their thresholds.
    """

    node_of_class: Indexes
    right: Bools
    wrong: Bools
    num_exceeding: Indexes

    @property
    def num_true(self) -> int:
        """How many nodes are there, over all scenes."""
        return int(np.count_nonzero(self.right))

    def f1_with(self, class_index: int, before: Bools, after: Bools) -> Float64:
        """Micro-F1 if a class exceeded its threshold elsewhere.

        Args:
            class_index: the class.
            before: (N,) where it exceeds its threshold now.
            after: (N, M) where it might.

        Returns:
            (M,).
        """
        active = self.num_exceeding > 0
        hits = np.full(after.shape[1], np.count_nonzero(active & self.right))
        errors = np.full(after.shape[1], np.count_nonzero(active & self.wrong))
        column = self.node_of_class[class_index]
        if column >= 0:
            others = self.num_exceeding[:, column] > before
            then = others[:, None] | after
            now = active[:, column, None]
            right, wrong = self.right[:, column, None], self.wrong[:, column, None]
            hits += np.sum(then & right, axis=0) - np.sum(now & right)
            errors += np.sum(then & wrong, axis=0) - np.sum(now & wrong)
        f1: Float64 = 2.0 * hits / np.maximum(1, hits + errors + self.num_true)
        return f1

    def move(self, class_index: int, before: Bools, after: Bools) -> None:
        """Note that a class exceeds its threshold elsewhere, (N,) before and after."""
        column = self.node_of_class[class_index]
        if column >= 0:
            self.num_exceeding[:, column] += after.astype(np.int64) - before


def _level_of(records: Sequence[SceneRecord], level: int, exceeded: Bools) -> _Level:
    ontology = load_ontology()
    nodes = node_scores(records, level)
    node_of_class = np.full(NUM_CLASSES, -1)
    num_exceeding = np.zeros(nodes.scores.shape, np.int64)
    for column, mid in enumerate(nodes.mids):
        classes = list(ontology.class_indexes(mid))
        # In the tree reading a class lies in at most one node of a level.
        node_of_class[classes] = column
        num_exceeding[:, column] = np.count_nonzero(exceeded[:, classes], axis=1)
    return _Level(
        node_of_class,
        nodes.truth & nodes.counted,
        ~nodes.truth & nodes.counted,
        num_exceeding,
    )


def _best(gains: Float64) -> int:
    """The highest, and of equal ones that nearest to no change."""
    ties = np.flatnonzero(gains >= gains.max() - 1e-12)
    return int(ties[np.argmin(np.abs(_OCTAVES[ties]))])
