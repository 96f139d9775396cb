"""Short names for contents."""

from __future__ import annotations

import hashlib


def short_hash(content: bytes) -> str:
    """Identify content: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(content).hexdigest()[:16]
