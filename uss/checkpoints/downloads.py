"""Published checkpoints in a cache folder: downloaded once, by one process at a time.

Beside ``<file>`` lies ``<file>.lock``, an empty file that stays. Its lock ends with the process
that holds it, so a killed download blocks nobody; a second process waits for the first and then
finds the file. What else lies there while a download lasts, ``transfers`` says.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pooch
from filelock import FileLock, Timeout

from uss.checkpoints.published import PublishedFile
from uss.checkpoints.transfers import Transfer, reason_of
from uss.core.errors import InputError

logger = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return where checkpoints are kept: ``USS_CACHE``, else the user's cache folder.

    The folder need not exist.
    """
    given = os.environ.get("USS_CACHE")
    return Path(given or pooch.os_cache("uss-pipeline")).expanduser()


def fetch(published: PublishedFile, *, folder: Path | None = None, progress: bool = True) -> Path:
    """Return the local file of a published checkpoint; download it if it is not in the cache.

    A file that is there is checked by its size alone, a downloaded one also by its checksum. Where
    one is not known it is not checked, and the log tells the file's own. An interrupted
    download is resumed by the next call.

    Args:
        published: which file.
        folder: where to look and download to; the default is ``cache_folder()``.
        progress: show a bar on stderr if that is a terminal.

    Raises:
        ValueError: if the file there has the wrong size, or what the server offers has the wrong
            size or hash.
        FileNotFoundError: if the file is not there and has no direct address.
        OSError: if the server cannot be reached or refuses, the connection breaks off, or the
            folder cannot be written (full disk, no permission).
    """
    path = (cache_folder() if folder is None else folder) / published.file_name
    if path.exists():
        return _of_right_size(path, published)
    if published.url is None:
        raise FileNotFoundError(
            f"{published.name} has no direct address; get {published.published_name} from "
            f"{published.source} and put it at {path}"
        )
    with _locked(path):
        if not path.exists():
            Transfer(published, published.url, path, progress).run()
    return _of_right_size(path, published)


def _of_right_size(path: Path, published: PublishedFile) -> Path:
    size, expected = path.stat().st_size, published.size_bytes
    if expected is not None and size != expected:
        raise InputError(
            f"{path} has {size:,} bytes, the published {published.name} {expected:,}; delete it "
            "and run again to download it, or finish copying it"
        )
    return path


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.info("waiting for another process that downloads %s", path)
            lock.acquire()
    except OSError as error:
        raise OSError(
            f"the cache folder {path.parent} cannot be written ({reason_of(error)}); set USS_CACHE "
            "to another"
        ) from error
    try:
        yield
    finally:
        lock.release()
