"""The audio tracks of a film: which there are, and when one is heard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av import AudioFrame
from av.container import InputContainer

from uss.core.errors import InputError

# Broadcasts start at any time of a clock; everywhere else 0 is where the film starts.
CLOCKED_CONTAINERS = frozenset({"mpegts", "mpeg"})
_UNKNOWN_LANGUAGES = frozenset({"", "und", "unk", "mis", "zxx"})
# What muxers write where nobody named the track.
_NO_TITLES = frozenset({"", "soundhandler", "core media audio", "iso media file"})


@dataclass(frozen=True)
class TrackInfo:
    """An audio track of a film.

    Attributes:
        number: from 1.
        language: three letters, as ``deu``; None if unknown.
        title: what players show; None if it has none.
        is_default: whether the film flags it so.
    """

    number: int
    language: str | None = None
    title: str | None = None
    is_default: bool = False

    def __str__(self) -> str:
        """Give number, language and title in one phrase."""
        known = [self.language or "", f'"{self.title}"' if self.title else ""]
        notes = ", ".join(filter(None, [*known, "default" if self.is_default else ""]))
        return f"{self.number} ({notes})" if notes else str(self.number)


def tracks_in(container: InputContainer) -> tuple[TrackInfo, ...]:
    """List the audio tracks of an open film."""
    found = []
    for number, stream in enumerate(container.streams.audio, start=1):
        language = stream.metadata.get("language", "").lower()
        titles = (stream.metadata.get(key, "").strip() for key in ("title", "handler_name"))
        title = next((each for each in titles if each.lower() not in _NO_TITLES), None)
        is_default = bool(stream.disposition & av.stream.Disposition.default)
        known = None if language in _UNKNOWN_LANGUAGES else language
        found.append(TrackInfo(number, known, title, is_default))
    return tuple(found)


def list_tracks(path: Path) -> tuple[TrackInfo, ...]:
    """List the audio tracks of a file; none if FFmpeg cannot open it."""
    try:
        # FFmpeg takes a relative path with a colon for the address of a server.
        with av.open(str(path.absolute())) as container:
            return tracks_in(container)
    except (av.FFmpegError, UnicodeDecodeError):
        return ()


def default_track(tracks: Sequence[TrackInfo]) -> int:
    """Choose the first track that is flagged as default, else the first."""
    return next((track.number for track in tracks if track.is_default), 1)


def check_track(path: Path, track: int, num_tracks: int, tracks: Sequence[TrackInfo] = ()) -> None:
    """Refuse a track that a file does not have.

    Args:
        path: the file.
        track: the number asked for.
        num_tracks: how many it has.
        tracks: the same, to be named in the message.

    Raises:
        ValueError: naming the tracks it has.
    """
    if track <= num_tracks:
        return
    if num_tracks == 0:
        raise InputError(f"{path} has no audio track; name a file with sound")
    has, remedy = (
        ("1 audio track", "choose track 1")
        if num_tracks == 1
        else (f"{num_tracks} audio tracks", f"choose 1 to {num_tracks}")
    )
    named = f": {', '.join(map(str, tracks))}" if any(t.language or t.title for t in tracks) else ""
    raise InputError(f"{path} has {has}, so there is no track {track}; {remedy}{named}")


def film_offset_seconds(container: InputContainer, frame: AudioFrame) -> float:
    """Tell when a track is heard, from where its film starts.

    Args:
        container: the film.
        frame: the first of the track, decoded.
    """
    if frame.pts is None or frame.time_base is None:
        return 0.0
    start = Fraction(container.start_time or 0, av.time_base)
    if container.format.name not in CLOCKED_CONTAINERS:
        # The padding of codecs lies before the start.
        start = max(start, Fraction(0))
    # Containers note their start in microseconds.
    return round(float(frame.pts * Fraction(frame.time_base) - start), 6) + 0.0
