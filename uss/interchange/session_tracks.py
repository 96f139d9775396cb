"""A result as the tracks of a session, whatever program it is for.

The original comes first, muted; then the stems of each group, its residual last. All tracks of a
group add up to the original, so those of the first group play at unity gain, and those of others
are muted. Where the original lies in a film, time 0 of the session is that of the film.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from uss.interchange.branches import GREY, Colour, colour_of
from uss.interchange.cells import plain
from uss.interchange.hand_over import Event, HandOver

ORIGINAL = "Original"
RESIDUAL = "Residual"


@dataclass(frozen=True)
class SessionTrack:
    """One file on a track of its own.

    Attributes:
        name: of the track.
        file: relative to the session's folder, with slashes.
        start_seconds: where the file's part begins in the session.
        skipped_seconds: what of the file lies before that part.
        seconds: how long the part is.
        colour: of the track.
        group: of the stems; None for the original.
        is_muted: whether it is silent until somebody wants it.
        events: when the sound is heard, from the start of the session.
    """

    name: str
    file: str
    start_seconds: float
    skipped_seconds: float
    seconds: float
    colour: Colour = GREY
    group: str | None = None
    is_muted: bool = False
    events: tuple[Event, ...] = ()


def session_tracks(hand_over: HandOver) -> list[SessionTrack]:
    """Lay out a result, the original first; it is missing where its file is gone.

    Of a track that begins before its film, what lies before is left out everywhere.
    """
    source = hand_over.source
    late = source.film_seconds
    start, lost = max(0.0, late), max(0.0, -late)
    seconds = max(0.0, source.duration_seconds - lost)
    several = len(hand_over.residuals) > 1
    first = next(iter(hand_over.residuals), None)

    def track(
        name: str, file: str, group: str, colour: Colour = GREY, events: Sequence[Event] = ()
    ) -> SessionTrack:
        titled = f"{plain(name)} ({group})" if several else plain(name)
        moved = tuple(_moved(each, late) for each in events)
        return SessionTrack(
            titled, file, start, lost, seconds, colour, group, group != first, moved
        )

    tracks = []
    if source.relative is not None:
        tracks.append(SessionTrack(ORIGINAL, source.relative, start, start, seconds, is_muted=True))
    for group, residual in hand_over.residuals.items():
        tracks += [
            track(sound.name, sound.file, group, colour_of(sound.branch), sound.events)
            for sound in hand_over.sounds
            if sound.group == group and sound.file is not None
        ]
        tracks.append(track(RESIDUAL, residual, group))
    return tracks


def url_of(file: str) -> str:
    """Write a relative path as a relative URL."""
    return quote(file, errors="surrogateescape")


def _moved(event: Event, seconds: float) -> Event:
    return Event(
        max(0.0, event.onset_seconds + seconds),
        max(0.0, event.offset_seconds + seconds),
        event.probability,
        event.low_hz,
        event.high_hz,
    )
