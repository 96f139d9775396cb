"""Small scenes and records for tests."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from ontology import load_ontology
from uss.data.manifest import Clip
from uss.evaluation.scenes.level_scores import LevelTruth, level_truth, true_classes
from uss.evaluation.scenes.records import LevelRecord, SceneRecord
from uss.evaluation.scenes.scene import Background, Scene, SceneEvent
from uss.taggers import NUM_CLASSES

RATE = 32_000
NOISE = Background(level_dbfs=-40.0, exponent=1.0, seed=7)


def mid(name: str) -> str:
    return load_ontology().find(name).mid


def class_index(name: str) -> int:
    index = load_ontology().find(name).class_index
    assert index is not None
    return index


def make_event(*names: str, path: str = "clip.wav", **changes: float) -> SceneEvent:
    """An event of the classes named: 0.5 s of its clip, from 0.25 s of the scene on."""
    values = {"onset_seconds": 0.25, "start_seconds": 0.0, "seconds": 0.5, "gain_db": 0.0}
    return SceneEvent(path=path, mids=tuple(map(mid, names)), **{**values, **changes})


def make_scene(
    *events: SceneEvent, background: Background | None = None, name: str = "scene"
) -> Scene:
    return Scene(name, events, background, seconds=1.0, sample_rate=RATE)


def write_clip(root: Path, name: str, waveform: np.ndarray, sample_rate: int = RATE) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    soundfile.write(root / name, waveform, sample_rate, subtype="FLOAT")
    return root / name


def write_clips(root: Path, names: Iterable[str], seconds: float = 0.3) -> list[Clip]:
    """Two clips of noise for each class."""
    rng = np.random.default_rng(3)
    clips = []
    for number, name in enumerate(names):
        for take in range(2):
            path = f"{number}-{take}.wav"
            write_clip(root, path, 0.1 * rng.standard_normal(round(seconds * RATE)))
            clips.append(Clip(path.removesuffix(".wav"), path, (mid(name),)))
    return clips


def make_record(
    scene: Scene,
    scores: Mapping[str, float],
    detected: Sequence[Sequence[str]] = ((), (), ()),
) -> SceneRecord:
    """What a tagger that gives some classes these scores leaves behind.

    Args:
        scene: what is true.
        scores: by the names of classes.
        detected: names of nodes at levels 1, 2 and 3.
    """
    class_scores = np.zeros(NUM_CLASSES)
    for name, score in scores.items():
        class_scores[class_index(name)] = score
    levels = {}
    for level, names in enumerate(detected, start=1):
        truth = _truth_of(replace(scene, name="any"), level)
        levels[level] = LevelRecord(
            tuple(truth.events),
            tuple(map(mid, names)),
            truth.disregarded,
        )
    classes = true_classes(scene, load_ontology())
    return SceneRecord(
        scene.name, tuple(class_scores.tolist()), classes, 1.0, scene.seconds, levels
    )


def separated(
    record: SceneRecord, mixture_energy: float, level: int, **changes: object
) -> SceneRecord:
    """The same record with what stems would add to a level."""
    at_level: LevelRecord = replace(record.levels[level], **changes)  # type: ignore[arg-type]
    return replace(record, mixture_energy=mixture_energy, levels={**record.levels, level: at_level})


@functools.cache
def _truth_of(scene: Scene, level: int) -> LevelTruth:
    return level_truth(scene, level, load_ontology())
