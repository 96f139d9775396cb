"""Where the links of a chained Ogg file begin (RFC 3533, section 4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from uss.audio.windows import WHOLE, Part

_CAPTURE = b"OggS"
_HEADER_BYTES = 27
_BEGINS_A_STREAM = 2
_SEARCHED_BYTES = 65_536


def ogg_parts(file: BinaryIO, size: int) -> list[Part]:
    """Find the links of a file in which streams follow each other, as in recorded web radio.

    Args:
        file: of Ogg pages.
        size: of the file in bytes.

    Returns:
        One part for each link; the whole file if it is not chained, or if streams lie side by side,
        as sound and pictures do.
    """
    starts: list[int] = []
    was_beginning = False
    for offset, flags in _pages(file, size):
        is_beginning = bool(flags & _BEGINS_A_STREAM)
        if is_beginning and was_beginning:
            return [WHOLE]
        if is_beginning:
            starts.append(offset)
        was_beginning = is_beginning
    if len(starts) < 2:
        return [WHOLE]
    return [Part(start, end) for start, end in zip(starts, [*starts[1:], size], strict=True)]


def _pages(file: BinaryIO, size: int) -> Iterator[tuple[int, int]]:
    """Go through the pages: where they begin, and the flags of their header."""
    offset = 0
    while offset < size:
        file.seek(offset)
        header = file.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES:
            return
        if not header.startswith(_CAPTURE):
            found = _next_page(file, offset + 1)
            if found is None:
                return
            offset = found
            continue
        yield offset, header[5]
        lengths = file.read(header[26])
        offset += _HEADER_BYTES + len(lengths) + sum(lengths)


def _next_page(file: BinaryIO, offset: int) -> int | None:
    file.seek(offset)
    before = b""
    while piece := file.read(_SEARCHED_BYTES):
        found = (before + piece).find(_CAPTURE)
        if found >= 0:
            return offset - len(before) + found
        offset += len(piece)
        before = piece[-len(_CAPTURE) + 1 :]
    return None
