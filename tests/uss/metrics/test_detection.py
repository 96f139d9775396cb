import math

import numpy as np
import pytest

from uss.metrics.detection import DetectionCounts, average_precision, count_error


def precision_of(scores: list[float], truth: list[int]) -> float:
    return average_precision(np.array(scores), np.array(truth, dtype=np.bool_))


def test_average_precision_by_hand() -> None:
    """Found at ranks 1 and 3: half the recall at precision 1, half at 2/3."""
    assert precision_of([0.9, 0.8, 0.7, 0.1], [1, 0, 1, 0]) == pytest.approx((1 + 2 / 3) / 2)
    assert precision_of([0.1, 0.7, 0.9, 0.8], [0, 1, 1, 0]) == pytest.approx((1 + 2 / 3) / 2)


def test_average_precision_of_the_best_and_the_worst_order() -> None:
    assert precision_of([4.0, 3.0, 2.0, 1.0], [1, 1, 0, 0]) == pytest.approx(1.0)
    assert precision_of([4.0, 3.0, 2.0, 1.0], [0, 0, 1, 1]) == pytest.approx((1 / 3 + 2 / 4) / 2)


@pytest.mark.parametrize("truth", [[1, 0, 1, 0], [0, 1, 1, 0], [0, 1, 0, 1]])
def test_equal_scores_are_one_threshold(truth: list[int]) -> None:
    """All are detected at once, so the precision is how common the sound is."""
    assert precision_of([0.5, 0.5, 0.5, 0.5], truth) == pytest.approx(0.5)


def test_a_tie_below_the_first() -> None:
    """Recall 1/2 at precision 1, then the other half with three detections, of which two hit."""
    for truth in ([1, 1, 0], [1, 0, 1]):
        assert precision_of([0.9, 0.2, 0.2], truth) == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)


def test_average_precision_without_positives_is_undefined() -> None:
    assert math.isnan(precision_of([0.3, 0.2], [0, 0]))
    assert math.isnan(precision_of([], []))


def test_average_precision_of_one() -> None:
    assert precision_of([-3.0], [1]) == 1.0


def test_average_precision_takes_float32() -> None:
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    assert average_precision(scores, np.array([False, True, True])) == pytest.approx(7 / 12)


def test_counts_by_hand() -> None:
    counts = DetectionCounts(true_positives=6, false_positives=2, false_negatives=4)
    assert counts.precision == pytest.approx(0.75)
    assert counts.recall == pytest.approx(0.6)
    assert counts.f1 == pytest.approx(2 * 0.75 * 0.6 / (0.75 + 0.6))


def test_counts_are_pooled() -> None:
    assert DetectionCounts(1, 2, 3) + DetectionCounts(10, 20, 30) == DetectionCounts(11, 22, 33)
    counts = [DetectionCounts(1, 0, 0), DetectionCounts(0, 1, 0), DetectionCounts(0, 0, 1)]
    assert sum(counts, DetectionCounts()) == DetectionCounts(1, 1, 1)


def test_nothing_there_and_nothing_detected() -> None:
    counts = DetectionCounts()
    assert math.isnan(counts.precision) and math.isnan(counts.recall) and math.isnan(counts.f1)


def test_only_misses_or_only_false_alarms() -> None:
    missed, alarmed = DetectionCounts(false_negatives=3), DetectionCounts(false_positives=3)
    assert math.isnan(missed.precision) and missed.recall == missed.f1 == 0.0
    assert math.isnan(alarmed.recall) and alarmed.precision == alarmed.f1 == 0.0


def test_count_error_has_no_sign() -> None:
    assert count_error(2, 5) == count_error(5, 2) == 3
    assert count_error(4, 4) == 0
