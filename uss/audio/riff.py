"""Where the samples of a WAV or AIFF file are, whatever its header says of their number."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import BinaryIO

from uss.audio.windows import WHOLE, Part

_CHUNK_BYTES = 8
_FORM_BYTES = 12
_WRAP = 2**32
# Programs that write to a pipe cannot know the size, and write about the largest number instead.
_UNKNOWN_SIZES = (range(0x7FFFF000, 2**31), range(_WRAP - 4_096, _WRAP))
_UNKNOWN_LONG_SIZE = 2**63 - 1
# Less is padding, or a note that some program appended.
_MIN_LOST_BYTES = 8_192
_MAX_FORMAT_BYTES = 1_024
_MAX_AIFF_HEADER_BYTES = 65_536
_NOTES = (b"TAG", b"ID3", b"APETAGEX", b"LYRICS", b"<?xml", b"PK", b"OggS", b"fLaC")
_SSND_HEAD_BYTES = 8
_NO_SIZE = (
    "does not say how long it is, as usual after a pipe or a loss of power; it is read to its end"
)
_WAVE_KINDS = (b"RIFF", b"RF64", b"BW64")
_AIFF_FORMS = (b"AIFF", b"AIFC")


@dataclass(frozen=True)
class _Sound:
    """What the chunks of one file say.

    Attributes:
        start: the file's first byte.
        form: WAVE, AIFF or AIFC.
        format: the chunk that holds the format, as stored; of WAV.
        data_start: the first byte of the samples.
        data_bytes: how many bytes of samples there should be.
        is_blank: whether all sizes are 0, in the chunk of long ones if there is one: FFmpeg leaves
            them so in a pipe, and recorders that lose power may.
    """

    start: int
    form: bytes
    format: bytes
    data_start: int
    data_bytes: int
    is_blank: bool = False


def riff_parts(file: BinaryIO, size: int) -> list[Part]:
    """Find where the samples end that a WAV or AIFF file holds, and files appended to it.

    Sizes have 32 bits, so that of a longer recording is what is left of it modulo 4 GB; a recorder
    that lost power leaves 0, or what it noted last.

    Args:
        file: starts with RIFF, RF64, BW64 or FORM.
        size: of the file in bytes.

    Returns:
        One part for each file; the whole file where its header is right, or libsndfile sees itself
        what is wrong.
    """
    parts: list[Part] = []
    start: int | None = 0
    while start is not None:
        sound = _parse(file, start, size)
        if sound is None:
            break
        part, start = _part(file, size, sound)
        parts.append(part)
    if not parts or (len(parts) == 1 and not parts[0].head):
        return [WHOLE]
    return parts


def _parse(file: BinaryIO, start: int, size: int) -> _Sound | None:
    file.seek(start)
    form = _form(head := file.read(_FORM_BYTES))
    if form is None:
        return None
    order, position, stored, long_sizes = _order(form), start + _FORM_BYTES, b"", b""
    while position + _CHUNK_BYTES <= size:
        file.seek(position)
        name, num_bytes = struct.unpack(f"{order}4sI", file.read(_CHUNK_BYTES))
        if name == b"ds64" and num_bytes >= 16:
            long_sizes = file.read(16).ljust(16)
        elif name in (b"fmt ", b"COMM") and 16 <= num_bytes <= _MAX_FORMAT_BYTES:
            stored = struct.pack(f"{order}4sI", name, num_bytes)
            stored += file.read(num_bytes + num_bytes % 2)
        elif name in (b"data", b"SSND"):
            is_long = num_bytes == _WRAP - 1 and long_sizes != b""
            if is_long:
                num_bytes = int.from_bytes(long_sizes[8:], "little")
            # FORM, COMM and SSND; a WAV of no size that says so in 32 bits is a recorder's.
            sizes = long_sizes if is_long else head[4:8] + stored[10:14]
            is_blank = num_bytes == 0 and not any(sizes) and (is_long or form != b"WAVE")
            sound = _Sound(start, form, stored, position + _CHUNK_BYTES, num_bytes, is_blank)
            return sound if len(stored) >= _CHUNK_BYTES + 16 else None
        position += _CHUNK_BYTES + num_bytes + num_bytes % 2
    return None


def _form(head: bytes) -> bytes | None:
    if head[:4] in _WAVE_KINDS and head[8:] == b"WAVE":
        return head[8:]
    return head[8:] if head[:4] == b"FORM" and head[8:] in _AIFF_FORMS else None


def _order(form: bytes) -> str:
    return "<" if form == b"WAVE" else ">"


def _part(file: BinaryIO, size: int, sound: _Sound) -> tuple[Part, int | None]:
    """Find the end of a file's samples, and where the next file begins."""
    promised, available = sound.data_bytes, size - sound.data_start
    if promised >= _UNKNOWN_LONG_SIZE:
        return _corrected(file, sound, size, is_cut=False), None
    if sound.is_blank and available > _SSND_HEAD_BYTES:
        return replace(_corrected(file, sound, size, is_cut=False), note=_NO_SIZE), None
    if promised > available:
        return Part(sound.start, size), None
    end = sound.data_start + promised
    for follows in (end + promised % 2, end):
        file.seek(follows)
        if _form(file.read(_FORM_BYTES)) is not None:
            return Part(sound.start, follows), follows
    is_none = promised <= _SSND_HEAD_BYTES and sound.form != b"WAVE" and available > promised
    if (available - promised < _MIN_LOST_BYTES and not is_none) or _is_no_sound(file, end, size):
        return Part(sound.start, size), None
    wrapped = end + (size - end) // _WRAP * _WRAP
    if wrapped > end and (size - wrapped <= 1 or _is_no_sound(file, wrapped, size)):
        return _corrected(file, sound, wrapped, is_cut=False), None
    is_unknown = any(promised in sizes for sizes in _UNKNOWN_SIZES)
    return _corrected(file, sound, size, is_cut=not is_unknown), None


