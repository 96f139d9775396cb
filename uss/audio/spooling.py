"""Keep what comes through a pipe on disk, as recordings are read twice."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from uss.audio.writing import safe_file_name
from uss.core.errors import InputError

_CHUNK_BYTES = 2**20


@contextmanager
def spooled(stream: BinaryIO, name: str, output: Path, source: str) -> Iterator[Path]:
    """Copy a stream to its end into a file that lasts as long as the block.

    The file lies in the folder that the variable ``TMPDIR`` names, else in the output folder, where
    there has to be room for its stems anyway, and which many systems do not keep in memory.

    Args:
        stream: what is read.
        name: of the file.
        output: folder; made if it is missing, and removed again if nothing else got into it.
        source: what messages call the stream.

    Raises:
        OSError: if there is no room.
        ValueError: if the stream is empty.
    """
    named = os.environ.get("TMPDIR")
    parent = Path(named) if named and Path(named).is_dir() else output
    is_new = not parent.exists()
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".spooled.", dir=parent))
    try:
        path = folder / safe_file_name(name)
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(stream, file, _CHUNK_BYTES)
        except OSError as error:
            raise OSError(
                f"{source} cannot be kept in {parent} ({error.strerror}), as it must be to be read "
                "twice; let TMPDIR name a folder with more room"
            ) from error
        if path.stat().st_size == 0:
            raise InputError(f"{source} is empty; see what the program before the pipe says")
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if is_new and not any(parent.iterdir()):
            parent.rmdir()
