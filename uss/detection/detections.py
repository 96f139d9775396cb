"""What was found in a recording, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from uss.conditions.queries import Query
from uss.core.arrays import Bools, Float32

_TOUCHING_SECONDS = 1e-6


@dataclass(frozen=True)
class Detection:
    """A query over the segments of a recording.

    Attributes:
        query: what was looked for.
        level: of the ontology, where all its nodes were looked for; None where the user named it.
        probabilities: (I,) Q(i, j) per segment; for audio, how alike segment and query are; None
            for words that only the separator's own encoder understands.
        active: (I,) bool, the segments in which it is separated.
        spans: (start, end) in seconds, outside of which its stem is silent; None for no such limit.
        preset: name of the preset that asks for it, if one does.
    """

    query: Query
    level: int | None
    probabilities: Float32 | None
    active: Bools
    spans: tuple[tuple[float, float], ...] | None = None
    preset: str | None = None

    @property
    def probability(self) -> float | None:
        """The highest probability over all segments; None where there are none."""
        if self.probabilities is None:
            return None
        return float(self.probabilities.max(initial=0.0))


def active_intervals(
    active: Bools, starts: Sequence[float], segment_seconds: float, end: float
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
