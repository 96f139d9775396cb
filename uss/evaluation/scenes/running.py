"""Algorithms 3 and 4 run on a scene whose events are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from uss.audio import Recording
from uss.audio.envelopes import LevelCurve
from uss.core.arrays import Float32, Waveform
from uss.core.errors import INPUT_ERRORS, InputError
from uss.detection.analysis import Analysis
from uss.detection.defaults import DEFAULT_OVERLAP, Threshold
from uss.detection.events import events_of
from uss.evaluation.scenes.level_scores import (
    energy,
    level_truth,
    score_detections,
    score_stems,
    times_of_nodes,
    true_classes,
)
from uss.evaluation.scenes.node_times import NodeTimes
from uss.evaluation.scenes.records import LEVELS, LevelRecord, SceneRecord
from uss.evaluation.scenes.rendering import RenderedScene, render
from uss.evaluation.scenes.scene import Scene
from uss.separation.batching import Batcher
from uss.separation.plan import Plan, Wanted
from uss.separation.separator import Separator
from uss.separation.stream import whole_stems

_SCORE_DIGITS = 5


def detect_scene(
    separator: Separator,
    scene: Scene,
    root: Path,
    *,
    levels: Sequence[int] = LEVELS,
    threshold: Threshold = None,
    overlap: float = DEFAULT_OVERLAP,
) -> SceneRecord:
    """Render a scene and find what is in it, without separating anything.

    Args:
        separator: its tagger is asked.
        scene: what to render.
        root: the folder its paths start from.
        levels: of the ontology.
        threshold: of detection; None for the model's own.
        overlap: of neighbouring segments.

    Raises:
        OSError, InputError: if the scene cannot be rendered, or a level does not exist.
    """
    rendered = render(scene, root)
    analysis = separator.analyse(_recording(rendered), overlap)
    found = {}
    for level in sorted(set(levels)):
        truth = level_truth(scene, level, separator.ontology)
        found[level] = score_detections(
            truth, separator.detector.detect_level(analysis, level, threshold)
        )
    return _record(separator, scene, analysis, rendered, found)


def evaluate_scene(
    separator: Separator,
    scene: Scene,
    root: Path,
    *,
    levels: Sequence[int] = LEVELS,
    threshold: Threshold = None,
    overlap: float = DEFAULT_OVERLAP,
    consistency: bool = False,
    joint: bool | None = None,
    batcher: Batcher | None = None,
    shifts: Sequence[float] = (),
) -> SceneRecord:
    """Render a scene, find and separate what is in it, and score every level.

    The scene is analysed once, and all levels are separated in one pass.

    Args:
        separator: finds and separates.
        scene: what to render.
        root: the folder its paths start from.
        levels: of the ontology.
        threshold: of detection; None for the model's own.
        overlap: of neighbouring segments.
        consistency: stems share out the residual.
        joint: the stems of a level share bins; None for what the model was trained for.
        batcher: shared with other scenes; None for one of its own.
        shifts: of all thresholds, in logits, that detection is also tried with.

    Raises:
        OSError, InputError: if the scene cannot be rendered, or a level does not exist.
    """
    rendered = render(scene, root)
    recording = _recording(rendered)
    # Events are compared as they are, with what lies below hearing.
    analysis = replace(separator.analyse(recording, overlap), has_infrasound=False)
    wanted = sorted(set(levels))
    asked = Wanted(levels=wanted, threshold=threshold, consistency=consistency, joint=joint)
    plan = separator.plan(analysis, asked)
    stems = iter(_stems(separator, recording, analysis, plan, batcher))
    scored = {}
    # A plan has one group per level, in ascending order, and its stems are in that order.
    for level, detections in zip(wanted, plan.groups.values(), strict=True):
        of_level = {str(each.query.mid): next(stems) for each in detections}
        truth = level_truth(scene, level, separator.ontology)
        scores = score_stems(truth, detections, of_level, rendered)
        events = {
            str(each.query.mid): events_of(
                each, analysis, _levels(of_level[str(each.query.mid)], recording)
            )
            for each in detections
        }
        times = times_of_nodes(scene, truth, detections, analysis, events)
        points = _operating_points(separator, scene, level, analysis, threshold, shifts)
        scored[level] = replace(scores, times=times, operating_points=points)
    return _record(separator, scene, analysis, rendered, scored)


@contextmanager
def named(scene: Scene) -> Iterator[None]:
    """Let an error for the user name the scene that brings it."""
    try:
        yield
    except INPUT_ERRORS as error:
        raise InputError(f"scene {scene.name}: {error}") from error


def _stems(
    separator: Separator,
    recording: Recording,
    analysis: Analysis,
    plan: Plan,
    batcher: Batcher | None,
) -> list[Waveform]:
    """(1, T) per detection of the plan."""
    if not plan.detections:
        return []
    stream = separator.stream(recording, analysis, plan, batcher=batcher)
    return whole_stems(stream, len(plan.detections), recording.waveform)


def _operating_points(
    separator: Separator,
    scene: Scene,
    level: int,
    analysis: Analysis,
    threshold: Threshold,
    shifts: Sequence[float],
) -> tuple[dict[str, NodeTimes], ...]:
    """What is found with other thresholds; the scene's own levels stand in for those of stems."""
    truth = level_truth(scene, level, separator.ontology)
    points = []
    for shift in shifts:
        found = separator.detector.detect_level(analysis, level, threshold, shift_logits=shift)
        events = {str(each.query.mid): events_of(each, analysis) for each in found}
        points.append(times_of_nodes(scene, truth, found, analysis, events))
    return tuple(points)


def _levels(stem: Waveform, recording: Recording) -> Float32:
    curve = LevelCurve(recording.sample_rate)
    curve.add(stem)
    return curve.levels_db


def _record(
    separator: Separator,
    scene: Scene,
    analysis: Analysis,
    rendered: RenderedScene,
    levels: Mapping[int, LevelRecord],
) -> SceneRecord:
    probabilities = separator.detector.separable_probabilities(analysis)
    highest = probabilities.max(axis=0, initial=0.0).astype(np.float64)
    return SceneRecord(
        scene=scene.name,
        class_scores=tuple(np.round(highest, _SCORE_DIGITS).tolist()),
        true_classes=true_classes(scene, separator.ontology),
        mixture_energy=energy(rendered.mixture),
        seconds=scene.seconds,
        levels=levels,
    )


def _recording(rendered: RenderedScene) -> Recording:
    return Recording(rendered.mixture, rendered.sample_rate)
