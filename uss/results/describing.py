"""From a detection, and the stem that it may have, to what a result says of it."""

from __future__ import annotations

import numpy as np

from uss.core.arrays import Float32
from uss.detection.analysis import Analysis
from uss.detection.detections import Detection
from uss.detection.events import events_of, intervals_of
from uss.interchange.hand_over import Event
from uss.results.result import StemResult
from uss.results.understood import asked_with

_DIGITS = 4


def describe_detection(
    detection: Detection,
    analysis: Analysis,
    *,
    levels_db: Float32 | None = None,
    loudness_dbfs: float | None = None,
    file: str | None = None,
) -> StemResult:
    """Summarise what was found.

    Args:
        detection: what was found.
        analysis: of the recording.
        levels_db: (N,) of its stem, see ``LevelCurve``; None where nothing was separated.
        loudness_dbfs: of its stem while active.
        file: its stem, relative to the result's folder.
    """
    events = tuple(
        Event(each.onset_seconds, each.offset_seconds, _rounded(each.probability))
        for each in events_of(detection, analysis, levels_db)
    )
    probabilities = detection.probabilities
    return StemResult(
        mid=detection.query.mid,
        name=detection.query.name,
        level=detection.level,
        probability=_rounded(detection.probability),
        probabilities=None
        if probabilities is None
        else tuple(np.round(probabilities.astype(float), _DIGITS).tolist()),
        active_intervals=tuple(intervals_of(detection, analysis)),
        loudness_dbfs=loudness_dbfs,
        file=file,
        events=events,
        mids=detection.query.mids,
        preset=detection.preset,
        **asked_with(detection.query),
    )


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else round(probability, _DIGITS)
