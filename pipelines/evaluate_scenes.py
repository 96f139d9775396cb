"""What ``uss-evaluate`` does with scenes."""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ontology import Ontology, load_ontology
from pipelines.cli import counted
from pipelines.evaluation_settings import describe_models, hashes, open_journal, root_hash
from pipelines.model_options import load_separator
from uss.checkpoints import load_tagger, weight_hash
from uss.evaluation.journal import Journal
from uss.evaluation.loading import locate
from uss.evaluation.reports import REPORT_VERSION, align, two_digits, write_json
from uss.evaluation.scene_evaluation import LEVELS, evaluate_scene
from uss.evaluation.scene_lists import read_scenes
from uss.evaluation.scene_pooling import (
    average_precisions,
    best_global_threshold,
    f1_at,
    node_scores,
    pool_scenes,
)
from uss.evaluation.scene_records import LevelRecord, SceneRecord
from uss.evaluation.scenes import Scene
from uss.files import written_whole
from uss.separation import Batcher
from uss.separator import DEFAULT_LEVEL, Separator


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
    found = {
        detector.name: _describe(of_detector)
        for detector, of_detector in zip(detectors, records, strict=True)
    }
    content = {
        "version": REPORT_VERSION,
        **_headline(records[0]),
        "num_scenes": len(scenes),
        "detectors": found,
        "settings": described,
        "model": {"name": arguments.separator or arguments.model, **hashes(described)},
        "scenes": str(path),
        "command": command,
    }
    _write_csv(arguments.output / "results.csv", detectors, records)
    write_json(arguments.output / "results.json", content)
    journal.finish()
    print(f"{counted(len(scenes), 'scene')} -> {arguments.output}")
    print()
    print("\n".join(align(_table(found))))
    return 0


def check_files(path: Path, scenes: Sequence[Scene], root: Path) -> None:
    """Refuse scenes whose audio is missing before the first is rendered.

    Raises:
        FileNotFoundError: naming the scene.
    """
    for scene in scenes:
        for event in scene.events:
            try:
                locate(event.path, root)
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
) -> list[list[SceneRecord]]:
    """Evaluate what no earlier run has; returns the records of each detector."""
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
            except (OSError, ValueError) as error:
                raise ValueError(f"scene {scene.name}: {error}") from error
            journal.append({"detector": number, "record": record.to_json()})
            found[number, scene.name] = record
            progress.update()
    return [[found[number, scene.name] for scene in scenes] for number in range(len(detectors))]


@contextmanager
def quiet_detection() -> Iterator[None]:
    """Keep quiet about classes without a query; lines for each scene would bury the progress."""
    logger = logging.getLogger("uss.separator")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _describe(records: Sequence[SceneRecord]) -> dict[str, Any]:
    """Scores of all levels, and what one threshold for all classes could reach here."""
    try:
        threshold = best_global_threshold(records, LEVELS)[0]
    except ValueError:
        # Scenes without events have none.
        threshold = None
    nodes = load_ontology().nodes
    levels = {}
    for level in LEVELS:
        best = None
        if threshold is not None:
            best = float(f1_at(node_scores(records, level), np.array([threshold]))[0])
        precisions = average_precisions(records, level)
        levels[str(level)] = {
            **asdict(pool_scenes(records, level)),
            "f1_at_best_threshold": best,
            "average_precision": {nodes[mid].name: each for mid, each in precisions.items()},
        }
    return {"best_global_threshold": threshold, "levels": levels}


def _headline(records: Sequence[SceneRecord]) -> dict[str, dict[str, float | None]]:
    """``mean`` and ``median`` at the level that is separated by default."""
    at_level = [record.levels[DEFAULT_LEVEL] for record in records]
    stems = [stem for each in at_level for stem in each.stems.values()]
    values = {
        "SDRi": [stem.sdri_db for stem in stems],
        "SI-SDRi": [stem.si_sdri_db for stem in stems],
        "CA-SDRi": [each.ca_sdri_db for each in at_level],
    }
    return {
        statistic: {name: _over_defined(function, each) for name, each in values.items()}
        for statistic, function in (("mean", np.mean), ("median", np.median))
    }


def _over_defined(function: Any, values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(function(defined)) if defined else None


_COLUMNS = {
    "F1": "f1",
    "precision": "precision",
    "recall": "recall",
    "best F1": "f1_at_best_threshold",
    "mAP": "mean_average_precision",
    "count error": "mean_count_error",
    "SDRi": "mean_sdri_db",
    "SI-SDRi": "mean_si_sdri_db",
    "median SI-SDRi": "median_si_sdri_db",
    "CA-SDRi": "mean_ca_sdri_db",
    "false stems": "false_energy_db",
}


def _table(found: Mapping[str, Any]) -> list[list[str]]:
    rows = [["detector", "level", *_COLUMNS]]
    for name, scores in found.items():
        for level, values in scores["levels"].items():
            cells = [_cell(column, values[key]) for column, key in _COLUMNS.items()]
            rows.append([name, level, *cells])
    return rows


def _cell(column: str, value: float | None) -> str:
    if value is None:
        return "-"
    unit = " dB" if _COLUMNS[column].endswith("_db") else ""
    return two_digits(value) + unit


def _write_csv(
    path: Path, detectors: Sequence[_Detector], records: Sequence[Sequence[SceneRecord]]
) -> None:
    """Write ``results.csv``: a row per detector, scene and level."""
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    header = ["detector", "scene", "level", "true", "detected", "disregarded"]
    writer.writerow([*header, "SDRi", "SI-SDRi", "CA-SDRi", "false_energy_fraction"])
    for detector, of_detector in zip(detectors, records, strict=True):
        ontology = detector.separator.ontology
        for record in of_detector:
            for level, found in record.levels.items():
                names = (found.true, found.detected, found.disregarded)
                listed = [_names(mids, ontology) for mids in names]
                scores = _level_scores(found, record.mixture_energy)
                writer.writerow([detector.name, record.scene, level, *listed, *scores])
    with written_whole(path) as part:
        part.write_text(table.getvalue(), encoding="utf-8", errors="backslashreplace")


def _names(mids: Sequence[str], ontology: Ontology) -> str:
    return ";".join(ontology.nodes[mid].name for mid in mids)


def _level_scores(found: LevelRecord, mixture_energy: float) -> list[str]:
    stems = list(found.stems.values())
    values = [
        _over_defined(np.mean, [stem.sdri_db for stem in stems]),
        _over_defined(np.mean, [stem.si_sdri_db for stem in stems]),
        found.ca_sdri_db,
        None if found.false_energy is None else found.false_energy / mixture_energy,
    ]
    return ["" if value is None else f"{value:.5f}" for value in values]
