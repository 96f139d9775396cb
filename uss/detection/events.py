"""When a detection begins and ends, as finely as its stem and the tagger's frames tell."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from uss.audio.envelopes import FRAMES_PER_SECOND
from uss.core.arrays import Float32
from uss.detection.analysis import Analysis
from uss.detection.detections import Detection, active_intervals
from uss.detection.framewise import LOWEST_PROBABILITY
from uss.detection.onsets import find_intervals


class FoundEvent(NamedTuple):
    """A sound from its onset to its offset.

    Attributes:
        onset_seconds, offset_seconds: multiples of 50 ms, or where activity or recording end.
        probability: the highest Q(i, j) of the active segments that it lies in; None where there
            are none.
    """

    onset_seconds: float
    offset_seconds: float
    probability: float | None


def intervals_of(detection: Detection, analysis: Analysis) -> list[tuple[float, float]]:
    """Say when a detection is separated: (start, end) in seconds, ascending."""
    if detection.spans is not None:
        return list(detection.spans)
    return active_intervals(
        detection.active,
        analysis.starts_seconds,
        analysis.segment_seconds,
        analysis.duration_seconds,
    )


def events_of(
    detection: Detection, analysis: Analysis, levels_db: Float32 | None = None
) -> list[FoundEvent]:
    """Find the events of a detection: at least one in each interval in which it is active.

    Args:
        detection: what was found.
        analysis: of the recording.
        levels_db: (N,) of its stem, see ``LevelCurve``; None for those of the recording, where
            nothing was separated.
    """
    levels = analysis.levels_db if levels_db is None else levels_db
    if levels is None:
        levels = np.zeros(math.ceil(analysis.duration_seconds * FRAMES_PER_SECOND), np.float32)
    heard = heard_in_frames(detection, analysis, len(levels))
    return [
        FoundEvent(onset, offset, _probability(detection, analysis, onset, offset))
        for onset, offset in find_intervals(intervals_of(detection, analysis), levels, heard)
    ]


def heard_in_frames(detection: Detection, analysis: Analysis, num_frames: int) -> Float32 | None:
    """(N,) how probable it is, as a fraction of the usual threshold: the highest of its classes.

    None where it stands for no classes, or the tagger gave no frames.
    """
    classes, thresholds = list(detection.query.class_indexes), analysis.usual_thresholds
    if analysis.framewise is None or thresholds is None or not classes:
        return None
    weights = np.zeros_like(thresholds)
    weights[classes] = 1.0 / np.maximum(thresholds[classes], LOWEST_PROBABILITY)
    middles = (np.arange(num_frames) + 0.5) / FRAMES_PER_SECOND
    return analysis.framewise.curve(weights, middles)


def _probability(
    detection: Detection, analysis: Analysis, start: float, end: float
) -> float | None:
    if detection.probabilities is None:
        return None
    starts = np.asarray(analysis.starts_seconds)
    touched = detection.active & (starts < end) & (starts + analysis.segment_seconds > start)
    return float(detection.probabilities[touched].max(initial=0.0))
