"""Flash video that is shorter than it says (Adobe's FLV specification 10.1, annex E.5)."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import BinaryIO

from uss.audio.windows import Part

_HEAD_BYTES = 4_096
# What an editor of metadata may take away.
_TOLERATED_BYTES = 1_024
# A name with its length, and the type of its value, a number of 64 bits.
_SIZE_FOLLOWS = b"\0\x08filesize\0"


def marked_if_cut(file: BinaryIO, size: int, part: Part) -> Part:
    """Compare the size of a file with the one that its metadata note, if they do."""
    file.seek(part.start or 0)
    head = file.read(_HEAD_BYTES)
    position = head.find(_SIZE_FOLLOWS) + len(_SIZE_FOLLOWS)
    if position < len(_SIZE_FOLLOWS) or position + 8 > len(head):
        return part
    (noted,) = struct.unpack_from(">d", head, position)
    num_bytes = size if part.start is None else part.num_bytes
    is_cut = noted > num_bytes + _TOLERATED_BYTES
    return replace(part, is_cut=is_cut)
