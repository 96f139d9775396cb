"""When nodes are there and found, worked out by hand."""

import json
from dataclasses import asdict

from uss.evaluation.scenes.node_times import NodeTimes, TimeCounts, counts_of, joined
from uss.metrics.detection import DetectionCounts

TIMES = NodeTimes(
    true=((1.0, 2.0), (5.0, 6.0)),
    events=((1.1, 2.1), (7.0, 8.0)),
    spans=((0.0, 2.0),),
)


def test_what_touches_or_overlaps_is_joined() -> None:
    assert joined([(3.0, 4.0), (1.0, 2.0), (2.0, 2.5)]) == ((1.0, 2.5), (3.0, 4.0))
    assert joined([(1.0, 5.0), (2.0, 3.0)]) == ((1.0, 5.0),)
    assert joined([]) == ()


def test_events_and_short_segments_are_counted() -> None:
    counts = counts_of([TIMES], 10.0, of_spans=False)
    assert counts.events == DetectionCounts(1, 1, 1)
    assert counts.segments == DetectionCounts(9, 11, 11)


def test_spans_are_counted_in_their_place() -> None:
    counts = counts_of([TIMES], 10.0, of_spans=True)
    assert counts.events == DetectionCounts(0, 1, 2)
    assert counts.segments == DetectionCounts(10, 10, 10)


def test_nodes_are_pooled() -> None:
    missed = NodeTimes(true=((0.0, 1.0),))
    counts = counts_of([TIMES, missed], 10.0, of_spans=False)
    assert counts.events == DetectionCounts(1, 1, 2)
    assert counts_of([], 10.0, of_spans=False) == TimeCounts()


def test_times_survive_json() -> None:
    assert NodeTimes.from_json(json.loads(json.dumps(asdict(TIMES)))) == TIMES
