"""Wave64 files (Sony's W64): WAV with marks of 16 bytes and sizes of 64 bits."""

from __future__ import annotations

import re
import struct
from typing import BinaryIO

from uss.audio.beginnings import found_starts
from uss.audio.windows import WHOLE, Part

BEGINNING = re.compile(rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0")
_WAVE = bytes.fromhex("77617665f3acd3118cd100c04f8edb8a")
_DATA = bytes.fromhex("64617461f3acd3118cd100c04f8edb8a")
_SIZE_AT = 16
_CHUNK_BYTES = 24
_FORM_BYTES = 40
_MAX_HEAD_BYTES = 2**20
# Programs that write to a pipe cannot know the size, and write the largest number instead.
_UNKNOWN_SIZE = 2**63 - 1
# Less is padding, or a chunk of notes.
_MIN_LOST_BYTES = 8_192


def wave64_parts(file: BinaryIO, size: int) -> list[Part]:
    """Find where the samples end, and files that were appended.

    A recorder that lost power leaves no size, or what it noted last.

    Args:
        file: starts with ``BEGINNING``.
        size: of the file in bytes.

    Returns:
        One part for each file; the whole file if it is one whose header is right.
    """
    starts = found_starts(file, BEGINNING)
    parts = [
        _part(file, start, end) for start, end in zip(starts, [*starts[1:], size], strict=True)
    ]
    is_plain = len(parts) == 1 and not (parts[0].head or parts[0].is_cut)
    return [WHOLE] if is_plain else parts


def _part(file: BinaryIO, start: int, end: int) -> Part:
    position = start + _FORM_BYTES
    file.seek(start + _CHUNK_BYTES)
    if file.read(len(_WAVE)) != _WAVE:
        return Part(start, end)
    while position + _CHUNK_BYTES <= min(end, start + _MAX_HEAD_BYTES):
        file.seek(position)
        mark, num_bytes = struct.unpack("<16sQ", file.read(_CHUNK_BYTES))
        if mark == _DATA:
            return _sized(file, start, position + _CHUNK_BYTES, end, num_bytes - _CHUNK_BYTES)
        if num_bytes < _CHUNK_BYTES:
            break
        position += num_bytes + -num_bytes % 8
    return Part(start, end)


def _sized(file: BinaryIO, start: int, data_start: int, end: int, noted: int) -> Part:
    """Put the right size before the samples where the header does not have it."""
    available, promised = end - data_start, max(0, noted)
    is_unknown = noted + _CHUNK_BYTES >= _UNKNOWN_SIZE
    is_outdated = available - promised >= _MIN_LOST_BYTES or (noted <= 0 < available)
    if not is_unknown and (not is_outdated or _are_chunks(file, start, data_start + promised, end)):
        return Part(start, end, is_cut=promised > available)
    file.seek(start)
    head = bytearray(file.read(data_start - start))
    struct.pack_into("<Q", head, _SIZE_AT, end - start)
    struct.pack_into("<Q", head, len(head) - 8, available + _CHUNK_BYTES)
    return Part(data_start, end, bytes(head), is_cut=not is_unknown)


def _are_chunks(file: BinaryIO, start: int, position: int, end: int) -> bool:
    """Whether chunks follow that fill the file; they begin at every eighth byte."""
    while (position := position + -(position - start) % 8) + _CHUNK_BYTES <= end:
        file.seek(position + 16)
        (num_bytes,) = struct.unpack("<Q", file.read(8))
        if num_bytes < _CHUNK_BYTES:
            return False
        position += num_bytes
    return position <= end + 8
