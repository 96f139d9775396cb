"""What ``uss-evaluate --calibrate`` does: detection thresholds from scenes."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ontology import load_ontology
from pipelines.cli import UsageError
from pipelines.model_options import load_separator
from uss.bundle import Bundle, save_bundle
from uss.evaluation.calibration import Calibration, calibrate
from uss.evaluation.reports import align
from uss.evaluation.scene_evaluation import LEVELS, detect_scene
from uss.evaluation.scene_lists import read_scenes


def calibrate_on_scenes(path: Path, arguments: argparse.Namespace) -> int:
    """Find the thresholds, and write a copy of the model that holds them; returns the exit status.

    Raises:
        OSError, ValueError: if a scene or the model is not as it should be.
    """
    if arguments.tagger or arguments.separator or arguments.compare_tagger:
        raise UsageError(
            "--calibrate is for a model file that detects by itself; leave out --tagger, "
            "--separator and --compare-tagger"
        )
    target: Path = arguments.calibrate
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target.parent}: no such folder; make it, or name another")
    scenes = read_scenes(path)[: arguments.limit]
    separator = load_separator(arguments)
    if separator.tagger is not separator.bundle.tagger:
        raise ValueError(f"{arguments.model} holds no tagger; thresholds are those of a tagger")
    # What is detected without a query takes no part in it.
    logging.getLogger("uss.separator").setLevel(logging.ERROR)
    records = [
        detect_scene(separator, scene, arguments.audio_root, overlap=arguments.overlap)
        for scene in tqdm(scenes, unit="scene", file=sys.stderr, disable=None)
    ]
    found = calibrate(records, rng=np.random.default_rng(0))
    bundle = separator.bundle
    provenance = {
        **bundle.provenance,
        "thresholds": {
            "scenes": path.name,
            "num_scenes": len(scenes),
            "global_threshold": found.global_threshold,
            "strength": found.strength,
            "held_out_f1": found.held_out_f1[found.strength],
        },
    }
    calibrated = replace(bundle, thresholds=found.thresholds, provenance=provenance)
    save_bundle(target, calibrated, half=_fits_half(bundle))
    _print(found, target)
    return 0


def _fits_half(bundle: Bundle) -> bool:
    """Whether a bundle was stored in float16, so that storing it so again loses nothing."""
    return all(
        torch.equal(value.half().float(), value.float())
        for network in bundle.networks().values()
        for value in network.state_dict().values()
        if value.is_floating_point() and value.dim() > 1
    )


def _print(found: Calibration, target: Path) -> None:
    classes = load_ontology().classes
    moved = np.flatnonzero(np.abs(found.thresholds - found.global_threshold) > 1e-6)
    rows = [["thresholds", f"micro-F1 on held-out scenes, mean of levels {LEVELS}"]]
    for strength, f1 in found.held_out_f1.items():
        name = "one for all classes" if strength is None else f"per class, strength {strength:g}"
        rows.append([name + (" (chosen)" if strength == found.strength else ""), f"{f1:.3f}"])
    print("\n".join(align(rows)))
    print(f"{found.global_threshold:.3f} for all classes but {len(moved)}:")
    for index in moved[np.argsort(found.thresholds[moved])].tolist():
        print(f"  {found.thresholds[index]:.3f}  {classes[index].name}")
    print(f"-> {target}")
