"""One scene at one level: what is right and wrong, and how well the right stems are separated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ontology import Ontology
from uss.core.arrays import Waveform
from uss.detection.analysis import Analysis
from uss.detection.detections import Detection
from uss.detection.events import FoundEvent, intervals_of
from uss.evaluation.scenes.node_times import NodeTimes, joined
from uss.evaluation.scenes.records import LevelRecord, MatchedStem
from uss.evaluation.scenes.rendering import RenderedScene
from uss.evaluation.scenes.scene import Scene
from uss.metrics import is_alone, sdr, si_sdr_improvement

NOISE_CLASSES = (
    "Noise",
    "White noise",
    "Pink noise",
    "Static",
    "Environmental noise",
)
"""What a background may rightly be called.

"Hum" is not among them: the nodes above it hold half of the everyday sounds, whose false detections
have to count.
"""


class LevelTruth(NamedTuple):
    """What is there at a level.

    Attributes:
        events: numbers of the events of each true node, by its mid.
        disregarded: mids of nodes that are neither right nor wrong.
    """

    events: dict[str, tuple[int, ...]]
    disregarded: tuple[str, ...]


def level_truth(scene: Scene, level: int, ontology: Ontology) -> LevelTruth:
    """Find the nodes of a level that contain a class of an event.

    All labels of an event count. In a scene with a background, nodes that contain a noise class
    and none of an event are neither right nor wrong.

    Raises:
        InputError: if the ontology has no such level.
    """
    labels_of = [{ontology.nodes[mid].class_index for mid in event.mids} for event in scene.events]
    noises = {ontology.find(name).class_index for name in NOISE_CLASSES}
    true, disregarded = {}, []
    for node in ontology.nodes_at_level(level, with_classes=True):
        inside = set(ontology.class_indexes(node))
        events = tuple(n for n, labels in enumerate(labels_of) if not inside.isdisjoint(labels))
        if events:
            true[node.mid] = events
        elif scene.background is not None and not inside.isdisjoint(noises):
            disregarded.append(node.mid)
    return LevelTruth(true, tuple(disregarded))


def true_classes(scene: Scene, ontology: Ontology) -> tuple[int, ...]:
    """Class indexes of all labels of all events, ascending."""
    nodes = {ontology.nodes[mid] for event in scene.events for mid in event.mids}
    return tuple(sorted(node.class_index for node in nodes if node.class_index is not None))


def score_detections(truth: LevelTruth, detections: Sequence[Detection]) -> LevelRecord:
    """Note what was detected, without stems."""
    detected = tuple(str(detection.query.mid) for detection in detections)
    return LevelRecord(tuple(truth.events), detected, truth.disregarded)


def score_stems(
    truth: LevelTruth,
    detections: Sequence[Detection],
    stems: Mapping[str, Waveform],
    rendered: RenderedScene,
) -> LevelRecord:
    """Compare the stems of a level with the events.

    Class-aware SDRi is that of DCASE 2025, task 4: the mean over the nodes that are true or
    detected, of SDRi where they are both, else 0. A node whose events are the whole mixture is
    left out of it, as there is nothing to improve on. Half the mixture is scored in the same way.

    Args:
        truth: of the scene and level.
        detections: active nodes of the level.
        stems: (1, T) by the mid of each detected node.
        rendered: the scene.
    """
    record = score_detections(truth, detections)
    sources = {
        mid: rendered.sources[list(events)].sum(axis=0) for mid, events in truth.events.items()
    }
    mixture = torch.from_numpy(rendered.mixture[0])
    alone = {
        mid for mid, source in sources.items() if is_alone(torch.from_numpy(source[0]), mixture)
    }
    matched = {
        mid: _compare(sources[mid], stems[mid], mixture, alone=mid in alone)
        for mid in record.detected
        if mid in sources
    }
    union = (set(sources) | set(record.scored)) - alone
    improvements = [stem.sdri_db or 0.0 for stem in matched.values()]
    of_halves = [stem.half_sdri_db or 0.0 for stem in matched.values()]
    return replace(
        record,
        stems=matched,
        false_energy=sum(energy(stems[mid]) for mid in record.wrong),
        ca_sdri_db=sum(improvements) / len(union) if union else None,
        half_ca_sdri_db=sum(of_halves) / len(union) if union else None,
    )


def times_of_nodes(
    scene: Scene,
    truth: LevelTruth,
    detections: Sequence[Detection],
    analysis: Analysis,
    events: Mapping[str, Sequence[FoundEvent]],
) -> dict[str, NodeTimes]:
    """Gather the times of all nodes that are there or were found, by their mids.

    Nodes that are neither right nor wrong are left out. Events of one node that overlap are one.

    Args:
        scene: says when its events are.
        truth: of the scene and level.
        detections: active nodes of the level.
        analysis: of the scene.
        events: of each detection, by the mid of its node.
    """
    spans = [(each.onset_seconds, each.onset_seconds + each.seconds) for each in scene.events]
    times = {
        mid: NodeTimes(joined([spans[number] for number in numbers]))
        for mid, numbers in truth.events.items()
    }
    for each in detections:
        mid = str(each.query.mid)
        if mid not in truth.disregarded:
            found = tuple((event.onset_seconds, event.offset_seconds) for event in events[mid])
            true = times[mid].true if mid in times else ()
            times[mid] = NodeTimes(true, found, tuple(intervals_of(each, analysis)))
    return times


def energy(waveform: Waveform) -> float:
    """Sum of squares."""
    return float(np.sum(np.square(waveform, dtype=np.float64)))


def _compare(source: Waveform, stem: Waveform, mixture: Tensor, *, alone: bool) -> MatchedStem:
    """Compare (1, T) with (1, T), and with the (T,) mixture unless the source is alone in it."""
    reference, estimate = torch.from_numpy(source[0]), torch.from_numpy(stem[0])
    sdr_db = float(sdr(reference, estimate))
    if alone:
        return MatchedStem(sdr_db, None, None, None)
    mixture_sdr_db = float(sdr(reference, mixture))
    return MatchedStem(
        sdr_db,
        sdr_db - mixture_sdr_db,
        float(si_sdr_improvement(reference, estimate, mixture)),
        float(sdr(reference, 0.5 * mixture)) - mixture_sdr_db,
    )
