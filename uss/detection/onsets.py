"""From how loud and how probable a sound is to when it begins and ends.

A sound counts as loud as its stem is, but where a tagger's frames fall short of the threshold by
some decibels, by as many less. Hysteresis on that, relative to the loudest moment around, finds
where it begins and ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from uss.audio.envelopes import FRAMES_PER_SECOND
from uss.core.arrays import Bools, Float32

_LOUDEST_WITHIN_SECONDS = 5.0
"""On either side; a sound that goes on for hours is not held against its loudest moment."""
_QUIETER_AT_MOST_DB = 40.0
"""Than that; else what leaks into a silent stem would be loud."""
_LEAST_SHARE = 1e-3
_ROUNDING = 1e-6


@dataclass(frozen=True)
class EventRule:
    """What an event is.

    Attributes:
        on_db: below the loudest moment around, which it reaches somewhere.
        off_db: likewise, which it reaches as long as it lasts.
        gap_seconds: shorter gaps are no gaps.
        min_seconds: what is shorter is left out, if there is anything else.
    """

    on_db: float = -25.0
    off_db: float = -30.0
    gap_seconds: float = 0.75
    min_seconds: float = 0.1


DEFAULT_RULE = EventRule()
"""Among the best of those that ``scripts/search_event_rule.py`` tries: many are as good."""


def find_intervals(
    intervals: Sequence[tuple[float, float]],
    levels_db: Float32,
    heard: Float32 | None = None,
    rule: EventRule = DEFAULT_RULE,
) -> list[tuple[float, float]]:
    """Find when a sound begins and ends while it is active.

    Args:
        intervals: (start, end) in seconds, when it is active, ascending.
        levels_db: (N,) how loud it is, 20 frames per second.
        heard: (N,) how probable it is, as a fraction of the threshold; None where that is unknown.
        rule: what an event is.

    Returns:
        (onset, offset) in seconds, ascending: multiples of 50 ms, but for the ends of intervals. At
        least one in each interval: its loudest part where nothing is as loud as an event has to be.
    """
    found = []
    for start, end in intervals:
        first = math.floor(start * FRAMES_PER_SECOND + _ROUNDING)
        last = min(math.ceil(end * FRAMES_PER_SECOND - _ROUNDING), len(levels_db))
        if first >= last:
            found.append((start, end))
            continue
        within = slice(first, last)
        score = _score(levels_db[within], None if heard is None else heard[within])
        for begin, stop in _lasting(_held(score, rule), rule):
            onset, offset = (first + begin) / FRAMES_PER_SECOND, (first + stop) / FRAMES_PER_SECOND
            found.append((max(onset, start), min(offset, end)))
    return found


def _score(levels_db: Float32, heard: Float32 | None) -> Float32:
    """(N,) decibels below the loudest moment around."""
    reach = round(_LOUDEST_WITHIN_SECONDS * FRAMES_PER_SECOND)
    around = np.pad(levels_db, reach, constant_values=-np.inf)
    loudest = sliding_window_view(around, 2 * reach + 1).max(axis=1)
    score: Float32 = levels_db - np.maximum(loudest, levels_db.max() - _QUIETER_AT_MOST_DB)
    if heard is not None:
        score += 20.0 * np.log10(np.clip(heard, _LEAST_SHARE, 1.0))
    return score


def _held(score: Float32, rule: EventRule) -> list[tuple[int, int]]:
    """Runs of frames that last to the lower threshold, of which one reaches the higher.

    Both are lowered as far as it takes for the highest frame to reach it.
    """
    lowered = min(0.0, float(score.max()) - rule.on_db)
    is_on = score >= rule.on_db + lowered
    return [
        (begin, stop)
        for begin, stop in _runs(score >= rule.off_db + lowered)
        if is_on[begin:stop].any()
    ]


def _lasting(runs: Sequence[tuple[int, int]], rule: EventRule) -> list[tuple[int, int]]:
    """Close short gaps, then leave out what is short, if there is anything else."""
    joined: list[tuple[int, int]] = []
    for begin, stop in runs:
        if joined and begin - joined[-1][1] < rule.gap_seconds * FRAMES_PER_SECOND:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((begin, stop))
    long_enough = [
        (begin, stop)
        for begin, stop in joined
        if stop - begin >= rule.min_seconds * FRAMES_PER_SECOND
    ]
    return long_enough or joined[:1]


def _runs(mask: Bools) -> Iterator[tuple[int, int]]:
    """First frame, and the one after the last, of each run."""
    borders = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return zip(borders[::2].tolist(), borders[1::2].tolist(), strict=True)
