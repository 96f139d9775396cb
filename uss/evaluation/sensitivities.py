"""Thresholds of detection for what people want: little that is wrong, or little that is missed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from uss.core.arrays import Float32
from uss.detection.defaults import DEFAULT_LEVEL
from uss.detection.sensitivity import shifted
from uss.evaluation.calibration import detection_counts
from uss.evaluation.scenes.records import LEVELS, SceneRecord
from uss.metrics.detection import DetectionCounts

TARGET = 0.8
"""Precision of low, recall of high sensitivity."""

_SHIFTS = np.arange(0.0, 8.01, 0.05)


def find_sensitivities(
    records: Sequence[SceneRecord], thresholds: Float32, levels: Sequence[int] = (DEFAULT_LEVEL,)
) -> Mapping[str, Float32]:
    """Shift calibrated thresholds until enough is right, or enough is found.

    The odds of all classes move by one factor, so that their relation stays as it was calibrated.

    Args:
        records: scenes, as for ``calibrate``.
        thresholds: (K,) of the best F1.
        levels: whose precision and recall are averaged; by default the one that is asked for most.

    Returns:
        ``low``, ``medium`` and ``high``, (K,) each. Where no shift reaches the target, the one that
        comes nearest.
    """
    return {
        "low": _first_that(records, thresholds, levels, 1.0, lambda counts: counts.precision),
        "medium": thresholds,
        "high": _first_that(records, thresholds, levels, -1.0, lambda counts: counts.recall),
    }


def best_shift(
    records: Sequence[SceneRecord], thresholds: Float32, levels: Sequence[int] = LEVELS
) -> Float32:
    """Shift all thresholds together, to where the micro-F1, averaged over levels, is best.

    Args:
        records: scenes, as for ``calibrate``.
        thresholds: (K,), whose relation stays.
        levels: whose F1 is averaged.
    """
    candidates = [shifted(thresholds, shift) for shift in (*-_SHIFTS[:0:-1], *_SHIFTS)]
    f1 = [_mean(records, each, levels, lambda counts: counts.f1) for each in candidates]
    return candidates[int(np.argmax(f1))]


def _first_that(
    records: Sequence[SceneRecord],
    thresholds: Float32,
    levels: Sequence[int],
    direction: float,
    figure: Callable[[DetectionCounts], float],
) -> Float32:
    """The least shift whose mean figure reaches the target, else that of the highest."""
    best, best_value = thresholds, -1.0
    for shift in _SHIFTS:
        candidate = shifted(thresholds, direction * float(shift))
        value = _mean(records, candidate, levels, figure)
        if value > best_value:
            best, best_value = candidate, value
        if value >= TARGET:
            break
    return best


def _mean(
    records: Sequence[SceneRecord],
    thresholds: Float32,
    levels: Sequence[int],
    figure: Callable[[DetectionCounts], float],
) -> float:
    """Of a figure over levels; what has no value counts as 0."""
    values = [figure(detection_counts(records, level, thresholds)) for level in levels]
    return float(np.mean(np.nan_to_num(values)))
