"""Detection thresholds per class, found on scenes whose events are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ontology import load_ontology
from uss.core.arrays import Bools, Float32
from uss.core.errors import InputError
from uss.detection.grouping import group_probabilities
from uss.evaluation.class_thresholds import class_thresholds
from uss.evaluation.scenes.node_scores import best_global_threshold, node_scores
from uss.evaluation.scenes.records import LEVELS, SceneRecord
from uss.metrics.detection import DetectionCounts

STRENGTHS = (1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class Calibration:
    """Thresholds, and how well they do elsewhere.

    Attributes:
        thresholds: (K,) float32.
        global_threshold: of the classes without one of their own.
        strength: how reluctantly classes left it; None where none was allowed to.
        held_out_f1: by strength, micro-F1 averaged over levels on scenes that took no part in
            finding the thresholds (cross-validated).
    """

    thresholds: Float32
    global_threshold: float
    strength: float | None
    held_out_f1: dict[float | None, float]


def calibrate(
    records: Sequence[SceneRecord],
    *,
    rng: np.random.Generator,
    levels: Sequence[int] = LEVELS,
    strengths: Sequence[float] = STRENGTHS,
    num_folds: int = 5,
) -> Calibration:
    """Find one threshold for all classes, and others for single classes if that helps elsewhere.

    Whether it helps is cross-validated, on scenes that took no part in finding the thresholds. Of
    the ways to find them, the one that moves the fewest classes is taken whose F1 is within a
    standard error of the best (Breiman et al. 1984, section 3.4.3). Scenes drawn from one folder
    share clips, so what is held out is not quite new; measure the outcome on another split.

    Args:
        records: with or without stems; what was detected in them does not matter.
        rng: deals the scenes into folds.
        levels: whose micro-F1 is averaged.
        strengths: to choose from, see ``class_thresholds``.
        num_folds: of the cross-validation.

    Raises:
        InputError: if there are fewer scenes than folds, or no events in all folds but one.
    """
    assert num_folds >= 2, "what is held out is measured on what is not"
    if len(records) < num_folds:
        raise InputError(
            f"{len(records)} scenes are too few to calibrate on; give {num_folds} or, better, "
            "hundreds"
        )
    fold_of = rng.permutation(len(records)) % num_folds
    counts: dict[float | None, list[list[DetectionCounts]]] = {
        option: [] for option in (None, *sorted(strengths, reverse=True))
    }
    for fold in range(num_folds):
        held_out, others = _part(records, fold_of == fold), _part(records, fold_of != fold)
        threshold = best_global_threshold(others, levels)[0]
        for option, folds in counts.items():
            found = class_thresholds(others, levels, threshold, option)
            folds.append([detection_counts(held_out, level, found) for level in levels])
    f1 = {option: _mean_f1(folds) for option, folds in counts.items()}
    best = max(f1, key=lambda option: f1[option])
    error = np.std([_mean_f1([fold]) for fold in counts[best]], ddof=1) / np.sqrt(num_folds)
    # From the most reluctant on.
    chosen = next(option for option in f1 if f1[option] >= f1[best] - error)
    threshold = best_global_threshold(records, levels)[0]
    return Calibration(class_thresholds(records, levels, threshold, chosen), threshold, chosen, f1)


def _mean_f1(folds: Sequence[Sequence[DetectionCounts]]) -> float:
    """Micro-F1 over folds, averaged over levels; 0 where nothing is there nor detected."""
    totals = [sum(of_level, DetectionCounts()) for of_level in zip(*folds, strict=True)]
    return float(np.mean(np.nan_to_num([total.f1 for total in totals])))


def detection_counts(
    records: Sequence[SceneRecord], level: int, thresholds: Float32
) -> DetectionCounts:
    """Count what would be detected right and wrong with (K,) thresholds.

    As in Algorithm 3, a node is detected if one of its classes exceeds its threshold.

    Raises:
        InputError: if a scene was not evaluated at the level.
    """
    ontology = load_ontology()
    nodes = node_scores(records, level)
    exceeded = np.array([r.class_scores for r in records], np.float32) > thresholds
    detected = group_probabilities(
        exceeded.astype(np.float32), [ontology.nodes[mid] for mid in nodes.mids], ontology
    ).astype(bool)
    detected, truth = detected & nodes.counted, nodes.truth & nodes.counted
    return DetectionCounts(
        int(np.count_nonzero(detected & truth)),
        int(np.count_nonzero(detected & ~truth)),
        int(np.count_nonzero(truth & ~detected)),
    )


def _part(records: Sequence[SceneRecord], chosen: Bools) -> list[SceneRecord]:
    return [record for record, is_chosen in zip(records, chosen, strict=True) if is_chosen]
