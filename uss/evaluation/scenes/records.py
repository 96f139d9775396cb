"""What is kept of each evaluated scene; scores are pooled from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from uss.core.errors import InputError
from uss.evaluation.scenes.node_times import NodeTimes
from uss.metrics.detection import DetectionCounts

LEVELS = (1, 2, 3)
"""Of the ontology, at which scenes are scored."""

OFF_TARGET_DB = -60.0
"""SI-SDR improvement below which a stem holds nothing of its source.

The class is there, but at another time than it was detected. How far below is only a matter of
where the metric is capped, so that the number means nothing.
"""


@dataclass(frozen=True)
class MatchedStem:
    """How well the stem of a node that is there was separated.

    Attributes:
        sdr_db: against the sum of the node's events, over the whole scene.
        sdri_db: improvement over the mixture (eq. 13); None where the mixture holds nothing else
            to improve on.
        si_sdri_db: the same, scale-invariant.
        half_sdri_db: what half the mixture would have as ``sdri_db``: a floor that takes no
            separation. The mixture itself has 0 dB, and half of it 0 dB SI-SDRi.
    """

    sdr_db: float
    sdri_db: float | None
    si_sdri_db: float | None
    half_sdri_db: float | None

    @property
    def is_off_target(self) -> bool:
        """Whether it holds nothing of its source."""
        return self.si_sdri_db is not None and self.si_sdri_db < OFF_TARGET_DB


@dataclass(frozen=True)
class LevelRecord:
    """One scene at one level; nodes are given by their mids.

    Attributes:
        true: nodes that contain a class of an event.
        detected: most probable first, whether right, wrong or disregarded.
        disregarded: nodes that are neither right nor wrong, detected or not: noise there is, but
            no event.
        stems: of the detected nodes that are true; empty where nothing was separated.
        false_energy: sum of squares of the stems of wrong nodes; None where nothing was separated.
        ca_sdri_db: class-aware SDRi; None where nothing was separated or nothing is to be scored.
        half_ca_sdri_db: what it would be if each stem of a true node were half the mixture.
        times: of all nodes that are true or detected, but the disregarded; empty where nothing
            was separated.
        operating_points: the same of detection alone, with all thresholds moved by each of
            ``uss.evaluation.scenes.psds.SHIFTS``; empty where nobody asked.
    """

    true: tuple[str, ...]
    detected: tuple[str, ...]
    disregarded: tuple[str, ...] = ()
    stems: Mapping[str, MatchedStem] = field(default_factory=dict)
    false_energy: float | None = None
    ca_sdri_db: float | None = None
    half_ca_sdri_db: float | None = None
    times: Mapping[str, NodeTimes] = field(default_factory=dict)
    operating_points: tuple[Mapping[str, NodeTimes], ...] = ()

    @property
    def scored(self) -> tuple[str, ...]:
        """Detected nodes that are right or wrong."""
        return tuple(mid for mid in self.detected if mid not in self.disregarded)

    @property
    def wrong(self) -> tuple[str, ...]:
        """Detected nodes that are not there."""
        return tuple(mid for mid in self.scored if mid not in self.true)

    @property
    def counts(self) -> DetectionCounts:
        """Hits and errors."""
        num_hits = len(self.scored) - len(self.wrong)
        return DetectionCounts(num_hits, len(self.wrong), len(self.true) - num_hits)


@dataclass(frozen=True)
class SceneRecord:
    """One scene.

    Attributes:
        scene: its name.
        class_scores: (K,) max over segments of P(i, k), to five digits; 0 for classes the model
            has no query for. The highest of a node's classes is max over segments of Q(i, j), so
            average precision and other thresholds follow without tagging again.
        true_classes: class indexes of the events' labels, ascending.
        mixture_energy: sum of squares of the mixture.
        seconds: how long it is.
        levels: of the ontology.
    """

    scene: str
    class_scores: tuple[float, ...]
    true_classes: tuple[int, ...]
    mixture_energy: float
    seconds: float
    levels: Mapping[int, LevelRecord]

    def at(self, level: int) -> LevelRecord:
        """Return what was found at a level.

        Raises:
            InputError: if the scene was not evaluated at it.
        """
        if level not in self.levels:
            known = ", ".join(map(str, sorted(self.levels)))
            raise InputError(
                f"{self.scene} was not evaluated at level {level}, only at {known or 'none'}; "
                "evaluate it again"
            )
        return self.levels[level]

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON knows it."""
        return {
            "scene": self.scene,
            "class_scores": list(self.class_scores),
            "true_classes": list(self.true_classes),
            "mixture_energy": self.mixture_energy,
            "seconds": self.seconds,
            "levels": {str(level): asdict(record) for level, record in self.levels.items()},
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> SceneRecord:
        """Make a record of what ``to_json`` returned.

        Raises:
            InputError: if it is something else.
        """
        try:
            levels = {int(level): _level_of(each) for level, each in record["levels"].items()}
            scores = tuple(float(score) for score in record["class_scores"])
            return cls(
                scene=str(record["scene"]),
                class_scores=scores,
                true_classes=tuple(int(index) for index in record["true_classes"]),
                mixture_energy=float(record["mixture_energy"]),
                seconds=float(record["seconds"]),
                levels=levels,
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"this is no record of a scene ({type(error).__name__}: {error}); evaluate it again"
            ) from error


def _level_of(record: Mapping[str, Any]) -> LevelRecord:
    return LevelRecord(
        true=tuple(record["true"]),
        detected=tuple(record["detected"]),
        disregarded=tuple(record["disregarded"]),
        stems={mid: MatchedStem(**stem) for mid, stem in record["stems"].items()},
        false_energy=record["false_energy"],
        ca_sdri_db=record["ca_sdri_db"],
        half_ca_sdri_db=record["half_ca_sdri_db"],
        times=_times_of(record["times"]),
        operating_points=tuple(map(_times_of, record["operating_points"])),
    )


def _times_of(record: Mapping[str, Any]) -> dict[str, NodeTimes]:
    return {mid: NodeTimes.from_json(times) for mid, times in record.items()}
