"""Whether the files of a result are what was written, without reading all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_END_BYTES = 2**16


def fingerprint(path: Path) -> dict[str, Any]:
    """Take the size of a file and a hash of its first and last 64 KiB.

    That tells files that were cut off, edited or encoded anew, or that the system lost the ends of
    in a power failure. Hashing all of the stems would take several times as long as the recording's
    own hash.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        size_bytes = file.seek(0, 2)
        digest = hashlib.sha256()
        for start in (0, max(_END_BYTES, size_bytes - _END_BYTES)):
            file.seek(start)
            digest.update(file.read(_END_BYTES))
    return {"size_bytes": size_bytes, "ends_sha256": digest.hexdigest()}


def fingerprints(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Take those of some files in a folder."""
    return {name: fingerprint(folder / name) for name in names}


def first_changed(folder: Path, noted: Mapping[str, Any]) -> str | None:
    """Name the first file that is missing, or is not as it was when its fingerprint was taken."""
    return next((name for name in sorted(noted) if not _is_alike(folder / name, noted[name])), None)


def _is_alike(path: Path, mark: object) -> bool:
    # The size alone tells most of what goes wrong.
    noted = mark.get("size_bytes") if isinstance(mark, dict) else None
    try:
        return noted == path.stat().st_size and mark == fingerprint(path)
    except OSError:
        return False
