"""Scores of many scenes from their records, and the threshold that suits them best."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ontology import load_ontology
from uss.core.errors import InputError
from uss.evaluation.scenes.records import SceneRecord
from uss.metrics.detection import DetectionCounts, average_precision, count_error


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


class NodeScores(NamedTuple):
    """How strongly each node was heard in each scene.

    Attributes:
        mids: J nodes of the level.
        scores: (N, J) max over segments of Q(i, j).
        truth: (N, J) bool, which are there.
        counted: (N, J) bool, which are right or wrong.
    """

    mids: tuple[str, ...]
    scores: NDArray[np.float64]
    truth: NDArray[np.bool_]
    counted: NDArray[np.bool_]


def pool_scenes(records: Sequence[SceneRecord], level: int) -> SceneScores:
    """Pool the records of scenes at a level.

    Raises:
        ValueError: if a scene was not evaluated at it.
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
    return SceneScores(
        level=level,
        num_scenes=len(records),
        f1=_defined(counts.f1),
        precision=_defined(counts.precision),
        recall=_defined(counts.recall),
        average_precision=precisions,
        mean_average_precision=_mean(precisions.values()),
        num_true_nodes=len(precisions),
        mean_count_error=_mean(count_error(len(e.scored), len(e.true)) for e in at_level),
        num_matched=len(stems),
        num_off_target=len(stems) - len(on_target),
        mean_sdri_db=_mean(stem.sdri_db for stem in stems),
        median_sdri_db=_median(stem.sdri_db for stem in stems),
        mean_half_sdri_db=_mean(stem.half_sdri_db for stem in stems),
        mean_si_sdri_db=_mean(stem.si_sdri_db for stem in on_target),
        median_si_sdri_db=_median(stem.si_sdri_db for stem in on_target),
        num_alone=sum(stem.sdri_db is None for stem in stems),
        mean_sdr_alone_db=_mean(stem.sdr_db for stem in stems if stem.sdri_db is None),
        mean_ca_sdri_db=_mean(class_aware),
        median_ca_sdri_db=_median(class_aware),
        mean_half_ca_sdri_db=_mean(each.half_ca_sdri_db for each in at_level),
        num_without_ca=len(separated) - sum(each is not None for each in class_aware),
        false_energy_fraction=fraction,
        false_energy_db=10.0 * math.log10(fraction) if fraction else None,
        num_empty=len(empty),
        num_empty_detected=sum(bool(each.wrong) for each in empty),
    )


def node_scores(records: Sequence[SceneRecord], level: int) -> NodeScores:
    """Group the classes of each scene by the nodes of a level (Algorithm 4).

    Raises:
        ValueError: if a scene was not evaluated at it.
    """
    nodes = _classes_of_nodes(level)
    mids = tuple(nodes)
    at_level = [record.at(level) for record in records]
    classes = np.array([record.class_scores for record in records], float)
    columns = [classes[:, indexes].max(axis=1) for indexes in nodes.values()]

    def marked(sets: Iterable[Sequence[str]]) -> NDArray[np.bool_]:
        return np.array([[mid in each for mid in mids] for each in map(set, sets)], bool)

    return NodeScores(
        mids,
        np.stack(columns, axis=1),
        marked(each.true for each in at_level),
        ~marked(each.disregarded for each in at_level),
    )


@functools.cache
def _classes_of_nodes(level: int) -> dict[str, list[int]]:
    """Class indexes of each node of a level, by its mid."""
    ontology = load_ontology()
    nodes = ontology.nodes_at_level(level, with_classes=True)
    return {node.mid: list(ontology.class_indexes(node)) for node in nodes}


def average_precisions(records: Sequence[SceneRecord], level: int) -> dict[str, float]:
    """Return the average precision of each node that is true in some scene, by its mid.

    Raises:
        ValueError: if a scene was not evaluated at this level.
    """
    if not records:
        return {}
    nodes = node_scores(records, level)
    found = {}
    for column, mid in enumerate(nodes.mids):
        counted = nodes.counted[:, column]
        truth = nodes.truth[counted, column]
        if truth.any():
            found[mid] = average_precision(nodes.scores[counted, column], truth)
    return found


def class_average_precisions(records: Sequence[SceneRecord]) -> dict[int, float]:
    """Return the average precision of each class that is true in some scene, by its index.

    Each ranks the scenes by max over segments of P(i, k). An event is of the classes of its labels
    alone, and noise that is no event is wrong.
    """
    if not records:
        return {}
    scores = np.array([record.class_scores for record in records], float)
    truth = np.zeros(scores.shape, bool)
    for row, record in zip(truth, records, strict=True):
        row[list(record.true_classes)] = True
    return {
        int(index): average_precision(scores[:, index], truth[:, index])
        for index in np.flatnonzero(truth.any(axis=0))
    }


def best_global_threshold(
    records: Sequence[SceneRecord], levels: Sequence[int]
) -> tuple[float, float]:
    """Find the threshold of all classes that maximises micro-F1, averaged over levels.

    Args:
        records: with or without stems; what was detected in them does not matter.
        levels: of the ontology.

    Returns:
        The threshold, half way between the scores it parts, and the F1 it gives.

    Raises:
        ValueError: if there are no records, no events in them, nothing was heard, or a level lacks
            in one.
    """
    if not any(record.at(level).true for record in records for level in levels):
        raise InputError("no scene holds an event; a threshold needs scenes with events")
    by_level = [node_scores(records, level) for level in levels]
    scores = np.unique(np.concatenate([each.scores[each.counted] for each in by_level]))
    # From 0, which is what was never heard.
    scores = np.append(0.0, scores[scores > 0.0])
    thresholds = (scores[1:] + scores[:-1]) / 2.0
    if not thresholds.size:
        raise InputError("nothing was heard in any scene; check the recordings and the tagger")
    f1 = np.mean([f1_at(each, thresholds) for each in by_level], axis=0)
    # Of equal ones the highest, which lets the least in elsewhere.
    best = len(f1) - 1 - int(np.argmax(f1[::-1]))
    return float(thresholds[best]), float(f1[best])


def f1_at(nodes: NodeScores, thresholds: NDArray[Any]) -> NDArray[np.float64]:
    """Micro-F1 of detection at each of (M,) thresholds, which scores must exceed."""
    true = np.sort(nodes.scores[nodes.counted & nodes.truth])
    wrong = np.sort(nodes.scores[nodes.counted & ~nodes.truth])
    hits = len(true) - np.searchsorted(true, thresholds, side="right")
    errors = len(wrong) - np.searchsorted(wrong, thresholds, side="right")
    f1: NDArray[np.float64] = 2.0 * hits / np.maximum(1, hits + errors + len(true))
    return f1


def _mean(values: Iterable[float | None]) -> float | None:
    """Mean of what is defined."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def _median(values: Iterable[float | None]) -> float | None:
    """Median of what is defined."""
    defined = [value for value in values if value is not None]
    return statistics.median(defined) if defined else None


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value
