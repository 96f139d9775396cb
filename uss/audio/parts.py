"""Files in which several recordings follow each other, or whose header does not say all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from uss.audio.beginnings import appended_parts, beginning_of
from uss.audio.flv import marked_if_cut
from uss.audio.mp4 import mp4_parts
from uss.audio.mpeg import mpeg_parts
from uss.audio.ogg import ogg_parts
from uss.audio.open_ended import au_parts, caf_parts
from uss.audio.riff import riff_parts
from uss.audio.wave64 import BEGINNING as WAVE64_BEGINNING
from uss.audio.wave64 import wave64_parts
from uss.audio.windows import WHOLE, Part

_BUFFER_BYTES = 2**18
_HEAD_BYTES = 64
_MPEG_SUFFIXES = frozenset({".mp1", ".mp2", ".mp3", ".mpa", ".m1a"})
_FINDERS: dict[bytes, Callable[[BinaryIO, int], list[Part]]] = {
    b"OggS": ogg_parts,
    b"RIFF": riff_parts,
    b"RF64": riff_parts,
    b"BW64": riff_parts,
    b"FORM": riff_parts,
    b".snd": au_parts,
    b"caff": caf_parts,
}
_OTHER_BEGINNINGS = frozenset({b"fLaC", b"OggS", b"RIFF", b"RF64", b"FORM", b"caff", b".snd"})


def find_parts(path: Path) -> list[Part]:
    """Find what decoders would leave out, as they stop at the end of the first stream.

    Returns:
        What is to be decoded one after another; ``WHOLE`` alone for nearly every file.
    """
    size = path.stat().st_size
    with path.open("rb", buffering=_BUFFER_BYTES) as file:
        head = file.read(_HEAD_BYTES)
        if head[4:8] == b"ftyp":
            return mp4_parts(file, size)
        if WAVE64_BEGINNING.match(head):
            return wave64_parts(file, size)
        find = _FINDERS.get(head[:4])
        if find is not None:
            return find(file, size)
        beginning = beginning_of(head)
        if beginning is not None:
            parts = appended_parts(file, size, beginning)
            return [marked_if_cut(file, size, part) for part in parts] if _is_flv(head) else parts
        start = _behind_tags(file)
        return mpeg_parts(file, start, size) or [WHOLE]


def _is_flv(head: bytes) -> bool:
    return head.startswith(b"FLV")


def is_for_ffmpeg(path: Path) -> bool:
    """Whether libsndfile would take a file for MP3, whose decoder writes to standard error.

    It does so by the first bytes, behind tags, and else by the name.
    """
    with path.open("rb") as file:
        start = _behind_tags(file)
        file.seek(start)
        head = file.read(4)
    if len(head) > 1 and head[0] == 0xFF and head[1] >= 0xE0:
        return True
    looks_so = start > 0 or path.suffix.lower() in _MPEG_SUFFIXES
    return looks_so and head not in _OTHER_BEGINNINGS


def _behind_tags(file: BinaryIO) -> int:
    """Find the end of the ID3v2 tags that a file begins with."""
    start = 0
    while True:
        file.seek(start)
        head = file.read(10)
        if len(head) < 10 or not head.startswith(b"ID3"):
            return start
        sizes = head[6:10]
        start += 10 + sum((byte & 0x7F) << 7 * (3 - i) for i, byte in enumerate(sizes))
        if head[5] & 0x10:
            start += 10
