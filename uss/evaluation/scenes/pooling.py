"""Scores of many scenes from their records."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from uss.evaluation.scenes.node_scores import average_precisions
from uss.evaluation.scenes.node_times import TimeCounts, counts_of
from uss.evaluation.scenes.psds import psds
from uss.evaluation.scenes.records import SceneRecord
from uss.metrics.detection import DetectionCounts, count_error


@dataclass(frozen=True)
class SceneScores:
    """Scores of one level over all scenes; None where there is nothing to score.

    Attributes:
        level: of the ontology.
        num_scenes: N.
        f1, precision, recall: of detection, over the detections of all scenes (micro-averaged).
        average_precision: of each node that is true in some scene, by its mid; it ranks the scenes
            by max over segments of Q(i, j).
        mean_average_precision: over those nodes.
        num_true_nodes: how many nodes those are.
        event_f1: of onsets and offsets, over the events of all nodes (micro-averaged).
        segment_f1: of segments of 100 ms, likewise.
        psds: see ``uss.evaluation.scenes.psds``.
        span_event_f1, span_segment_f1, span_psds: the same for whole segments of the separator in
            the place of events.
        mean_count_error: mean absolute difference between the numbers of detected and true nodes.
        num_matched: stems of true nodes.
        num_off_target: stems among them that hold nothing of their source (OFF_TARGET_DB), as the
            class is there at another time than it was detected.
        mean_sdri_db, median_sdri_db: over the stems that have something else in the mixture.
        mean_half_sdri_db: the same for half the mixture in place of each.
        mean_si_sdri_db, median_si_sdri_db: as SDRi, without those off target, whose ratio is only
            limited by the metric's cap: a few of them would decide the mean.
        num_alone, mean_sdr_alone_db: how many have not, and their plain SDR.
        mean_ca_sdri_db, median_ca_sdri_db: class-aware SDRi, over the scenes that have one; stems
            off target count.
        mean_half_ca_sdri_db: the same for half the mixture in place of each stem of a true node.
        num_without_ca: scenes with nothing true nor detected, which have none.
        false_energy_fraction: energy of all wrong stems over that of all mixtures.
        false_energy_db: the same in dB; None for none.
        num_empty: scenes with nothing true.
        num_empty_detected: those of them in which something was wrongly detected.
    """

    level: int
    num_scenes: int
    f1: float | None
    precision: float | None
    recall: float | None
    average_precision: Mapping[str, float]
    mean_average_precision: float | None
    num_true_nodes: int
    event_f1: float | None
    segment_f1: float | None
    psds: float | None
    span_event_f1: float | None
    span_segment_f1: float | None
    span_psds: float | None
    mean_count_error: float | None
    num_matched: int
    num_off_target: int
    mean_sdri_db: float | None
    median_sdri_db: float | None
    mean_half_sdri_db: float | None
    mean_si_sdri_db: float | None
    median_si_sdri_db: float | None
    num_alone: int
    mean_sdr_alone_db: float | None
    mean_ca_sdri_db: float | None
    median_ca_sdri_db: float | None
    mean_half_ca_sdri_db: float | None
    num_without_ca: int
    false_energy_fraction: float | None
    false_energy_db: float | None
    num_empty: int
    num_empty_detected: int


def pool_scenes(records: Sequence[SceneRecord], level: int) -> SceneScores:
    """Pool the records of scenes at a level.

    Raises:
        InputError: if a scene was not evaluated at it.
    """
    at_level = [record.at(level) for record in records]
    counts = sum((each.counts for each in at_level), DetectionCounts())
    stems = [stem for each in at_level for stem in each.stems.values()]
    on_target = [stem for stem in stems if not stem.is_off_target]
    precisions = average_precisions(records, level)
    separated = [
        (record.mixture_energy, each.false_energy)
        for record, each in zip(records, at_level, strict=True)
        if each.false_energy is not None
    ]
    mixture_energy, false_energy = np.sum(separated, axis=0).tolist() if separated else (0.0, 0.0)
    fraction = false_energy / mixture_energy if mixture_energy else None
    class_aware = [each.ca_sdri_db for each in at_level]
    empty = [each for each in at_level if not each.true]
    of_events, of_spans = (_time_counts(records, level, of_spans=each) for each in (False, True))
    return SceneScores(
        level=level,
        num_scenes=len(records),
        f1=_defined(counts.f1),
        precision=_defined(counts.precision),
        recall=_defined(counts.recall),
        average_precision=precisions,
        mean_average_precision=mean_of_defined(precisions.values()),
        num_true_nodes=len(precisions),
        event_f1=_defined(of_events.events.f1),
        segment_f1=_defined(of_events.segments.f1),
        psds=psds(records, level),
        span_event_f1=_defined(of_spans.events.f1),
        span_segment_f1=_defined(of_spans.segments.f1),
        span_psds=psds(records, level, of_spans=True),
        mean_count_error=mean_of_defined(count_error(len(e.scored), len(e.true)) for e in at_level),
        num_matched=len(stems),
        num_off_target=len(stems) - len(on_target),
        mean_sdri_db=mean_of_defined(stem.sdri_db for stem in stems),
        median_sdri_db=_median(stem.sdri_db for stem in stems),
        mean_half_sdri_db=mean_of_defined(stem.half_sdri_db for stem in stems),
        mean_si_sdri_db=mean_of_defined(stem.si_sdri_db for stem in on_target),
        median_si_sdri_db=_median(stem.si_sdri_db for stem in on_target),
        num_alone=sum(stem.sdri_db is None for stem in stems),
        mean_sdr_alone_db=mean_of_defined(stem.sdr_db for stem in stems if stem.sdri_db is None),
        mean_ca_sdri_db=mean_of_defined(class_aware),
        median_ca_sdri_db=_median(class_aware),
        mean_half_ca_sdri_db=mean_of_defined(each.half_ca_sdri_db for each in at_level),
        num_without_ca=len(separated) - sum(each is not None for each in class_aware),
        false_energy_fraction=fraction,
        false_energy_db=10.0 * math.log10(fraction) if fraction else None,
        num_empty=len(empty),
        num_empty_detected=sum(bool(each.wrong) for each in empty),
    )


def _time_counts(records: Sequence[SceneRecord], level: int, *, of_spans: bool) -> TimeCounts:
    counts = (
        counts_of(record.at(level).times.values(), record.seconds, of_spans=of_spans)
        for record in records
    )
    return sum(counts, TimeCounts())


def mean_of_defined(values: Iterable[float | None]) -> float | None:
    """Mean of what is defined."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def _median(values: Iterable[float | None]) -> float | None:
    """Median of what is defined."""
    defined = [value for value in values if value is not None]
    return statistics.median(defined) if defined else None


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value
