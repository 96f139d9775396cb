"""Where the samples of a WAV file are, whatever its header says of their number."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from uss.audio.windows import WHOLE, Part

_CHUNK_BYTES = 8
_WRAP = 2**32
# Programs that write to a pipe cannot know the size, and write the largest number instead.
_UNKNOWN_SIZE = 0x7FFFF000
# Less is padding, or a note that some program appended.
_MIN_LOST_SECONDS = 0.1
_NOTES = (b"TAG", b"ID3", b"APETAGEX", b"LYRICS", b"<?xml", b"PK", b"OggS", b"fLaC", b"FORM")


@dataclass(frozen=True)
class _Wave:
    """The chunks of one WAV file: its format as stored, and where its samples lie."""

    format: bytes
    data_start: int
    data_bytes: int

    @property
    def byte_rate(self) -> int:
        """Bytes per second, by rate and block where those are plain."""
        return int(struct.unpack_from("<I", self.format, _CHUNK_BYTES + 8)[0])


def riff_parts(file: BinaryIO, size: int) -> list[Part]:
    """Find where the samples end that a WAV file holds, and WAV files appended to it.

    Sizes have 32 bits, so that of a longer recording is what is left of it modulo 4 GB; a recorder
    that lost power leaves 0, or what it noted last.

    Args:
        file: starts with RIFF, RF64 or BW64.
        size: of the file in bytes.

    Returns:
        One part for each file; the whole file where its header is right, or libsndfile sees itself
        what is wrong.
    """
    parts: list[Part] = []
    start: int | None = 0
    while start is not None:
        wave = _parse(file, start, size)
        if wave is None:
            break
        part, start = _part(file, start, size, wave)
        parts.append(part)
    if not parts or (len(parts) == 1 and not parts[0].head):
        return [WHOLE]
    return parts


def _parse(file: BinaryIO, start: int, size: int) -> _Wave | None:
    file.seek(start)
    kind, form = file.read(4), file.read(8)[4:]
    if kind not in (b"RIFF", b"RF64", b"BW64") or form != b"WAVE":
        return None
    position, stored, long_bytes = start + 12, b"", None
    while position + _CHUNK_BYTES <= size:
        file.seek(position)
        name, num_bytes = struct.unpack("<4sI", file.read(_CHUNK_BYTES))
        if name == b"ds64" and num_bytes >= 16:
            long_bytes = struct.unpack("<Q", file.read(16)[8:])[0]
        elif name == b"fmt " and 16 <= num_bytes <= 1_024:
            stored = struct.pack("<4sI", name, num_bytes) + file.read(num_bytes + num_bytes % 2)
        elif name == b"data":
            if len(stored) < _CHUNK_BYTES + 16:
                return None
            if kind != b"RIFF" and num_bytes == _WRAP - 1 and long_bytes is not None:
                num_bytes = long_bytes
            return _Wave(stored, position + _CHUNK_BYTES, num_bytes)
        position += _CHUNK_BYTES + num_bytes + num_bytes % 2
    return None


def _part(file: BinaryIO, start: int, size: int, wave: _Wave) -> tuple[Part, int | None]:
    """Find the end of a file's samples, and where the next file begins."""
    promised, available = wave.data_bytes, size - wave.data_start
    is_unknown = _UNKNOWN_SIZE <= promised < _WRAP and promised > available
    end = wave.data_start + promised
    if is_unknown or promised > available:
        return Part(start, size), None
    for follows in (end + promised % 2, end):
        file.seek(follows)
        if _is_wave(file.read(12)):
            return Part(start, follows), follows
    rest = available - promised
    if rest < _MIN_LOST_SECONDS * wave.byte_rate or _is_notes(file, end, size):
        return Part(start, size), None
    wrapped = _wrapped_end(file, end, size)
    head = _header(wave, (wrapped or size) - wave.data_start)
    return Part(wave.data_start, wrapped or size, head, is_cut=wrapped is None), None


def _wrapped_end(file: BinaryIO, end: int, size: int) -> int | None:
    """Add as often 4 GB as fits, if there the samples can end."""
    wrapped = end + (size - end) // _WRAP * _WRAP
    return wrapped if wrapped > end and _is_notes(file, wrapped, size) else None


def _is_wave(head: bytes) -> bool:
    return head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:] == b"WAVE"


def _is_notes(file: BinaryIO, position: int, size: int) -> bool:
    """Whether what follows the samples is no more of them: chunks, or what taggers append."""
    file.seek(position)
    head = file.read(16)
    if head.startswith(_NOTES) or head[1:].startswith(_NOTES):
        return True
    return _are_chunks(file, position, size) or _are_chunks(file, position + 1, size)


def _are_chunks(file: BinaryIO, position: int, size: int) -> bool:
    while position + _CHUNK_BYTES <= size:
        file.seek(position)
        name, num_bytes = struct.unpack("<4sI", file.read(_CHUNK_BYTES))
        if not all(0x20 <= letter < 0x7F for letter in name):
            return False
        position += _CHUNK_BYTES + num_bytes + num_bytes % 2
    return position <= size + _CHUNK_BYTES


def _header(wave: _Wave, num_bytes: int) -> bytes:
    """Make the header of an RF64 file, whose sizes have 64 bits (EBU Tech 3306)."""
    before = 12 + 36 + len(wave.format) + _CHUNK_BYTES
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, before - 8 + num_bytes, num_bytes, 0, 0)
    unknown = struct.pack("<I", _WRAP - 1)
    return b"RF64" + unknown + b"WAVE" + sizes + wave.format + b"data" + unknown
