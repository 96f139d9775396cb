"""Checksums of whole files, kept in the files themselves.

A shard, a side-car and an index end with a line that gives the CRC-32 of all bytes before it. HDF5
reads a file up to the end that its own header states, so what follows is not in its way; and a
file needs no other one to be found damaged. CRC-32 is the fastest checksum of Python's standard
library and finds every single error of up to 32 bits in a row.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

_BLOCK_BYTES = 1 << 23
_LINE = b"\nuss crc32 %08x\n"
_PATTERN = re.compile(rb"\nuss crc32 ([0-9a-f]{8})\n")
LINE_BYTES = len(_LINE % 0)


def add_checksum(path: str | Path) -> str:
    """Append its checksum to a complete file.

    Returns:
        The checksum, 8 hexadecimal digits.
    """
    with open(path, "r+b") as file:
        value = crc_of(blocks_of(file))
        file.seek(0, os.SEEK_END)
        file.write(_LINE % value)
    return f"{value:08x}"


def stated_checksum(end: bytes) -> str | None:
    """Read what the end of a file says of it; None if it says nothing.

    Args:
        end: the last ``LINE_BYTES`` of the file.
    """
    match = _PATTERN.fullmatch(end)
    return None if match is None else match.group(1).decode()


def blocks_of(file: BinaryIO) -> Iterable[bytes]:
    """Read a file to its end in blocks."""
    while block := file.read(_BLOCK_BYTES):
        yield block


def crc_of(blocks: Iterable[bytes]) -> int:
    """Sum up all bytes."""
    value = 0
    for block in blocks:
        value = zlib.crc32(block, value)
    return value


def measured_checksum(blocks: Iterable[bytes]) -> tuple[str, str | None]:
    """Read a whole file.

    Returns:
        The checksum of its content, without a line that states one; and the one stated, if any.
    """
    value = 0
    held = b""
    for block in blocks:
        held += block
        if len(held) > LINE_BYTES:
            value = zlib.crc32(memoryview(held)[:-LINE_BYTES], value)
            held = held[-LINE_BYTES:]
    stated = stated_checksum(held)
    if stated is None:
        value = zlib.crc32(held, value)
    return f"{value:08x}", stated
