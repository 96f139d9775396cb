"""What the formats of other programs are written from: plain records, without arrays."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from uss.core.errors import InputError
from uss.core.timecodes import FrameCounter, counter_for

PLAIN_RATE = Fraction(25)
"""Of frames where there are no pictures."""


@dataclass(frozen=True)
class Event:
    """A sound from its onset to its offset.

    Attributes:
        onset_seconds, offset_seconds: from the start of what was separated.
        probability: that it is there, 0 to 1; None where that is not known.
        low_hz, high_hz: the band it lies in; None where that is not known.
    """

    onset_seconds: float
    offset_seconds: float
    probability: float | None
    low_hz: float | None = None
    high_hz: float | None = None


@dataclass(frozen=True)
class Sound:
    """What was found, and its stem.

    Attributes:
        name: of the class or query, as the user reads it.
        mid: of its node; None where it has none.
        group: of the stems that add up with it.
        branch: the name of the ontology's level 1 node it lies below; None where there is none.
        file: its stem, relative to the result's folder; None where nothing was separated.
        events: when it is heard.
    """

    name: str
    mid: str | None
    group: str
    branch: str | None
    file: str | None
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Picture:
    """The pictures of a film; the first is shown when the film starts.

    Attributes:
        frame_rate: frames per second, as 30000/1001.
        start_frame: the number of the first frame, as its timecode counts them.
        is_drop: whether that timecode leaves out numbers to keep up with the clock.
        duration_seconds: how long it lasts.
    """

    frame_rate: Fraction
    start_frame: int = 0
    is_drop: bool = False
    duration_seconds: float = 0.0

    @classmethod
    def of_film(
        cls, frame_rate: Fraction, timecode: str | None, duration_seconds: float
    ) -> Picture:
        """Take what a film says; without a timecode that can be read it starts at 0."""
        if timecode is not None:
            counter = counter_for(timecode, frame_rate)
            with suppress(InputError):
                return cls(frame_rate, counter.read(timecode), counter.is_drop, duration_seconds)
        return cls(frame_rate, duration_seconds=duration_seconds)

    @property
    def counter(self) -> FrameCounter:
        """What counts its frames."""
        return FrameCounter(self.frame_rate, self.is_drop)


@dataclass(frozen=True)
class SourceFile:
    """The recording.

    Attributes:
        name: of the file.
        path: where it lies; None where it is gone, as what came through a pipe.
        relative: the same from the result's folder on, with slashes.
        sample_rate: of the stems, in Hz.
        num_channels: likewise.
        duration_seconds: of what was separated.
        start_seconds: where that begins in the recording.
        film_seconds: where it begins in the film; the same where the recording is no film.
        picture: what the film shows; None where it is no film.
    """

    name: str
    path: Path | None
    relative: str | None
    sample_rate: int
    num_channels: int
    duration_seconds: float
    start_seconds: float = 0.0
    film_seconds: float = 0.0
    picture: Picture | None = None


@dataclass(frozen=True)
class HandOver:
    """A result, as other programs take it.

    Attributes:
        source: the recording.
        sounds: in the order of the result.
        residuals: group to file, relative to the result's folder; empty without stems.
    """

    source: SourceFile
    sounds: tuple[Sound, ...]
    residuals: Mapping[str, str] = field(default_factory=dict)
