"""What ``uss-evaluate --calibrate`` does: detection thresholds from scenes."""

from __future__ import annotations

import argparse
import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ontology import load_ontology
from pipelines.cli import UsageError, check_target
from pipelines.evaluate.scenes import check_files, quiet_detection
from pipelines.model_options import load_separator
from uss.checkpoints.bundle import fits_half, save_bundle
from uss.core.errors import INPUT_ERRORS, InputError
from uss.evaluation.calibration import Calibration, calibrate
from uss.evaluation.result_formats import align
from uss.evaluation.scenes.records import LEVELS
from uss.evaluation.scenes.running import detect_scene
from uss.evaluation.scenes.scene_list import read_scenes

_OTHERS = ("tagger", "separator", "class_queries", "compare_tagger", "threshold")


def calibrate_on_scenes(path: Path, arguments: argparse.Namespace) -> int:
    """Find the thresholds, and write a copy of the model that holds them; returns the exit status.

    Raises:
        OSError, ValueError: if a scene or the model is not as it should be.
    """
    for name in _OTHERS:
        if getattr(arguments, name) is not None:
            option = name.replace("_", "-")
            raise UsageError(
                f"--calibrate finds thresholds of one model file; leave out --{option}"
            )
    target: Path = arguments.calibrate
    check_target(target)
    scenes = read_scenes(path)[: arguments.limit]
    check_files(path, scenes, arguments.audio_root)
    separator = load_separator(arguments)
    records = []
    with quiet_detection():
        for scene in tqdm(scenes, unit="scene", file=sys.stderr, disable=None):
            try:
                record = detect_scene(
                    separator, scene, arguments.audio_root, overlap=arguments.overlap
                )
            except INPUT_ERRORS as error:
                raise InputError(f"scene {scene.name}: {error}") from error
            records.append(record)
    found = calibrate(records, rng=np.random.default_rng(0))
    bundle = separator.bundle
    provenance = {
        **bundle.provenance,
        "thresholds": {
            "scenes": path.name,
            "scenes_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "num_scenes": len(scenes),
            "global_threshold": found.global_threshold,
            "strength": found.strength,
            "held_out_f1": found.held_out_f1[found.strength],
        },
    }
    calibrated = replace(bundle, thresholds=found.thresholds, provenance=provenance)
    save_bundle(target, calibrated, half=fits_half(bundle))
    _print(found, target)
    return 0


def _print(found: Calibration, target: Path) -> None:
    classes = load_ontology().classes
    moved = np.flatnonzero(np.abs(found.thresholds - found.global_threshold) > 1e-6)
    rows = [["thresholds", f"micro-F1 on held-out scenes, mean of levels {LEVELS}"]]
    for strength, f1 in found.held_out_f1.items():
        name = "one for all classes" if strength is None else f"per class, strength {strength:g}"
        rows.append([name + (" (chosen)" if strength == found.strength else ""), f"{f1:.3f}"])
    print("\n".join(align(rows)))
    but = f" but {len(moved)}:" if len(moved) else ""
    print(f"{found.global_threshold:.3f} for all classes{but}")
    for index in moved[np.argsort(found.thresholds[moved])].tolist():
        print(f"  {found.thresholds[index]:.3f}  {classes[index].name}")
    print(f"-> {target}")
