"""Where files begin that were appended to each other, by what every beginning looks like."""

from __future__ import annotations

import re
from typing import BinaryIO

from uss.audio.windows import WHOLE, Part

_SEARCHED_BYTES = 2**20
# Longer than what any pattern matches.
_OVERLAP_BYTES = 64
_WITH_BIT_3 = b"[" + b"".join(b"\\x%02x" % byte for byte in range(256) if byte & 8) + b"]"

BEGINNINGS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        # With the size of STREAMINFO, which comes first (RFC 9639, section 8.2).
        rb"fLaC\0\0\0\x22",
        # The header of 9 bytes, and the size of no tag before the first.
        rb"FLV\x01[\x01\x04\x05]\0\0\0\x09\0{4}",
        # ASF, that is WMA and WMV: the mark of its header object.
        rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c",
        # CAF, version 1, whose first chunk is the format.
        rb"caff\0\x01\0\0desc\0{7}\x20",
        # True Audio in one of its three formats.
        rb"TTA1[\x01-\x03]\0",
        # WavPack: a block of sample 0 that begins a group of blocks (flag 0x800).
        rb"wvpk.{4}[\x02-\x10]\x04\0.{5}\0{4}.{5}" + _WITH_BIT_3,
        rb"Creative Voice File\x1a",
        rb"NIST_1A\n   1024\n",
        rb"#!AMR(?:-WB)?\n",
        # RealMedia: the size of the header object and its version.
        rb"\.RMF\0\0\0\x12\0[\0\x01]",
    )
)
"""What files of the formats begin with that one search finds the parts of."""


def found_starts(file: BinaryIO, beginning: re.Pattern[bytes]) -> list[int]:
    """Find every place that looks like a beginning.

    Args:
        file: is read to its end.
        beginning: matches 64 bytes at most.
    """
    starts: list[int] = []
    file.seek(0)
    offset, before = 0, b""
    while piece := file.read(_SEARCHED_BYTES):
        searched = before + piece
        for found in beginning.finditer(searched):
            start = offset - len(before) + found.start()
            if not starts or start > starts[-1]:
                starts.append(start)
        offset += len(piece)
        before = searched[-_OVERLAP_BYTES:]
    return starts


def appended_parts(file: BinaryIO, size: int, beginning: re.Pattern[bytes]) -> list[Part]:
    """Find the files that follow each other, of which decoders read the first one only.

    Args:
        file: begins so.
        size: of the file in bytes.
        beginning: one of ``BEGINNINGS``.

    Returns:
        One part for each; the whole file if there is one.
    """
    starts = found_starts(file, beginning)
    if len(starts) < 2:
        return [WHOLE]
    return [Part(start, end) for start, end in zip(starts, [*starts[1:], size], strict=True)]


def beginning_of(head: bytes) -> re.Pattern[bytes] | None:
    """Tell which of ``BEGINNINGS`` the first bytes of a file are, if any."""
    return next((each for each in BEGINNINGS if each.match(head)), None)
