"""Where MP4 files begin that were appended to each other (ISO/IEC 14496-12, section 4.2)."""

from __future__ import annotations

import struct
from typing import BinaryIO

from uss.audio.windows import WHOLE, Part

_HEADER_BYTES = 8


def mp4_parts(file: BinaryIO, size: int) -> list[Part]:
    """Find the files that follow the first one, behind its boxes.

    Args:
        file: starts with a box ``ftyp``.
        size: of the file in bytes.

    Returns:
        One part for each file with an index of its own; the whole file if there is one.
    """
    starts: list[int] = []
    indexes: list[bool] = []
    position = 0
    while position + _HEADER_BYTES <= size:
        file.seek(position)
        num_bytes, name = struct.unpack(">I4s", file.read(_HEADER_BYTES))
        if num_bytes == 1:
            num_bytes = int.from_bytes(file.read(8), "big")
        if name == b"ftyp":
            starts.append(position)
            indexes.append(False)
        elif name == b"moov":
            indexes[-1] = True
        if num_bytes < _HEADER_BYTES:
            break
        position += num_bytes
    if len(starts) < 2 or not all(indexes):
        return [WHOLE]
    return [Part(start, end) for start, end in zip(starts, [*starts[1:], size], strict=True)]
