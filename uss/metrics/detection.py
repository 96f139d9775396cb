"""How well sounds are detected: average precision, and counts of hits and errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uss.core.arrays import Bools, Floats


def average_precision(scores: Floats, truth: Bools) -> float:
    """Area under the precision-recall curve, as a sum of steps without interpolation.

    Each distinct score is a threshold: the precision there counts by how much recall it adds. Equal
    scores are detected together, so their order does not matter.

    Args:
        scores: (N,) higher where the sound is more likely.
        truth: (N,) where it is.

    Returns:
        0 to 1; NaN where the sound is nowhere.
    """
    assert scores.shape == truth.shape and scores.ndim == 1 and not np.isnan(scores).any()
    num_true = int(np.count_nonzero(truth))
    if num_true == 0:
        return float("nan")
    order = np.argsort(-scores)
    is_last_of_ties = np.append(np.diff(scores[order]) != 0.0, True)
    num_detected = np.flatnonzero(is_last_of_ties) + 1
    num_hits = np.cumsum(truth[order])[is_last_of_ties]
    steps = np.diff(num_hits, prepend=0) / num_true
    return float(np.sum(steps * num_hits / num_detected))


@dataclass(frozen=True)
class DetectionCounts:
    """Detections of any number of recordings, which ``+`` pools.

    Attributes:
        true_positives: detected and there.
        false_positives: detected, but not there.
        false_negatives: there, but not detected.
    """

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    def __add__(self, other: DetectionCounts) -> DetectionCounts:
        return DetectionCounts(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )

    @property
    def precision(self) -> float:
        """How much of what is detected is there; NaN where nothing is detected."""
        return _fraction(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """How much of what is there is detected; NaN where nothing is there."""
        return _fraction(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN where nothing is there nor detected."""
        num_errors = self.false_positives + self.false_negatives
        return _fraction(2 * self.true_positives, 2 * self.true_positives + num_errors)


def count_error(num_detected: int, num_true: int) -> int:
    """By how many a count of sounds is wrong: the absolute difference."""
    return abs(num_detected - num_true)


def _fraction(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
