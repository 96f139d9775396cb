"""What the page knows of a recording: what was heard in it, and what was made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pipelines.web.players import Player
from uss.core.files import written_whole
from uss.detection.defaults import Threshold
from uss.results.result import SeparationResult, StemResult

_RECORD = "heard.json"
_PLAYER = "recording.wav"


@dataclass(frozen=True)
class Sound:
    """Something that was heard, or separated.

    Attributes:
        name: of the class, or what it was asked for with.
        mid: of the class; None if it is none.
        level: of the ontology that it was found at; None if it was asked for.
        probability: the highest; None of words that no class stands for.
        events: (onset, offset) in seconds.
    """

    name: str
    mid: str | None
    level: int | None
    probability: float | None
    events: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, stem: StemResult) -> Sound:
        """Take what the page tells of a stem."""
        events = tuple((event.onset_seconds, event.offset_seconds) for event in stem.events)
        return cls(stem.name, stem.mid, stem.level, stem.probability, events)


@dataclass(frozen=True)
class Heard:
    """What was heard in a recording.

    Attributes:
        token: names the recording from now on.
        name: of its file.
        model: that heard.
        player: plays it.
        sounds: at all levels that are looked at, the most probable first at each.
    """

    token: str
    name: str
    model: str
    player: Player
    sounds: tuple[Sound, ...]

    def at(self, level: int) -> tuple[Sound, ...]:
        """Take the sounds of one level."""
        return tuple(each for each in self.sounds if each.level == level)

    def write(self, folder: Path) -> None:
        """Keep it beside the recording."""
        content = {**asdict(self), "player": {**asdict(self.player), "path": _PLAYER}}
        with written_whole(folder / _RECORD) as part:
            part.write_text(json.dumps(content), encoding="utf-8", errors="backslashreplace")

    @classmethod
    def read(cls, folder: Path) -> Heard:
        """Take what ``write`` has kept."""
        content: Mapping[str, Any] = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        player = {**content["player"], "path": player_path(folder)}
        player["peaks"] = tuple(player["peaks"])
        sounds = [
            Sound(**{**each, "events": tuple(map(tuple, each["events"]))})
            for each in content["sounds"]
        ]
        return cls(
            content["token"], content["name"], content["model"], Player(**player), (*sounds,)
        )


def player_path(folder: Path) -> Path:
    """Say where the player of a recording lies."""
    return folder / _PLAYER


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody wants of a recording; see ``uss.separate_file``.

    Attributes:
        classes, texts, spans, without: names, words, and marked seconds.
        level: all that is found at a level of the ontology instead; None for what is named.
        threshold: of detection; 0 separates what is named wherever it may be.
        span_only: what is marked is wanted there alone.
        format: ``flac`` or ``wav``.
        labels, sessions: formats for other programs.
    """

    classes: Sequence[str] = ()
    texts: Sequence[str] = ()
    spans: Sequence[str] = ()
    without: Sequence[str] = ()
    level: int | None = None
    threshold: Threshold = None
    span_only: bool = False
    format: str = "flac"
    labels: Sequence[str] = ()
    sessions: Sequence[str] = ()

    @property
    def num_named(self) -> int:
        """How many stems it names."""
        return len(self.classes) + len(self.texts) + len(self.spans)

    def options(self) -> Mapping[str, Any]:
        """Give what ``uss.separate_file`` takes."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        level = given.pop("level")
        return {**given, "levels": () if level is None else (level,)}


@dataclass(frozen=True)
class Track:
    """A stem, or the residual, of a result.

    Attributes:
        sound: what it is; the residual has no probability and no events.
        file: to be downloaded.
        player: plays it.
        loudness_dbfs: while active; None where it is silent.
        is_residual: whether it is what is left.
    """

    sound: Sound
    file: Path
    player: Player
    loudness_dbfs: float | None
    is_residual: bool = False


@dataclass(frozen=True)
class Separated:
    """What was made of a recording.

    Attributes:
        heard: the recording.
        result: what was written.
        tracks: the stems and the residual.
        others: further files, such as labels, sessions and the report.
        archive: all of it, as a ZIP file.
    """

    heard: Heard
    result: SeparationResult
    tracks: tuple[Track, ...]
    others: tuple[Path, ...]
    archive: Path
