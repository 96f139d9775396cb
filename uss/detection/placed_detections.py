"""Detections at times that the user names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from uss.core.clock import format_time
from uss.core.errors import InputError
from uss.detection.analysis import Analysis
from uss.detection.detections import Detection

# People give the end as a player shows it, rounded.
_BEYOND_SECONDS = 0.1


def only_there(
    detection: Detection, spans: tuple[tuple[float, float], ...], analysis: Analysis
) -> Detection:
    """Make a detection active in all segments that some spans touch, and in no others.

    Args:
        detection: what was found, if anything.
        spans: (start, end) in seconds; an infinite end is that of the recording.
        analysis: of the recording.

    Raises:
        ValueError: if the recording ends before a span does.
    """
    duration = analysis.duration_seconds
    for start, end in spans:
        last = start if np.isinf(end) else end - _BEYOND_SECONDS
        if last > duration or start >= duration:
            beyond = start if start >= duration else end
            raise InputError(
                f"{detection.query.name} is wanted at {format_time(beyond)} of what is separated, "
                f"which lasts {format_time(duration)}; choose an earlier time"
            )
    starts = np.array(analysis.starts_seconds)
    active = np.zeros(len(starts), bool)
    for start, end in spans:
        active |= (starts < end) & (starts + analysis.segment_seconds > start)
    clipped = tuple((start, min(end, duration)) for start, end in spans)
    return replace(detection, active=active, spans=clipped)
