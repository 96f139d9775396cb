"""How well onsets and offsets are found, counted as sed_eval does (Mesaros et al. 2016)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from uss.core.arrays import Bools
from uss.metrics.detection import DetectionCounts

Interval = tuple[float, float]
"""Onset and offset in seconds."""

COLLAR_SECONDS = 0.2
OFFSET_FRACTION = 0.2
SEGMENT_SECONDS = 0.1
# Times are multiples of 50 ms or of a sample: what differs by less is the same.
_SAME = 1e-6


def event_counts(
    true: Sequence[Interval],
    detected: Sequence[Interval],
    *,
    collar_seconds: float = COLLAR_SECONDS,
    offset_fraction: float = OFFSET_FRACTION,
) -> DetectionCounts:
    """Count the events of one class that were found as a whole.

    An event is found if its onset is right to the collar, and its offset to the collar or to a
    fraction of its length, whichever is more. Events are paired so that as many as possible are.

    Args:
        true: what is there.
        detected: what was found.
        collar_seconds: of onsets, and of the offsets of short events.
        offset_fraction: of the length of the true event.
    """
    if not true or not detected:
        return DetectionCounts(0, len(detected), len(true))
    onsets, offsets = np.array(true, np.float64).T[:, :, None]
    found_onsets, found_offsets = np.array(detected, np.float64).T
    collars = np.maximum(collar_seconds, offset_fraction * (offsets - onsets))
    may_pair = np.abs(found_onsets - onsets) <= collar_seconds + _SAME
    may_pair &= np.abs(found_offsets - offsets) <= collars + _SAME
    num_hits = int(may_pair[linear_sum_assignment(may_pair, maximize=True)].sum())
    return DetectionCounts(num_hits, len(detected) - num_hits, len(true) - num_hits)


def segment_counts(
    true: Sequence[Interval],
    detected: Sequence[Interval],
    duration_seconds: float,
    *,
    segment_seconds: float = SEGMENT_SECONDS,
) -> DetectionCounts:
    """Count the short segments in which one class is there, found, or both.

    Args:
        true: what is there.
        detected: what was found.
        duration_seconds: of the recording.
        segment_seconds: an event fills each segment that it touches.
    """
    num_segments = math.ceil(duration_seconds / segment_seconds - _SAME)
    is_true = _filled(true, segment_seconds, num_segments)
    is_found = _filled(detected, segment_seconds, num_segments)
    return DetectionCounts(
        int(np.count_nonzero(is_true & is_found)),
        int(np.count_nonzero(is_found & ~is_true)),
        int(np.count_nonzero(is_true & ~is_found)),
    )


def _filled(intervals: Sequence[Interval], segment_seconds: float, num_segments: int) -> Bools:
    filled = np.zeros(num_segments, bool)
    for onset, offset in intervals:
        first = math.floor(onset / segment_seconds + _SAME)
        filled[first : math.ceil(offset / segment_seconds - _SAME)] = True
    return filled
