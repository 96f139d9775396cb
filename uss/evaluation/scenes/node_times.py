"""When a node is there in a scene, and when it was found: how often that is right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from uss.metrics.detection import DetectionCounts
from uss.metrics.sound_events import Interval, event_counts, segment_counts


@dataclass(frozen=True)
class NodeTimes:
    """Onsets and offsets in seconds, ascending.

    Attributes:
        true: when it is there.
        events: when it was found.
        spans: the same as the separator's segments, joined where they touch.
    """

    true: tuple[Interval, ...] = ()
    events: tuple[Interval, ...] = ()
    spans: tuple[Interval, ...] = ()

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> NodeTimes:
        """Read what JSON has as lists."""
        return cls(**{name: _intervals(record[name]) for name in ("true", "events", "spans")})


@dataclass(frozen=True)
class TimeCounts:
    """How often times are right, of one scene or of many, which ``+`` pools.

    Attributes:
        events: of whole events.
        segments: of segments of 100 ms.
    """

    events: DetectionCounts = field(default_factory=DetectionCounts)
    segments: DetectionCounts = field(default_factory=DetectionCounts)

    def __add__(self, other: TimeCounts) -> TimeCounts:
        return TimeCounts(self.events + other.events, self.segments + other.segments)


def counts_of(times: Iterable[NodeTimes], seconds: float, *, of_spans: bool) -> TimeCounts:
    """Count over all nodes of a scene how often times are right.

    Args:
        times: of its nodes.
        seconds: how long it is.
        of_spans: in the place of events.
    """
    pooled = TimeCounts()
    for each in times:
        found = each.spans if of_spans else each.events
        counts = event_counts(each.true, found), segment_counts(each.true, found, seconds)
        pooled += TimeCounts(*counts)
    return pooled


def joined(intervals: Sequence[Interval]) -> tuple[Interval, ...]:
    """Sort intervals, and make one of those that touch or overlap."""
    out: list[Interval] = []
    for onset, offset in sorted(intervals):
        if out and onset <= out[-1][1]:
            out[-1] = (out[-1][0], max(offset, out[-1][1]))
        else:
            out.append((onset, offset))
    return tuple(out)


def _intervals(listed: Iterable[Sequence[float]]) -> tuple[Interval, ...]:
    return tuple((float(onset), float(offset)) for onset, offset in listed)
