"""Short names for contents."""

from __future__ import annotations

import hashlib
from pathlib import Path

_BLOCK_BYTES = 1 << 20


def short_hash(content: bytes) -> str:
    """Identify content: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]


def file_hash(path: Path, algorithm: str = "sha256") -> str:
    """Hash a file, in blocks; the digits.

    Raises:
        OSError: if it cannot be read.
    """
    digest = hashlib.new(algorithm)
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
