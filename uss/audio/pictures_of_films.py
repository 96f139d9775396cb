"""What a film says of its pictures: their rate, their timecode, how long they last."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

from uss.audio.film_clock import meant_rate
from uss.audio.films import pictures


@dataclass(frozen=True)
class FilmFacts:
    """What a film says of its pictures.

    Attributes:
        frame_rate: frames per second, as ``meant_rate`` takes them.
        timecode: of the first frame, as ``01:00:00;00``; None where the film has none.
        duration_seconds: of the pictures, or of the film where only that is known; else 0.
    """

    frame_rate: Fraction
    timecode: str | None
    duration_seconds: float


def film_facts(path: Path) -> FilmFacts | None:
    """Read what a file says of its pictures; None where it has no moving ones, or no rate."""
    try:
        # FFmpeg takes a relative path with a colon for the address of a server.
        with av.open(str(path.absolute())) as container:
            moving = pictures(container)
            return _facts(container, moving[0]) if moving else None
    except (av.FFmpegError, UnicodeDecodeError):
        return None


def _facts(container: InputContainer, stream: Stream) -> FilmFacts | None:
    rate = getattr(stream, "guessed_rate", None) or getattr(stream, "average_rate", None)
    if not rate:
        return None
    duration = Fraction(container.duration or 0, av.time_base)
    if stream.duration is not None and stream.time_base is not None:
        duration = stream.duration * Fraction(stream.time_base)
    return FilmFacts(
        frame_rate=meant_rate(Fraction(rate)),
        timecode=_timecode(container, stream),
        duration_seconds=float(duration),
    )


def _timecode(container: InputContainer, stream: Stream) -> str | None:
    """Find the timecode: of the pictures, of a track for it, or of the whole."""
    everywhere = [stream, *container.streams]
    notes = [each.metadata for each in everywhere] + [container.metadata]
    found = (note.get("timecode") or note.get("TIMECODE") for note in notes)
    return next((text.strip() for text in found if text), None)
