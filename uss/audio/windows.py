"""A piece of a file as a file of its own, for decoders that know one stream per file."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Part:
    """Bytes of a file that a decoder takes for a whole file.

    Attributes:
        start: the first byte; None for a file that is read as it is.
        end: the byte after the last.
        head: stands before them, where the header in the file is wrong.
        is_mpeg: whether it is a bare stream of MPEG audio (MP3), which FFmpeg decodes.
        is_cut: whether its header was not brought up to date, as after a power failure.
        promised_seconds: what its header says that it lasts; 0 if it does not.
        note: what there is to say of its header, to follow the name of the file.
    """

    start: int | None = None
    end: int = 0
    head: bytes = b""
    is_mpeg: bool = False
    is_cut: bool = False
    promised_seconds: float = 0.0
    note: str = ""

    @property
    def num_bytes(self) -> int:
        """How much of the file it is; 0 where that is all of it."""
        return self.end - (self.start or 0)


WHOLE = Part()
"""A file that is read as it is."""


class Window(io.RawIOBase):
    """A part of a file, to be read and searched as if it were a file.

    Args:
        path: the file.
        part: which bytes of it.
    """

    def __init__(self, path: Path, part: Part) -> None:
        self._file = path.open("rb")
        self._head = part.head
        self._start = part.start or 0
        self._size = len(part.head) + part.num_bytes
        self._position = 0

    @property
    def num_unread(self) -> int:
        """How many bytes lie behind the position."""
        return self._size - self._position

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """It can be searched."""
        return True

    def tell(self) -> int:
        """Give the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, which may lie beyond the end."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    # A soundfile older than 0.13 and PyAV call ``read``, which ``RawIOBase`` makes of this.
    def readinto(self, buffer: object) -> int:
        """Fill a buffer as far as there are bytes."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        size = max(0, min(len(view), self._size - self._position))
        in_head = self._head[self._position : self._position + size]
        view[: len(in_head)] = in_head
        num_read = len(in_head)
        if num_read < size:
            self._file.seek(self._start + self._position + num_read - len(self._head))
            num_read += self._file.readinto(view[num_read:size])
        self._position += num_read
        return num_read

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
