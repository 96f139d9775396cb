"""The result of a separation: one versioned object, of which files are views."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from uss.audio import Waveform
from uss.files import written_whole
from uss.hierarchy import Detection, active_intervals
from uss.separator import Analysis, Stem

RESULT_VERSION = 1


@dataclass(frozen=True)
class StemResult:
    """One stem of a result.

    Attributes:
        mid, name: of the ontology node; a query made of audio has no mid.
        level: the level it was found at; None where the user named it.
        probability: the highest of ``probabilities``.
        probabilities: Q(segment, node).
        active_intervals: (start, end) in seconds.
        loudness_dbfs: RMS level while active, 0 dB for a square wave at full scale; None where
            the stem is silent or was not separated.
        file: relative to the result's folder; None where the stem was not separated.
    """

    mid: str | None
    name: str
    level: int | None
    probability: float
    probabilities: tuple[float, ...]
    active_intervals: tuple[tuple[float, float], ...]
    loudness_dbfs: float | None
    file: str | None


@dataclass(frozen=True)
class SeparationResult:
    """All that is known about one separated recording.

    Attributes:
        input: name of the file.
        sample_rate: in Hz.
        num_channels: C.
        duration_seconds: of the recording.
        segment_seconds: length of a segment.
        segment_starts: in seconds, one per probability.
        settings: threshold, overlap, model, tagger.
        stems: most probable first within each level.
        residuals: folder to file; empty where nothing was separated.
        residual_loudness_dbfs: folder to RMS level over the whole recording; None where silent.
    """

    input: str
    sample_rate: int
    num_channels: int
    duration_seconds: float
    segment_seconds: float
    segment_starts: tuple[float, ...]
    settings: Mapping[str, Any]
    stems: tuple[StemResult, ...]
    residuals: Mapping[str, str]
    residual_loudness_dbfs: Mapping[str, float | None] = field(default_factory=dict)

    def write_json(self, path: str | Path) -> None:
        """Write ``detections.json``."""
        content = {"version": RESULT_VERSION, **asdict(self)}
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        with written_whole(path) as part:
            part.write_text(text, encoding="utf-8")


def describe_detection(
    detection: Detection, analysis: Analysis, duration_seconds: float
) -> StemResult:
    """Summarise a class that was found but not separated.

    Args:
        detection: what was found.
        analysis: gives the segments.
        duration_seconds: of the recording.
    """
    intervals = active_intervals(
        detection.active, analysis.starts_seconds, analysis.segment_seconds, duration_seconds
    )
    return StemResult(
        mid=detection.node.mid,
        name=detection.node.name,
        level=detection.level,
        probability=round(detection.probability, 4),
        probabilities=tuple(np.round(detection.probabilities.astype(float), 4).tolist()),
        active_intervals=tuple(intervals),
        loudness_dbfs=None,
        file=None,
    )


def describe_stem(
    stem: Stem, written: Waveform, analysis: Analysis, sample_rate: int, file: str
) -> StemResult:
    """Summarise a written stem.

    Args:
        stem: what was separated.
        written: (C, T) as the file holds it.
        analysis: gives the segments.
        sample_rate: in Hz.
        file: relative to the result's folder.
    """
    found = describe_detection(stem.detection, analysis, written.shape[1] / sample_rate)
    loudness = _loudness(written, found.active_intervals, sample_rate)
    return replace(found, loudness_dbfs=loudness, file=file)


def _loudness(
    waveform: Waveform, intervals: Sequence[tuple[float, float]], sample_rate: int
) -> float | None:
    pieces = [
        waveform[:, round(start * sample_rate) : round(end * sample_rate)]
        for start, end in intervals
    ]
    if not pieces:
        return None
    power = float(np.mean(np.square(np.concatenate(pieces, axis=1), dtype=np.float64)))
    return round(10.0 * math.log10(power), 2) if power > 0.0 else None
