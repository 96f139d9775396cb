"""AU and CAF files whose header leaves open how many samples follow."""

from __future__ import annotations

import struct
from typing import BinaryIO

from uss.audio.windows import WHOLE, Part

_MAX_HEAD_BYTES = 2**20


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


def caf_part(file: BinaryIO, size: int) -> Part:
    """Fill in the size of a CAF file's last chunk, the samples.

    -1 says that they go on to the end of the file, which libsndfile does not take; 0 is what a
    recorder that lost power leaves.
    """
    position = 8
    while position + 12 < min(size, _MAX_HEAD_BYTES):
        file.seek(position)
        name, num_bytes = struct.unpack(">4sq", file.read(12))
        position += 12
        if name == b"data" and num_bytes in (-1, 0):
            file.seek(0)
            head = file.read(position)[:-8] + struct.pack(">q", size - position)
            return Part(position, size, head, is_cut=num_bytes == 0)
        if name == b"data" or num_bytes < 0:
            break
        position += num_bytes
    return WHOLE
