"""Detection thresholds found on a list of scenes, and written into a copy of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from uss.checkpoints.bundle import fits_half, save_bundle
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.detection.defaults import DEFAULT_OVERLAP
from uss.evaluation.calibration import Calibration, calibrate
from uss.evaluation.fingerprint import file_sha256
from uss.evaluation.journal import Progress, no_progress
from uss.evaluation.scenes.records import SceneRecord
from uss.evaluation.scenes.running import detect_scene, named
from uss.evaluation.scenes.scene_list import read_scenes_with_audio
from uss.evaluation.sensitivities import best_shift, find_sensitivities
from uss.separation.separator import Separator


@dataclass(frozen=True, kw_only=True)
class CalibrationSettings:
    """What the thresholds are found on, and where the model with them goes.

    Attributes:
        path: the list of scenes.
        audio_root: the folder its audio starts from.
        target: the bundle to write.
        overlap: of neighbouring segments.
        limit: how many scenes; None for all.
        sensitivity: which one the model has unless told otherwise.
    """

    path: Path
    audio_root: Path
    target: Path
    overlap: float = DEFAULT_OVERLAP
    limit: int | None = None
    sensitivity: str = "medium"


class CalibrationJob:
    """Scenes that were read, so that what is wrong with them is known before a model is loaded.

    Args:
        settings: what the thresholds are found on.

    Raises:
        OSError, InputError: if the list or its audio is missing, or makes no sense.
    """

    def __init__(self, settings: CalibrationSettings) -> None:
        self.settings = settings
        self._scenes = read_scenes_with_audio(settings.path, settings.audio_root, settings.limit)

    def run(self, separator: Separator, progress: Progress = no_progress) -> Calibration:
        """Find the thresholds, and write a copy of the separator's bundle that holds them.

        Raises:
            OSError, InputError: if a scene cannot be rendered, which it names, or they are too few.
        """
        records = self._detect(separator, progress)
        found = calibrate(records, rng=np.random.default_rng(0))
        how = {
            "global_threshold": found.global_threshold,
            "strength": found.strength,
            "held_out_f1": found.held_out_f1[found.strength],
        }
        self._save(separator, find_sensitivities(records, found.thresholds), how)
        return found

    def shift(
        self, separator: Separator, progress: Progress = no_progress
    ) -> Mapping[str, Float32]:
        """Move the separator's own thresholds together, and write a copy of its bundle with them.

        How the classes' thresholds relate stays as it is. One number is found on few scenes, so
        this suits recordings on which the tagger was not trained, of which there are always fewer.

        Returns:
            ``low``, ``medium`` and ``high``, (K,) each.

        Raises:
            OSError, InputError: if the model has no thresholds, or a scene cannot be rendered,
                which it names.
        """
        own = separator.bundle.sensitivities.get("medium", separator.bundle.thresholds)
        if own is None:
            raise InputError(
                "the model has no thresholds of its own that could be shifted; find them first"
            )
        records = self._detect(separator, progress)
        found = find_sensitivities(records, best_shift(records, own))
        how = {"shifted": separator.bundle.provenance.get("thresholds")}
        self._save(separator, found, how)
        return found

    def _detect(self, separator: Separator, progress: Progress) -> list[SceneRecord]:
        records = []
        progress(0, len(self._scenes))
        for number, scene in enumerate(self._scenes, start=1):
            with named(scene):
                record = detect_scene(
                    separator, scene, self.settings.audio_root, overlap=self.settings.overlap
                )
            records.append(record)
            progress(number, len(self._scenes))
        return records

    def _save(
        self,
        separator: Separator,
        sensitivities: Mapping[str, Float32],
        how: Mapping[str, Any],
    ) -> None:
        bundle = separator.bundle
        scenes = {
            "scenes": self.settings.path.name,
            "scenes_sha256": file_sha256(self.settings.path),
            "num_scenes": len(self._scenes),
        }
        chosen = {"sensitivity": self.settings.sensitivity}
        calibrated = replace(
            bundle,
            thresholds=sensitivities[self.settings.sensitivity],
            sensitivities=sensitivities,
            provenance={**bundle.provenance, "thresholds": {**scenes, **how, **chosen}},
        )
        save_bundle(self.settings.target, calibrated, half=fits_half(bundle))
