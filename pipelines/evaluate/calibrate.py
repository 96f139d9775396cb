"""What ``uss-evaluate --calibrate`` does: detection thresholds from scenes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ontology import load_ontology
from pipelines.cli import check_target
from pipelines.evaluate.progress import progress_bar, quiet_detection
from uss.core.arrays import Float32
from uss.evaluation.calibration import Calibration
from uss.evaluation.calibration_job import CalibrationJob, CalibrationSettings
from uss.evaluation.result_formats import align
from uss.evaluation.scenes.records import LEVELS
from uss.separation.separator import Separator


def calibrate_on_scenes(
    settings: CalibrationSettings, load: Callable[[], Separator], shift_only: bool = False
) -> int:
    """Find the thresholds, and write a copy of the model that holds them; returns the exit status.

    Args:
        settings: what they are found on, and where the copy goes.
        load: loads the model, after the scenes have been read.
        shift_only: move the model's own thresholds together.

    Raises:
        OSError, InputError: if a scene or the model is not as it should be.
    """
    check_target(settings.target)
    job = CalibrationJob(settings)
    separator = load()
    with quiet_detection(), progress_bar("scene") as show:
        if shift_only:
            shown = _odds_by_sensitivity(separator, job.shift(separator, show))
        else:
            shown = _classes(job.run(separator, show))
    print(shown)
    print(f"-> {settings.target}")
    return 0


def _odds_by_sensitivity(separator: Separator, found: Mapping[str, Float32]) -> str:
    """Of each sensitivity the factor between its thresholds' odds and those the model had."""
    own = separator.detector.thresholds(None).astype(np.float64)
    rows = [["sensitivity", "odds of all thresholds, times"]]
    for name, thresholds in found.items():
        odds = thresholds / (1.0 - thresholds) * (1.0 - own) / own
        rows.append([name, f"{np.median(odds):.2f}"])
    return "\n".join(align(rows))


def _classes(found: Calibration) -> str:
    """How well each way to find them did, and which classes have thresholds of their own."""
    classes = load_ontology().classes
    moved = np.flatnonzero(np.abs(found.thresholds - found.global_threshold) > 1e-6)
    rows = [["thresholds", f"micro-F1 on held-out scenes, mean of levels {LEVELS}"]]
    for strength, f1 in found.held_out_f1.items():
        name = "one for all classes" if strength is None else f"per class, strength {strength:g}"
        rows.append([name + (" (chosen)" if strength == found.strength else ""), f"{f1:.3f}"])
    lines = list(align(rows))
    but = f" but {len(moved)}:" if len(moved) else ""
    lines.append(f"{found.global_threshold:.3f} for all classes{but}")
    for index in moved[np.argsort(found.thresholds[moved])].tolist():
        lines.append(f"  {found.thresholds[index]:.3f}  {classes[index].name}")
    return "\n".join(lines)
