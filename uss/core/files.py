"""Files and folders that appear under their name only when they are complete."""

from __future__ import annotations

import os
import shutil
import tempfile
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


@contextmanager
def folder_written_whole(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder beside ``path``; it takes its place if the block ends well.

    What lies at ``path`` is then removed; after an exception it is untouched.
    """
    path = Path(path)
    with tempfile.TemporaryDirectory(prefix=f".{path.name[:32]}.", dir=path.parent) as room:
        part, earlier = Path(room, "part"), Path(room, "earlier")
        part.mkdir()
        yield part
        if path.exists():
            os.replace(path, earlier)
        try:
            os.replace(part, path)
        except BaseException:
            if earlier.exists():
                shutil.move(earlier, path)
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
