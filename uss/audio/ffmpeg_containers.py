"""What FFmpeg's containers tell about time, and what not."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer

TIMED_CONTAINERS = frozenset({"mov", "matroska", "flac"})
"""Containers that note how long their tracks are; others estimate it from the size of the file."""

TIMESTAMPED_CONTAINERS = frozenset(
    {"mov", "matroska", "mpegts", "mpeg", "ogg", "asf", "flv", "nut", "mxf"}
)
"""Containers that say when each packet is heard; elsewhere FFmpeg counts bytes or packets."""

CHAINED_CONTAINERS = frozenset({"flac", "ogg"})
"""In these, streams follow each other; a time that lies back is the beginning of the next one."""


# What FFmpeg leaves in an AVI that it writes to a pipe.
_UNKNOWN_FRAMES = 2**30
# Programs that capture do not count to the frame.
_AVI_SECONDS = 0.5


def format_of(container: InputContainer) -> str:
    """Give the first of the names that FFmpeg has for a container."""
    return str(container.format.name).split(",")[0]


def is_caf_from_a_pipe(path: Path) -> bool:
    """Whether the size of a CAF file's sound is noted as unknown (Apple's specification: -1)."""
    with path.open("rb") as file:
        file.seek(8)
        while len(header := file.read(12)) == 12:
            kind, size = struct.unpack(">4sq", header)
            if kind == b"data" or size < 0:
                return bool(size == -1)
            file.seek(size, os.SEEK_CUR)
    return False


def promised_end_seconds(container: InputContainer, stream: AudioStream) -> float:
    """When a track ends according to its container; 0 where that does not say."""
    if format_of(container) == "avi":
        # The header counts frames of sound; the duration is that of what is there.
        num_frames = stream.frames if stream.frames < _UNKNOWN_FRAMES else 0
        return float(num_frames * (stream.time_base or 0)) - _AVI_SECONDS
    if format_of(container) not in TIMED_CONTAINERS:
        return 0.0
    if stream.duration is not None and stream.time_base is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    # Matroska notes the time in a tag, as 00:00:05.064000000.
    noted = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
    if noted is None:
        return 0.0
    hours, minutes, seconds = noted.groups()
    return 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds)
