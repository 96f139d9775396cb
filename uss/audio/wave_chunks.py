"""The chunks of WAV files: where they are, and how some get into a complete file."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_FORM_BYTES = 12
_CHUNK_BYTES = 8
_LONG = 2**32 - 1
_KINDS = (b"RIFF", b"RF64", b"BW64")
_LONG_SIZE_OF_FORM = 20
_PEAK_VERSION_BYTES = _PEAK_TIME_BYTES = 4


@dataclass(frozen=True)
class Chunk:
    """A chunk of a file.

    Attributes:
        name: four letters.
        start: of its content in the file.
        num_bytes: of its content, without the byte that makes it even.
    """

    name: bytes
    start: int
    num_bytes: int

    @property
    def end(self) -> int:
        """Where the next chunk begins."""
        return self.start + self.num_bytes + self.num_bytes % 2


def is_wave(head: bytes) -> bool:
    """Whether the first 12 bytes of a file are those of WAV, RF64 or BW64."""
    return head[:4] in _KINDS and head[8:12] == b"WAVE"


def chunks_of(file: BinaryIO) -> Iterator[Chunk]:
    """List the chunks of a WAV file, as far as their headers lie in it."""
    size = file.seek(0, os.SEEK_END)
    position, data_bytes = _FORM_BYTES, 0
    while position + _CHUNK_BYTES <= size:
        file.seek(position)
        name, num_bytes = struct.unpack("<4sI", file.read(_CHUNK_BYTES))
        if name == b"ds64":
            (data_bytes,) = struct.unpack("<8xQ", file.read(16).ljust(16, b"\0"))
        elif name == b"data" and num_bytes == _LONG:
            num_bytes = data_bytes
        chunk = Chunk(name, position + _CHUNK_BYTES, num_bytes)
        yield chunk
        position = chunk.end


def chunk(name: bytes, content: bytes) -> bytes:
    """Make a chunk of even length."""
    return struct.pack("<4sI", name, len(content)) + content + bytes(len(content) % 2)


def replace_chunk(path: Path, name: bytes, new: bytes) -> None:
    """Write chunks over the first one of a name, which takes as many bytes as they do."""
    with path.open("r+b") as file:
        old = next(each for each in chunks_of(file) if each.name == name)
        assert old.end - old.start + _CHUNK_BYTES == len(new)
        file.seek(old.start - _CHUNK_BYTES)
        file.write(new)


def forget_when(path: Path) -> None:
    """Clear the second at which a file of floating-point samples says that it was written.

    libsndfile notes it beside the peaks, so that the same samples would be other bytes each time.
    """
    with path.open("r+b") as file:
        peak = next((each for each in chunks_of(file) if each.name == b"PEAK"), None)
        if peak is not None:
            file.seek(peak.start + _PEAK_VERSION_BYTES)
            file.write(bytes(_PEAK_TIME_BYTES))


def append_chunks(path: Path, new: bytes) -> None:
    """Write chunks behind the last one of a complete file.

    Raises:
        OSError: if the disk is full; the file is as it was then.
    """
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        end = max(each.end for each in chunks_of(file))
        try:
            file.seek(size)
            # Of a last chunk of odd length the even byte may be missing.
            file.write(bytes(max(0, end - size)) + new)
            file.flush()
            _note_size(file, file.tell())
            file.flush()
        except OSError:
            file.truncate(size)
            _note_size(file, size)
            raise


def _note_size(file: BinaryIO, size: int) -> None:
    """Write the size of the whole form into its header; RF64 has it in the chunk ds64."""
    file.seek(0)
    is_long = file.read(4) != b"RIFF"
    file.seek(_LONG_SIZE_OF_FORM if is_long else 4)
    file.write(struct.pack("<Q" if is_long else "<I", size - _CHUNK_BYTES))
