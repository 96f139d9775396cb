"""A list of scenes evaluated as a whole: it can be stopped and goes on, and results are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uss.checkpoints.loading import weight_hash
from uss.detection.defaults import DEFAULT_LEVEL, Threshold
from uss.evaluation.fingerprint import (
    describe_models,
    file_sha256,
    hashes,
    root_hash,
    thresholds_hash,
)
from uss.evaluation.job_settings import JobSettings
from uss.evaluation.journal import Journal, Progress, no_progress, open_journal, output_folder
from uss.evaluation.result_formats import REPORT_VERSION, write_json
from uss.evaluation.scenes.psds import SHIFTS, check_psds
from uss.evaluation.scenes.records import LEVELS, SceneRecord
from uss.evaluation.scenes.running import evaluate_scene, named
from uss.evaluation.scenes.scene import Scene
from uss.evaluation.scenes.scene_list import read_scenes_with_audio
from uss.evaluation.scenes.scene_results import describe, headline, write_scene_csv
from uss.separation.fitting import shares_bins
from uss.separation.separator import Separator
from uss.taggers import TaggerNetwork


@dataclass(frozen=True, kw_only=True)
class SceneJobSettings(JobSettings):
    """How scenes are evaluated.

    Attributes:
        threshold: of detection; None for the model's own.
        psds: whether detection is also scored by PSDS, with many thresholds.
    """

    threshold: Threshold = None
    psds: bool = False


class SceneJob:
    """Scenes that were read, so that what is wrong with them is known before a model is loaded.

    Args:
        settings: what is evaluated, and how.

    Raises:
        OSError, InputError: if the list or its audio is missing, or makes no sense; or the library
            for PSDS.
    """

    def __init__(self, settings: SceneJobSettings) -> None:
        if settings.psds:
            check_psds()
        self.settings = settings
        self._scenes = read_scenes_with_audio(settings.path, settings.audio_root, settings.limit)

    def run(
        self, detectors: Mapping[str, Separator], progress: Progress = no_progress
    ) -> dict[str, Any]:
        """Evaluate what no earlier run has, and write the results.

        Args:
            detectors: by name, separators that differ in their taggers; the first is the model.
            progress: called as scenes are evaluated, each by every detector.

        Returns:
            What ``results.json`` holds.

        Raises:
            OSError, InputError: if a scene or the output folder is not as it should be; of a
                scene, it names it.
        """
        own, *others = detectors.values()
        output = self.settings.output
        described = {
            **describe_models(own),
            "compared_hashes": [weight_hash(each.tagger) for each in others],
            "thresholds_hash": thresholds_hash(own, self.settings.threshold),
            "scenes_sha256": file_sha256(self.settings.path),
            "audio_root_hash": root_hash(self.settings.audio_root),
            "threshold": self.settings.threshold,
            "overlap": self.settings.overlap,
            "psds": self.settings.psds,
            "joint": shares_bins(own.model, self.settings.joint),
        }
        with output_folder(output):
            journal = open_journal(output, described)
            records = self._evaluate_rest(detectors, journal, progress)
        found = {name: describe(of_detector, LEVELS) for name, of_detector in records.items()}
        content = {
            "version": REPORT_VERSION,
            **headline(next(iter(found.values())), DEFAULT_LEVEL),
            "num_scenes": len(self._scenes),
            "detectors": found,
            "settings": described,
            "model": {"name": self.settings.model_name, **hashes(described)},
            "scenes": str(self.settings.path),
            "command": self.settings.command,
        }
        write_scene_csv(output / "results.csv", records)
        write_json(output / "results.json", content)
        journal.finish()
        return content

    def _evaluate_rest(
        self, detectors: Mapping[str, Separator], journal: Journal, progress: Progress
    ) -> dict[str, list[SceneRecord]]:
        """Evaluate what no earlier run has; returns the records of each detector by its name."""
        found: dict[tuple[Any, str], SceneRecord] = {}
        for each in journal.records:
            record = SceneRecord.from_json(each.get("record", {}))
            found[each.get("detector"), record.scene] = record
        wanted = [(number, scene) for number in range(len(detectors)) for scene in self._scenes]
        rest = [(number, scene) for number, scene in wanted if (number, scene.name) not in found]
        done = len(wanted) - len(rest)
        progress(done, len(wanted))
        for number, separator in enumerate(detectors.values()):
            scenes = [scene for of_detector, scene in rest if of_detector == number]
            for record in self._records(separator, scenes):
                journal.append({"detector": number, "record": record.to_json()})
                found[number, record.scene] = record
                done += 1
                progress(done, len(wanted))
        return {
            name: [found[number, scene.name] for scene in self._scenes]
            for number, name in enumerate(detectors)
        }

    def _records(self, separator: Separator, scenes: Sequence[Scene]) -> Iterable[SceneRecord]:
        batcher = separator.batcher()
        for scene in scenes:
            with named(scene):
                record = evaluate_scene(
                    separator,
                    scene,
                    self.settings.audio_root,
                    threshold=self.settings.threshold,
                    overlap=self.settings.overlap,
                    joint=self.settings.joint,
                    batcher=batcher,
                    shifts=SHIFTS if self.settings.psds else (),
                )
            yield record


def with_other_taggers(
    own: Separator, taggers: Iterable[tuple[str, TaggerNetwork]]
) -> dict[str, Separator]:
    """Let other taggers decide what a separator separates, each beside its own.

    Args:
        own: the model.
        taggers: what each was asked for as, and the tagger.

    Returns:
        By name, the model first. A tagger is called by its own name where that is free, else as it
        was asked for.
    """
    detectors = {own.tagger.name: own}
    for name, tagger in taggers:
        names = (tagger.name, name, *(f"{name} ({number})" for number in range(2, 99)))
        free = next(each for each in names if each not in detectors)
        detectors[free] = Separator(own.bundle, tagger, own.class_queries, own.runtime)
    return detectors
