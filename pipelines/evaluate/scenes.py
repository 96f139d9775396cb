"""What ``uss-evaluate`` does with scenes."""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipelines.cli import counted
from pipelines.evaluate.settings import describe_models, hashes, open_journal, root_hash
from pipelines.model_options import load_separator
from uss.checkpoints.loading import load_tagger, weight_hash
from uss.core.errors import INPUT_ERRORS, InputError
from uss.evaluation.excerpts import find_audio
from uss.evaluation.journal import Journal
from uss.evaluation.result_formats import REPORT_VERSION, align, write_json
from uss.evaluation.scenes.records import LEVELS, SceneRecord
from uss.evaluation.scenes.running import evaluate_scene
from uss.evaluation.scenes.scene import Scene
from uss.evaluation.scenes.scene_list import read_scenes
from uss.evaluation.scenes.scene_results import describe, headline, scene_table, write_scene_csv
from uss.separation.batching import Batcher
from uss.separation.separator import DEFAULT_LEVEL, Separator


@dataclass(frozen=True)
class _Detector:
    """A tagger that decides what is separated.

    Attributes:
        name: as it was named.
        separator: that uses it.
    """

    name: str
    separator: Separator


def evaluate_scenes(path: Path, arguments: argparse.Namespace, command: str) -> int:
    """Evaluate scenes, write the results and print them; returns the exit status.

    Raises:
        OSError, ValueError: if a scene, a model or the output folder is not as it should be.
    """
    scenes = read_scenes(path)[: arguments.limit]
    check_files(path, scenes, arguments.audio_root)
    detectors = _load_detectors(arguments)
    own = detectors[0].separator
    described = {
        **describe_models(own),
        "compared_hashes": [weight_hash(each.separator.tagger) for each in detectors[1:]],
        "thresholds_hash": _thresholds_hash(own, arguments.threshold),
        "scenes_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "audio_root_hash": root_hash(arguments.audio_root),
        "threshold": arguments.threshold,
        "overlap": arguments.overlap,
    }
    journal = open_journal(arguments.output, described)
    records = _evaluate_rest(scenes, detectors, journal, arguments)
    found = {name: describe(of_detector, LEVELS) for name, of_detector in records.items()}
    content = {
        "version": REPORT_VERSION,
        **headline(found[detectors[0].name], DEFAULT_LEVEL),
        "num_scenes": len(scenes),
        "detectors": found,
        "settings": described,
        "model": {"name": arguments.separator or arguments.model, **hashes(described)},
        "scenes": str(path),
        "command": command,
    }
    write_scene_csv(arguments.output / "results.csv", records)
    write_json(arguments.output / "results.json", content)
    journal.finish()
    print(f"{counted(len(scenes), 'scene')} -> {arguments.output}")
    print()
    print("\n".join(align(scene_table(found))))
    return 0


def check_files(path: Path, scenes: Sequence[Scene], root: Path) -> None:
    """Refuse scenes whose audio is missing before the first is rendered.

    Raises:
        FileNotFoundError: naming the scene.
    """
    for scene in scenes:
        for event in scene.events:
            try:
                find_audio(event.path, root)
            except FileNotFoundError as error:
                raise FileNotFoundError(f"{path}, scene {scene.name}: {error}") from None


def _load_detectors(arguments: argparse.Namespace) -> list[_Detector]:
    own = load_separator(arguments)
    detectors = [_Detector(own.tagger.name, own)]
    for name in arguments.compare_tagger or ():
        tagger = load_tagger(name, trust_checkpoint=arguments.trust_checkpoint)
        separator = Separator(own.bundle, tagger, own.queries, own.runtime)
        taken = {each.name for each in detectors}
        names = (tagger.name, name, *(f"{name} ({number})" for number in range(2, 99)))
        detectors.append(_Detector(next(each for each in names if each not in taken), separator))
    return detectors


def _thresholds_hash(separator: Separator, threshold: float | None) -> str:
    values = np.asarray(separator.thresholds(threshold), np.float32)
    return hashlib.sha256(values.tobytes()).hexdigest()[:16]


def _evaluate_rest(
    scenes: Sequence[Scene],
    detectors: Sequence[_Detector],
    journal: Journal,
    arguments: argparse.Namespace,
) -> dict[str, list[SceneRecord]]:
    """Evaluate what no earlier run has; returns the records of each detector by its name."""
    found: dict[tuple[int, str], SceneRecord] = {}
    for each in journal.records:
        record = SceneRecord.from_json(each.get("record", {}))
        found[each["detector"], record.scene] = record
    total = len(scenes) * len(detectors)
    wanted = [(number, scene) for number in range(len(detectors)) for scene in scenes]
    rest = [(number, scene) for number, scene in wanted if (number, scene.name) not in found]
    batchers: dict[int, Batcher] = {}
    with (
        quiet_detection(),
        tqdm(
            total=total, initial=total - len(rest), unit="scene", file=sys.stderr, disable=None
        ) as progress,
    ):
        for number, scene in rest:
            separator = detectors[number].separator
            try:
                record = evaluate_scene(
                    separator,
                    scene,
                    arguments.audio_root,
                    threshold=arguments.threshold,
                    overlap=arguments.overlap,
                    batcher=batchers.setdefault(number, separator.batcher()),
                )
            except INPUT_ERRORS as error:
                raise InputError(f"scene {scene.name}: {error}") from error
            journal.append({"detector": number, "record": record.to_json()})
            found[number, scene.name] = record
            progress.update()
    return {
        detector.name: [found[number, scene.name] for scene in scenes]
        for number, detector in enumerate(detectors)
    }


@contextmanager
def quiet_detection() -> Iterator[None]:
    """Keep quiet about classes without a query; lines for each scene would bury the progress."""
    logger = logging.getLogger("uss.separation.separator")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
