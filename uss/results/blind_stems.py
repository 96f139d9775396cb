"""Naming the stems that a blind separator gave: each is heard, and called like what it holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from uss.audio import AudioFile
from uss.audio.envelopes import LevelCurve, LoudnessMeter
from uss.conditions.queries import NodeQuery
from uss.core.arrays import Float64
from uss.detection.analysis import Analysis
from uss.detection.events import intervals_of
from uss.detection.grouping import detect
from uss.results.describing import describe_detection
from uss.results.result import StemResult
from uss.results.stem_names import StemNames
from uss.separation.separator import Separator


def name_blind_stems(
    folder: Path,
    stems: Sequence[StemResult],
    separator: Separator,
    overlap: float,
    names: StemNames,
) -> list[StemResult]:
    """Tag the files of stems, and rename them to what they hold, such as ``stem1_Dog.wav``.

    A stem is named after the class that is most probable in it, on the mean of its segments, of
    which loud ones count for more. Its intervals are when that class is heard; where it reaches its
    threshold nowhere, when the stem sounds. A silent stem stays without a class.

    Args:
        folder: of the result.
        stems: as they were written, named by their numbers.
        separator: its tagger hears.
        overlap: of neighbouring segments.
        names: how files of stems are called.

    Returns:
        The stems with their names, classes, probabilities, intervals and files.

    Raises:
        OSError: if a file cannot be read or renamed.
    """
    taken: set[str] = set()
    named = []
    for stem in stems:
        assert stem.file is not None, "it was written"
        heard = _heard(folder / stem.file, stem, separator, overlap)
        if heard is None:
            named.append(stem)
            continue
        query, described = heard
        old = PurePosixPath(stem.file)
        group = stem.group
        new = old.with_name(f"{names.of_stem(query, group, taken)}{old.suffix}")
        os.replace(folder / old, folder / new)
        named.append(replace(described, file=str(new)))
    return named


def _heard(
    path: Path, stem: StemResult, separator: Separator, overlap: float
) -> tuple[NodeQuery, StemResult] | None:
    """Find what a stem holds, and describe it; None if it is silent."""
    file = AudioFile(path)
    analysis = separator.analyse(file, overlap)
    if not analysis.sounding.any():
        return None
    weights = _energies(analysis)[:, None]
    class_index = int((weights * analysis.probabilities).sum(axis=0).argmax())
    node = separator.ontology.classes[class_index]
    query = NodeQuery(f"{stem.name}_{node.name}", node.mid, (class_index,))
    thresholds = separator.detector.thresholds(None)
    (found,) = detect(analysis.probabilities, [query], thresholds, release=analysis.release)
    if not found.active.any():
        found = replace(found, active=analysis.sounding)
    meter = LoudnessMeter(intervals_of(found, analysis), file.sample_rate)
    levels = LevelCurve(file.sample_rate)
    for block in file.blocks():
        meter.add(block)
        levels.add(block)
    described = describe_detection(
        found, analysis, levels_db=levels.levels_db, loudness_dbfs=meter.dbfs
    )
    return query, replace(described, preset=stem.preset)


def _energies(analysis: Analysis) -> Float64:
    """(I,) how loud segments are, by the middle of their extremes' squares; 0 where silent."""
    envelope = analysis.envelope
    power = np.square((envelope.high.astype(np.float64) - envelope.low) / 2.0)
    seconds = envelope.centres_seconds
    energies = np.zeros(len(analysis.starts_seconds))
    for index, start in enumerate(analysis.starts_seconds):
        inside = (seconds >= start) & (seconds < start + analysis.segment_seconds)
        energies[index] = power[inside].mean() if inside.any() else 0.0
    return np.where(analysis.sounding, energies + np.finfo(np.float64).tiny, 0.0)
