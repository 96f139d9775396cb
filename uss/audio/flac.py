"""Where FLAC files begin that were appended to each other."""

from __future__ import annotations

from typing import BinaryIO

from uss.audio.windows import WHOLE, Part

# With the size of STREAMINFO, which comes first (RFC 9639, section 8.2).
BEGINNING = b"fLaC\0\0\0\x22"
_SEARCHED_BYTES = 2**20


def flac_parts(file: BinaryIO, size: int) -> list[Part]:
    """Find the streams of a file, which says of the first one only how long it is.

    Args:
        file: starts with a FLAC stream.
        size: of the file in bytes.

    Returns:
        One part for each stream; the whole file if there is one.
    """
    starts: list[int] = []
    file.seek(0)
    offset, before = 0, b""
    while piece := file.read(_SEARCHED_BYTES):
        searched = before + piece
        found = searched.find(BEGINNING)
        while found >= 0:
            starts.append(offset - len(before) + found)
            found = searched.find(BEGINNING, found + 1)
        offset += len(piece)
        before = searched[-len(BEGINNING) + 1 :]
    if len(starts) < 2:
        return [WHOLE]
    return [Part(start, end) for start, end in zip(starts, [*starts[1:], size], strict=True)]
