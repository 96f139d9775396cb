"""One process at a time at a folder."""

from __future__ import annotations

import getpass
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

_NUM_LOCKS = 64
_PATIENCE_SECONDS = 10.0


@contextmanager
def folder_locked(folder: Path) -> Iterator[None]:
    """Keep other processes of the user on this machine from the same block for the same folder.

    The locks lie in the system's folder for temporary files, a fixed number of empty files that
    folders share: beside results they could not be removed safely, as another process may just
    have opened them. Where there can be no locks, or another process holds one for longer than
    anything in such blocks takes, the block runs without.
    """
    with ExitStack() as held:
        with suppress(OSError, NotImplementedError, Timeout):
            held.enter_context(FileLock(_lock_file(folder), timeout=_PATIENCE_SECONDS))
        yield


def _lock_file(folder: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(os.path.realpath(folder))).digest()
    locks = Path(tempfile.gettempdir()) / f"uss-locks-{_user()}"
    locks.mkdir(mode=0o700, exist_ok=True)
    return locks / f"{digest[0] % _NUM_LOCKS}.lock"


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()
