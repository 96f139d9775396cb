"""Scenes: which events sound when, and how loud; for detection and separation at once."""

from __future__ import annotations

from dataclasses import dataclass

from ontology import load_ontology
from uss.core.errors import InputError
from uss.evaluation.excerpts import MAX_GAIN_DB, MAX_RATE, MAX_SECONDS

DEFAULT_SCENE_SECONDS = 10.0
DEFAULT_SAMPLE_RATE = 32_000
_MAX_EXPONENT = 6.0


@dataclass(frozen=True, kw_only=True)
class SceneEvent:
    """An excerpt of a clip, somewhere in a scene.

    Attributes:
        path: of the clip, relative to the folder the list's audio starts from.
        mids: all labels of the clip, the most specific first.
        onset_seconds: where the event begins in the scene.
        start_seconds: where the excerpt begins in the clip.
        seconds: how long it is.
        gain_db: applied to the excerpt.
    """

    path: str
    mids: tuple[str, ...]
    onset_seconds: float
    start_seconds: float
    seconds: float
    gain_db: float

    def __post_init__(self) -> None:
        if not self.path:
            raise InputError("an event names no file; give the path of its clip")
        if not self.mids:
            raise InputError(f"the event {self.path} has no labels; give the mids of its classes")
        unknown = [mid for mid in self.mids if mid not in load_ontology().nodes]
        if unknown:
            raise InputError(f"{unknown[0]!r} is not an AudioSet mid; give mids such as /m/09x0r")
        if self.onset_seconds < 0.0 or self.start_seconds < 0.0:
            raise InputError(f"the event {self.path} starts before 0 s; give 0 s or more")
        if not self.seconds > 0.0:
            raise InputError(f"the event {self.path} lasts {self.seconds:g} s; give more than 0")
        if abs(self.gain_db) > MAX_GAIN_DB:
            raise InputError(f"the gain of {self.path} is beyond {MAX_GAIN_DB:g} dB; correct it")


@dataclass(frozen=True)
class Background:
    """Noise through the whole of a scene, whose power falls with the frequency f as 1/f^exponent.

    Attributes:
        level_dbfs: its RMS; a full-scale square wave has 0 dBFS.
        exponent: 0 is white, 1 pink, 2 brown.
        seed: of the generator of the noise.
    """

    level_dbfs: float
    exponent: float
    seed: int

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError(f"the seed of the background is {self.seed}; give 0 or more")
        if abs(self.level_dbfs) > MAX_GAIN_DB:
            raise InputError(f"the level of the background is {self.level_dbfs:g} dBFS; correct it")
        if abs(self.exponent) > _MAX_EXPONENT:
            raise InputError(
                f"the exponent of the background is {self.exponent:g}; give 0 (white) to 2 (brown)"
            )


@dataclass(frozen=True)
class Scene:
    """What a mixture is made of, exactly.

    Attributes:
        name: unique within a list.
        events: may be none where there is a background.
        background: None for none.
        seconds: how long it is.
        sample_rate: to which all clips are brought, as the mean of their channels.
        drawing_seed: of the program that drew it, for the record.
    """

    name: str
    events: tuple[SceneEvent, ...]
    background: Background | None = None
    seconds: float = DEFAULT_SCENE_SECONDS
    sample_rate: int = DEFAULT_SAMPLE_RATE
    drawing_seed: int | None = None

    def __post_init__(self) -> None:
        if not self.name:
            raise InputError("a scene has no name; give each its own")
        if not self.events and self.background is None:
            raise InputError(f"the scene {self.name} is empty; give it an event or a background")
        if not 1 <= self.sample_rate <= MAX_RATE:
            raise InputError(f"sample_rate is {self.sample_rate}; give Hz, such as 32000")
        if not 0.0 < self.seconds <= MAX_SECONDS or self.num_samples < 1:
            raise InputError(
                f"the scene {self.name} lasts {self.seconds:g} s; give more than 0, up to a day"
            )
        for event in self.events:
            end = round(event.onset_seconds * self.sample_rate) + self.samples_of(event)
            if end > self.num_samples:
                raise InputError(
                    f"the event {event.path} ends at {end / self.sample_rate:.3f} s, the scene at "
                    f"{self.seconds:g} s; let it start earlier, or shorten it"
                )

    @property
    def num_samples(self) -> int:
        """T of the rendered scene."""
        return round(self.seconds * self.sample_rate)

    def samples_of(self, event: SceneEvent) -> int:
        """Give the length of an event, at least one sample."""
        return max(1, round(event.seconds * self.sample_rate))
