"""What a recording says of itself beside its sound: tags, and when on the clock it begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av

from uss.audio.broadcast_wave import read_bext
from uss.audio.film_clock import timecode_in, timecode_seconds
from uss.core.errors import InputError

_TAGS = {
    "title": ("title",),
    "artist": ("artist", "author"),
    "date": ("date", "year"),
    "isrc": ("isrc", "tsrc"),
}
# ISO 3901. RIFF's own field of that name may hold the source of a recording instead.
_ISRC = re.compile(r"[A-Z]{2}-?[A-Z0-9]{3}-?\d{2}-?\d{5}", re.IGNORECASE)
_MAX_TAG_LENGTH = 1_000
_MAX_DIGITS, _MAX_REFERENCE = 20, 2**63
_MAX_HISTORY_LENGTH = 32_000


@dataclass(frozen=True)
class SourceNotes:
    """What a recording says of itself.

    Attributes:
        tags: ``title``, ``artist``, ``date`` and ``isrc``, those that it has.
        description: what it is.
        origination_date, origination_time: of BWF, ``yyyy-mm-dd`` and ``hh:mm:ss``.
        coding_history: likewise, a line per generation.
        timecode: that a film starts at, as it is noted there.
        frame_rate: that the time code counts in.
        clock_seconds: what a clock shows, in seconds after midnight, when the file starts: by the
            TimeReference of BWF, or the film's time code; None where the file does not say.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    origination_date: str = ""
    origination_time: str = ""
    coding_history: str = ""
    timecode: str | None = None
    frame_rate: Fraction | None = None
    clock_seconds: Fraction | None = None


def read_source_notes(path: Path, sample_rate: int, track: int = 1) -> SourceNotes:
    """Read tags, BWF and time codes; nothing of a file that FFmpeg cannot open.

    Args:
        path: the file.
        sample_rate: that a TimeReference counts in.
        track: which audio track.
    """
    try:
        # FFmpeg takes a relative path with a colon for the address of a server.
        with av.open(str(path.absolute()), metadata_errors="replace") as container:
            streams = container.streams.audio
            own = streams[track - 1].metadata if track <= len(streams) else {}
            noted = {**_small(own), **_small(container.metadata)}
            timecode = timecode_in(container)
    except (av.FFmpegError, UnicodeDecodeError):
        noted, timecode = {}, None
    # FFmpeg calls some of BWF like other things.
    noted |= read_bext(path)
    clock = _time_reference(noted, sample_rate)
    if clock is None and timecode is not None:
        try:
            clock = timecode_seconds(*timecode)
        except InputError:
            # Frames that its own rate does not have: nobody knows when that is.
            timecode = None
    return SourceNotes(
        tags=_tags(noted),
        description=noted.get("description", ""),
        origination_date=noted.get("origination_date", ""),
        origination_time=noted.get("origination_time", ""),
        coding_history=noted.get("coding_history", "")[-_MAX_HISTORY_LENGTH:],
        timecode=None if timecode is None else timecode[0],
        frame_rate=None if timecode is None else timecode[1],
        clock_seconds=clock,
    )


def _small(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): text.strip("\0 ") for name, text in metadata.items()}


def _tags(noted: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for tag, names in _TAGS.items():
        text = next((noted[name] for name in names if noted.get(name)), "")
        text = " ".join(text.split())[:_MAX_TAG_LENGTH]
        if text and (tag != "isrc" or _ISRC.fullmatch(text)):
            found[tag] = text
    return found


def _time_reference(noted: Mapping[str, str], sample_rate: int) -> Fraction | None:
    text = noted.get("time_reference", "")
    is_one = text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
    # Some programs write the largest number where they know none.
    return Fraction(int(text), sample_rate) if is_one and int(text) < _MAX_REFERENCE else None
