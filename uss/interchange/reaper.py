"""Reaper's projects: plain text, one element or setting a line."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from uss.core.files import written_whole
from uss.interchange.branches import Colour
from uss.interchange.hand_over import HandOver, Picture
from uss.interchange.session_tracks import SessionTrack, session_tracks

_PICTURE = "Picture"
_NAMESPACE = uuid.UUID("c0d7a1b2-3e35-5b0c-9c4e-0d4f9a0c2e51")
_SOURCES = {
    ".flac": "FLAC",
    ".mp3": "MP3",
    ".ogg": "VORBIS",
    ".opus": "OPUS",
    **dict.fromkeys((".wav", ".w64", ".bwf", ".rf64", ".aif", ".aiff"), "WAVE"),
}
_CUSTOM_COLOUR = 1 << 24
_RULER_TIME, _RULER_FRAMES = 0, 5
_DROP, _FRACTIONAL = 1, 2


def write_reaper(hand_over: HandOver, path: Path) -> None:
    """Write a project that links the stems by paths relative to it.

    Each event is a region in its track's colour. In a film the ruler shows its timecode, and a
    track of its own, which sends nothing to the master, shows its pictures.

    Args:
        hand_over: a result with stems.
        path: the project, in the folder of the result.

    Raises:
        OSError: if it cannot be written.
    """
    source = hand_over.source
    tracks = session_tracks(hand_over)
    lines = [
        '<REAPER_PROJECT 0.1 "7.0" 0',
        "  PANLAW 1",
        *_clock(source.picture),
        f"  SAMPLERATE {source.sample_rate} 1 0",
        f"  MASTER_NCH {_even(source.num_channels)} 2",
        "  MASTER_VOLUME 1 0 -1 -1 1",
        "  TEMPO 120 4 4",
        *_regions([track for track in tracks if not track.is_muted]),
    ]
    for number, track in enumerate(tracks):
        lines += _track(number, track, source.num_channels)
        if number == 0 and source.picture is not None and source.relative is not None:
            seconds = source.picture.duration_seconds
            film = SessionTrack(_PICTURE, source.relative, 0.0, 0.0, seconds)
            lines += _track(len(tracks), film, source.num_channels, is_heard=False)
    with written_whole(path) as part:
        text = "\n".join([*lines, ">"]) + "\n"
        part.write_bytes(text.encode("utf-8", "surrogateescape"))


def _clock(picture: Picture | None) -> list[str]:
    """Set the ruler: the frame rate, and what it shows at the start."""
    if picture is None:
        return ["  PROJOFFS 0 0 0", f"  TIMEMODE {_RULER_TIME} 5 -1 30 0 0 -1"]
    counter = picture.counter
    is_whole = picture.frame_rate.denominator == 1
    kind = _DROP if picture.is_drop else 0 if is_whole else _FRACTIONAL
    return [
        f"  PROJOFFS {counter.seconds_of(picture.start_frame):.9f} 0 0",
        f"  TIMEMODE {_RULER_FRAMES} 5 -1 {counter.nominal_rate} {kind} 0 -1",
    ]


def _regions(tracks: Sequence[SessionTrack]) -> Iterator[str]:
    events = [
        (event.onset_seconds, event.offset_seconds, track)
        for track in tracks
        for event in track.events
    ]
    for number, (start, end, track) in enumerate(sorted(events, key=lambda each: each[:2]), 1):
        colour, name = _colour(track.colour), _quoted(track.name)
        yield f"  MARKER {number} {start:.9f} {name} 1 {colour} 1 R {_identity(f'region {number}')}"
        yield f'  MARKER {number} {end:.9f} "" 1'


def _track(
    number: int, track: SessionTrack, num_channels: int, *, is_heard: bool = True
) -> Iterator[str]:
    file = PurePosixPath(track.file)
    name, identity = _quoted(track.name), _identity(f"track {number}")
    yield f"  <TRACK {identity}"
    yield f"    NAME {name}"
    yield f"    PEAKCOL {_colour(track.colour)}"
    yield "    VOLPAN 1 0 -1 -1 1"
    yield f"    MUTESOLO {int(track.is_muted)} 0 0"
    yield f"    NCHAN {_even(num_channels)}"
    yield f"    MAINSEND {int(is_heard)} 0"
    yield f"    TRACKID {identity}"
    yield "    <ITEM"
    yield f"      POSITION {track.start_seconds:.9f}"
    yield f"      LENGTH {track.seconds:.9f}"
    yield "      LOOP 0"
    yield "      FADEIN 1 0 0 1 0 0"
    yield "      FADEOUT 1 0 0 1 0 0"
    yield f"      IGUID {_identity(f'item {number}')}"
    yield f"      NAME {name}"
    yield "      VOLPAN 1 0 1 -1"
    yield f"      SOFFS {track.skipped_seconds:.9f}"
    yield "      PLAYRATE 1 1 0 -1 0 0.0025"
    yield f"      <SOURCE {_SOURCES.get(file.suffix.lower(), 'VIDEO')}"
    yield f"        FILE {_quoted(track.file)}"
    yield "      >"
    yield "    >"
    yield "  >"


def _even(num_channels: int) -> int:
    """Tracks have channels in pairs."""
    return max(2, num_channels + num_channels % 2)


def _colour(colour: Colour) -> int:
    return _CUSTOM_COLOUR | colour.blue << 16 | colour.green << 8 | colour.red


def _identity(what: str) -> str:
    return f"{{{uuid.uuid5(_NAMESPACE, what)}}}".upper()


def _quoted(text: str) -> str:
    """Put a text into the quotes that it does not hold, as Reaper does."""
    for quote in "\"'`":
        if quote not in text:
            return f"{quote}{text}{quote}"
    return "`" + text.replace("`", "'") + "`"
