"""From the records of all scenes to tables: results.json, results.csv, lines for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ontology import load_ontology
from uss.core.errors import InputError
from uss.evaluation.csv_tables import write_table
from uss.evaluation.result_formats import two_digits, with_interval
from uss.evaluation.scenes.intervals import intervals
from uss.evaluation.scenes.node_scores import (
    best_global_threshold,
    class_average_precisions,
    f1_at,
    node_scores,
)
from uss.evaluation.scenes.pooling import mean_of_defined, pool_scenes
from uss.evaluation.scenes.records import LevelRecord, SceneRecord

_HEADLINES = {"SDRi": "sdri_db", "SI-SDRi": "si_sdri_db", "CA-SDRi": "ca_sdri_db"}
# The unit is in the cell; where an interval leaves no room for it, in the heading.
_COLUMNS = {
    "F1": "f1",
    "precision": "precision",
    "recall": "recall",
    "best F1": "f1_at_best_threshold",
    "mAP": "mean_average_precision",
    "count error": "mean_count_error",
    "event F1": "event_f1",
    "segment F1": "segment_f1",
    "PSDS": "psds",
    "SDRi (dB)": "mean_sdri_db",
    "half mixture": "mean_half_sdri_db",
    "SI-SDRi (dB)": "mean_si_sdri_db",
    "median SI-SDRi": "median_si_sdri_db",
    "CA-SDRi (dB)": "mean_ca_sdri_db",
    "false stems": "false_energy_db",
}


def describe(records: Sequence[SceneRecord], levels: Sequence[int]) -> dict[str, Any]:
    """Pool the records of a detector.

    Args:
        records: of all scenes.
        levels: of the ontology.

    Returns:
        What ``results.json`` holds of them: what one threshold for all classes could reach here,
        how well the classes are ranked, and the scores of each level with their 95 % bootstrap
        ``intervals``.

    Raises:
        InputError: if a scene was not evaluated at a level.
    """
    ontology = load_ontology()
    threshold = _best_threshold(records, levels)
    by_class = class_average_precisions(records)
    by_level = {}
    for level in levels:
        scores = pool_scenes(records, level)
        of_nodes = scores.average_precision.items()
        best = None
        if threshold is not None:
            best = float(f1_at(node_scores(records, level), np.array([threshold]))[0])
        by_level[str(level)] = {
            **asdict(scores),
            "average_precision": {ontology.nodes[mid].name: each for mid, each in of_nodes},
            "f1_at_best_threshold": best,
            "intervals": intervals(records, level, np.random.default_rng(0)),
        }
    return {
        "best_global_threshold": threshold,
        "mean_class_average_precision": mean_of_defined(by_class.values()),
        "class_average_precision": {
            ontology.classes[index].name: each for index, each in by_class.items()
        },
        "levels": by_level,
    }


def headline(described: Mapping[str, Any], level: int) -> dict[str, dict[str, float | None]]:
    """Pick ``mean`` and ``median`` of the stems of a level from what ``describe`` returned."""
    scores = described["levels"][str(level)]
    return {
        statistic: {name: scores[f"{statistic}_{key}"] for name, key in _HEADLINES.items()}
        for statistic in ("mean", "median")
    }


def scene_table(found: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Lay out what ``describe`` returned for each detector: a heading, and a row per level.

    PSDS has a column if it was asked for.
    """
    columns = dict(_COLUMNS)
    if all(each["psds"] is None for of in found.values() for each in of["levels"].values()):
        del columns["PSDS"]
    rows = [["detector", "level", *columns]]
    for name, described in found.items():
        for level, scores in described["levels"].items():
            rows.append([name, level, *(_cell(scores, key) for key in columns.values())])
    return rows


def write_scene_csv(path: Path, records: Mapping[str, Sequence[SceneRecord]]) -> None:
    """Write ``results.csv``: a row per detector, scene and level; undefined scores are empty."""
    table = []
    for detector, of_detector in records.items():
        for record in of_detector:
            for level, found in record.levels.items():
                names = map(_names, (found.true, found.detected, found.disregarded))
                scores = _level_scores(found, record.mixture_energy)
                table.append([detector, record.scene, level, *names, *scores])
    header = ["detector", "scene", "level", "true", "detected", "disregarded"]
    header += ["SDRi", "SI-SDRi", "CA-SDRi", "false_energy_fraction"]
    write_table(path, header, table, escaped=True)


def _best_threshold(records: Sequence[SceneRecord], levels: Sequence[int]) -> float | None:
    try:
        return best_global_threshold(records, levels)[0]
    except InputError:
        # Scenes without events have none.
        return None


def _cell(scores: Mapping[str, Any], key: str) -> str:
    value = scores[key]
    if value is None:
        return "-"
    if key in scores["intervals"]:
        return with_interval(value, scores["intervals"][key])
    return two_digits(value) + (" dB" if key.endswith("_db") else "")


def _names(mids: Sequence[str]) -> str:
    nodes = load_ontology().nodes
    return ";".join(nodes[mid].name for mid in mids)


def _level_scores(found: LevelRecord, mixture_energy: float) -> list[str]:
    stems = found.stems.values()
    values = [
        mean_of_defined(stem.sdri_db for stem in stems),
        mean_of_defined(stem.si_sdri_db for stem in stems if not stem.is_off_target),
        found.ca_sdri_db,
        None if found.false_energy is None else found.false_energy / mixture_energy,
    ]
    return ["" if value is None else f"{value:.5f}" for value in values]