def _is_no_sound(file: BinaryIO, position: int, size: int) -> bool:
    """Whether what follows the samples is no more of them: chunks, or what taggers append."""
    file.seek(position)
    head = file.read(16)
    if head.startswith(_NOTES) or head[1:].startswith(_NOTES):
        return True
    return any(
        _are_chunks(file, start, size, order)
        for start in (position, position + 1)
        for order in "<>"
    )


def _are_chunks(file: BinaryIO, position: int, size: int, order: str) -> bool:
    while position + _CHUNK_BYTES <= size:
        file.seek(position)
        name, num_bytes = struct.unpack(f"{order}4sI", file.read(_CHUNK_BYTES))
        if not all(0x20 <= letter < 0x7F for letter in name):
            return False
        position += _CHUNK_BYTES + num_bytes + num_bytes % 2
    return position <= size + _CHUNK_BYTES


def _corrected(file: BinaryIO, sound: _Sound, end: int, *, is_cut: bool) -> Part:
    """Put a header that libsndfile understands before the samples, up to ``end``."""
    if sound.form == b"WAVE":
        head = _rf64_header(sound.format, end - sound.data_start)
    else:
        file.seek(sound.start)
        head = file.read(min(sound.data_start - sound.start, _MAX_AIFF_HEADER_BYTES))[:-4]
        head += bytes(4)
    return Part(sound.data_start, end, head, is_cut=is_cut)


def _rf64_header(wave_format: bytes, num_bytes: int) -> bytes:
    """Make the header of an RF64 file, whose sizes have 64 bits (EBU Tech 3306)."""
    before = _FORM_BYTES + 36 + len(wave_format) + _CHUNK_BYTES
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, before - 8 + num_bytes, num_bytes, 0, 0)
    unknown = struct.pack("<I", _WRAP - 1)
    return b"RF64" + unknown + b"WAVE" + sizes + wave_format + b"data" + unknown
