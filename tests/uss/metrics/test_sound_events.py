"""Onsets and offsets: worked out by hand, and as sed_eval counts them."""

from __future__ import annotations

import numpy as np
import pytest

from uss.metrics.detection import DetectionCounts
from uss.metrics.sound_events import Interval, event_counts, segment_counts


@pytest.mark.parametrize(
    ("detected", "hits"),
    [
        ((1.0, 2.0), 1),
        ((0.8, 2.2), 1),
        ((1.2, 1.8), 1),
        ((0.75, 2.0), 0),
        ((1.0, 2.25), 0),
        ((1.25, 2.0), 0),
    ],
)
def test_an_event_is_right_to_the_collar(detected: Interval, hits: int) -> None:
    assert event_counts([(1.0, 2.0)], [detected]) == DetectionCounts(hits, 1 - hits, 1 - hits)


def test_the_offset_of_a_long_event_may_be_off_by_a_fifth_of_it() -> None:
    assert event_counts([(0.0, 5.0)], [(0.0, 6.0)]).true_positives == 1
    assert event_counts([(0.0, 5.0)], [(0.0, 4.0)]).true_positives == 1
    assert event_counts([(0.0, 5.0)], [(0.0, 6.05)]).true_positives == 0
    # A fifth of what is true, not of what was found.
    assert event_counts([(0.0, 4.0)], [(0.0, 5.0)]).true_positives == 0


def test_nothing_there_or_nothing_found() -> None:
    assert event_counts([], []) == DetectionCounts()
    assert event_counts([(0.0, 1.0)], []) == DetectionCounts(0, 0, 1)
    assert event_counts([], [(0.0, 1.0), (2.0, 3.0)]) == DetectionCounts(0, 2, 0)


def test_each_event_counts_once() -> None:
    assert event_counts([(1.0, 2.0)], [(1.0, 2.0), (1.1, 2.1)]) == DetectionCounts(1, 1, 0)


def test_as_many_as_possible_are_paired() -> None:
    # The first detection fits both; taken greedily for the first, the second would have none.
    true = [(1.0, 2.0), (1.3, 2.3)]
    detected = [(1.15, 2.15), (0.9, 1.9)]
    assert event_counts(true, detected) == DetectionCounts(2, 0, 0)


def test_short_segments_that_are_touched_are_filled() -> None:
    # True: segments 1 and 2, found: 2 to 4.
    assert segment_counts([(0.1, 0.25)], [(0.2, 0.5)], 1.0) == DetectionCounts(1, 2, 1)
    assert segment_counts([], [], 1.0) == DetectionCounts()
    # 0.3 / 0.1 is less than 3 in binary.
    assert segment_counts([(0.3, 0.4)], [(0.3, 0.4)], 1.0) == DetectionCounts(1, 0, 0)


def test_what_lies_beyond_the_end_does_not_count() -> None:
    assert segment_counts([(0.9, 1.0)], [(0.9, 1.3)], 1.0) == DetectionCounts(1, 0, 0)
    assert segment_counts([(0.9, 0.95)], [(0.9, 0.95)], 0.95) == DetectionCounts(1, 0, 0)


def test_counts_are_those_of_sed_eval(rng: np.random.Generator) -> None:
    sed_eval = pytest.importorskip(
        "sed_eval", reason="needs sed_eval, and setuptools before 81", exc_type=ImportError
    )
    for _ in range(50):
        true, detected = _drawn(rng), _drawn(rng)
        detected += [(on + rng.normal(0.0, 0.1), off + rng.normal(0.0, 0.3)) for on, off in true]
        detected = [(max(0.0, on), max(on + 0.05, off)) for on, off in detected]
        by_event = sed_eval.sound_event.EventBasedMetrics(
            ["dog"], t_collar=0.2, percentage_of_length=0.2, event_matching_type="optimal"
        )
        by_segment = sed_eval.sound_event.SegmentBasedMetrics(["dog"], time_resolution=0.1)
        for metric, kwargs in ((by_event, {}), (by_segment, {"evaluated_length_seconds": 12.0})):
            metric.evaluate(_listed(true), _listed(detected), **kwargs)
        counts = event_counts(true, detected)
        overall = by_event.overall
        assert (counts.true_positives, counts.false_positives, counts.false_negatives) == (
            overall["Ntp"],
            overall["Nfp"],
            overall["Nfn"],
        )
        of_class = by_segment.class_wise["dog"]
        counts = segment_counts(true, detected, 12.0)
        assert (counts.true_positives, counts.false_positives, counts.false_negatives) == (
            of_class["Ntp"],
            of_class["Nfp"],
            of_class["Nfn"],
        )


def _drawn(rng: np.random.Generator) -> list[Interval]:
    onsets = rng.uniform(0.0, 8.0, rng.integers(1, 5))
    return [(float(onset), float(onset + rng.uniform(0.1, 3.0))) for onset in onsets]


def _listed(events: list[Interval]) -> list[dict[str, object]]:
    return [
        {"event_label": "dog", "event_onset": on, "event_offset": off, "file": "a.wav"}
        for on, off in events
    ]
