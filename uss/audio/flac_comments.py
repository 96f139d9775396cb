"""Vorbis comments of FLAC files (RFC 9639, section 8.6): written into complete files."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from uss.audio.file_notes import FileNotes, Mark
from uss.core.files import written_whole

Comments = Sequence[tuple[str, str]]

_MAGIC = b"fLaC"
_PADDING, _COMMENTS = 1, 4
_LAST = 0x80
_HEAD_BYTES = 4
_MAX_BLOCK_BYTES = 2**24 - 1
MAX_CHAPTERS = 999
_MAX_CHAPTER_LETTERS = 60
_TAGS = {"title": "TITLE", "artist": "ARTIST", "date": "DATE", "isrc": "ISRC"}


@dataclass(frozen=True)
class _Block:
    kind: int
    content: bytes


def comments_of(notes: FileNotes) -> list[tuple[str, str]]:
    """List what a file says of itself, with FFmpeg's names for what BWF has fields for."""
    history = "\n".join(notes.coding_history)
    fields = [
        *((_TAGS[tag], text) for tag, text in notes.tags.items()),
        ("DESCRIPTION", notes.description),
        ("ENCODED_BY", notes.originator),
        ("ORIGINATION_DATE", notes.origination_date),
        ("ORIGINATION_TIME", notes.origination_time),
        ("TIME_REFERENCE", str(notes.time_reference)),
        ("CODING_HISTORY", history),
    ]
    return [(name, text) for name, text in fields if text]


def chapters_of(marks: Sequence[Mark], sample_rate: int) -> list[tuple[str, str]]:
    """List places as chapters (the Ogg chapter extension), of which there are 999 at most."""
    found = []
    for number, mark in enumerate(marks[:MAX_CHAPTERS], start=1):
        milliseconds = round(1_000 * mark.start_samples / sample_rate)
        minutes, rest = divmod(milliseconds, 60_000)
        time = f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1_000:02}.{rest % 1_000:03}"
        found.append((f"CHAPTER{number:03}", time))
        found.append((f"CHAPTER{number:03}NAME", mark.name[:_MAX_CHAPTER_LETTERS]))
    return found


def add_comments(path: Path, comments: Comments, *, replaced: bool = False) -> None:
    """Write comments into a complete file.

    Where there is padding enough they go into it, else the file is written anew.

    Args:
        path: the file.
        comments: names and texts.
        replaced: those that are there go.

    Raises:
        OSError: if the disk is full; the file is as it was then.
    """
    with path.open("r+b") as file:
        blocks, start = _read_blocks(file)
        vendor, old = _parsed(next((b.content for b in blocks if b.kind == _COMMENTS), b""))
        content = _packed(vendor, [*([] if replaced else old), *map(_encoded, comments)])
        if len(content) > _MAX_BLOCK_BYTES:
            raise OSError(f"{path}: its notes are too long for FLAC; write WAV")
        kept = [b for b in blocks if b.kind not in (_COMMENTS, _PADDING)]
        head = _written([*kept, _Block(_COMMENTS, content)])
        room = start - len(head) - _HEAD_BYTES
        if 0 <= room <= _MAX_BLOCK_BYTES:
            file.seek(0)
            file.write(_written([*kept, _Block(_COMMENTS, content), _Block(_PADDING, bytes(room))]))
            return
        file.seek(start)
        with written_whole(path) as part, part.open("wb") as new:
            new.write(head)
            shutil.copyfileobj(file, new)


def _encoded(comment: tuple[str, str]) -> bytes:
    name, text = comment
    return f"{name}={text}".encode("utf-8", "replace")


def num_bytes_of(comments: Comments) -> int:
    """Tell how much room comments take in a file."""
    return sum(len(_encoded(each)) + 4 for each in comments)


def _read_blocks(file: BinaryIO) -> tuple[list[_Block], int]:
    """Read all blocks of metadata; also tells where the sound starts."""
    file.seek(0, os.SEEK_SET)
    assert file.read(len(_MAGIC)) == _MAGIC
    blocks, is_last = [], False
    while not is_last:
        head = file.read(_HEAD_BYTES)
        is_last = bool(head[0] & _LAST)
        blocks.append(_Block(head[0] & ~_LAST, file.read(int.from_bytes(head[1:], "big"))))
    return blocks, file.tell()


def _written(blocks: Sequence[_Block]) -> bytes:
    pieces = [_MAGIC]
    for block in blocks:
        last = _LAST if block is blocks[-1] else 0
        pieces.append(bytes([block.kind | last]) + len(block.content).to_bytes(3, "big"))
        pieces.append(block.content)
    return b"".join(pieces)


def _packed(vendor: bytes, comments: Sequence[bytes]) -> bytes:
    listed = b"".join(struct.pack("<I", len(each)) + each for each in comments)
    return struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(comments)) + listed


def _parsed(content: bytes) -> tuple[bytes, list[bytes]]:
    pieces = _pieces(content)
    vendor = next(pieces, b"")
    return vendor, list(pieces)


def _pieces(content: bytes) -> Iterator[bytes]:
    """Give the vendor, then the comments, whose number stands between them."""
    position, is_vendor = 0, True
    while position + 4 <= len(content):
        (length,) = struct.unpack_from("<I", content, position)
        yield content[position + 4 : position + 4 + length]
        position += 4 + length + (4 if is_vendor else 0)
        is_vendor = False
