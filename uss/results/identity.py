"""Which recording a result is of: what it holds counts, not where it lies or what it is called."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True)
class Identity:
    """One audio track of one file.

    Attributes:
        path: of the file, as it was named; not absolute unless it was named so.
        size_bytes: of the file.
        sha256: of all its bytes, in hex digits; empty for what is no regular file.
        track: which of its audio tracks, from 1.
        is_piped: it came through a pipe; ``path`` is what its result is called then.
    """

    path: str
    size_bytes: int
    sha256: str
    track: int
    is_piped: bool = False

    @classmethod
    def of(cls, path: Path, track: int) -> Identity:
        """Read a file once, in blocks.

        What is no regular file, such as a pipe, can be read only once and so stays unread.

        Raises:
            OSError: if it cannot be read.
        """
        status = path.stat()
        is_regular = stat.S_ISREG(status.st_mode)
        sha256 = _sha256(path, status.st_size, status.st_mtime_ns) if is_regular else ""
        return cls(str(path), status.st_size, sha256, track)

    def has_content_of(self, other: Identity) -> bool:
        """Whether both files hold the same bytes."""
        return bool(self.sha256) and self.sha256 == other.sha256

    def is_same_recording(self, other: Identity) -> bool:
        """Whether both are the same track of the same bytes, wherever they lie."""
        return self.has_content_of(other) and self.track == other.track


# Whether a file is to be skipped, and what its result notes, are asked in turn.
@lru_cache(maxsize=4)
def _sha256(path: Path, size_bytes: int, changed_ns: int) -> str:
    """Hash a file; its size and time of change tell whether it is still the one in the cache."""
    digest = hashlib.sha256()
    block = bytearray(_BLOCK_BYTES)
    view = memoryview(block)
    with open(os.fspath(path), "rb", buffering=0) as file:
        while count := file.readinto(block):
            digest.update(view[:count])
    return digest.hexdigest()
