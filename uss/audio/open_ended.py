"""AU and CAF files whose header leaves open how many samples follow."""

from __future__ import annotations

import struct
from typing import BinaryIO

from uss.audio.beginnings import appended_parts, beginning_of
from uss.audio.windows import WHOLE, Part

_MAX_HEAD_BYTES = 2**20
_FORMAT_BYTES = 64
_EDIT_COUNT_BYTES = 4
_MIN_LOST_BYTES = 8_192


def au_parts(file: BinaryIO, size: int) -> list[Part]:
    """Mend the size 0 of an AU file, which a recorder that lost power leaves; find files behind it.

    All ones stand for a size that the writer did not know; libsndfile understands those.
    """
    parts: list[Part] = []
    position = 0
    while position < size:
        file.seek(position)
        head = file.read(12)
        start, num_bytes = (int.from_bytes(head[i : i + 4], "big") for i in (4, 8))
        if head[:4] != b".snd" or not len(head) <= start < min(size, _MAX_HEAD_BYTES):
            break
        if num_bytes == 0:
            mended = head[:8] + b"\xff" * 4 + file.read(start - len(head))
            parts.append(Part(position + start, size, mended, is_cut=True))
            break
        end = min(size, position + start + num_bytes)
        parts.append(Part(position, end))
        position = end
    is_plain = len(parts) < 2 and not any(part.head for part in parts)
    return [WHOLE] if is_plain else parts


def caf_parts(file: BinaryIO, size: int) -> list[Part]:
    """Fill in the size of the last chunk of CAF files, the samples; find files behind the first.

    -1 says that they go on to the end of the file, which libsndfile does not take; 0, or no more
    than the four bytes before the samples, is what a recorder that lost power leaves.
    """
    file.seek(0)
    beginning = beginning_of(file.read(_FORMAT_BYTES))
    parts = [WHOLE] if beginning is None else appended_parts(file, size, beginning)
    if len(parts) > 1:
        return [_caf_part(file, part.start or 0, part.end) or part for part in parts]
    return [_caf_part(file, 0, size) or WHOLE]


def _caf_part(file: BinaryIO, start: int, end: int) -> Part | None:
    position = start + 8
    while position + 12 < min(end, start + _MAX_HEAD_BYTES):
        file.seek(position)
        name, num_bytes = struct.unpack(">4sq", file.read(12))
        position += 12
        # Behind an empty chunk of samples others may follow.
        is_none = num_bytes == _EDIT_COUNT_BYTES and end - position >= _MIN_LOST_BYTES
        is_cut = num_bytes == 0 or is_none
        if name == b"data" and (num_bytes == -1 or is_cut):
            file.seek(start)
            head = file.read(position - start)[:-8] + struct.pack(">q", end - position)
            return Part(position, end, head, is_cut=is_cut)
        if name == b"data" or num_bytes < 0:
            break
        position += num_bytes
    return None
