"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MAX_NAME_BYTES = 255


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; it takes its place if the block ends well.

    After an exception the temporary file is removed and an older ``path`` is untouched.
    """
    path = Path(path)
    part = path.with_name(fitting_name(path.name, ".part"))
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def fitting_name(stem: str, suffix: str) -> str:
    """Join a name and its suffix, and leave out the end of the name where both are too long.

    File systems take 255 bytes.
    """
    while stem and len(os.fsencode(stem + suffix)) > _MAX_NAME_BYTES:
        stem = stem[:-1]
    return stem + suffix


def native_path(path: Path) -> str | bytes:
    """Return what C libraries take: bytes where a name need not be UTF-8."""
    return os.fsencode(path) if os.name == "posix" else str(path)
