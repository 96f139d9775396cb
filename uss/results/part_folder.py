"""The folder that a result grows in: whose run has died, and whose has not."""

from __future__ import annotations

import logging
import os
import platform
import secrets
import shutil
import time
from pathlib import Path

from uss.results.ownership import settle

try:
    import fcntl
except ImportError:  # Windows, which deletes no file that is open
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

_PREFIX, _PART, _LOCK, _EARLIER = ".separating.", ".part", ".lock", ".old"
_STALE_SECONDS = 86_400
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class PartFolder:
    """An empty folder in the folder of the output, and beside it a file that is locked meanwhile.

    The system drops the lock when the process ends, however it ends.

    Args:
        output: the folder that the result will appear in.
        name: of the result; an earlier one may lie in ``earlier`` while it is replaced.

    Attributes:
        path: the folder; it may be renamed.
        earlier: beside it, a free name.

    Raises:
        OSError: if nothing can be written there.
    """

    def __init__(self, output: Path, name: str) -> None:
        self._lock = output / f"{_PREFIX}{secrets.token_hex(6)}{_LOCK}"
        self.path = self._lock.with_suffix(_PART)
        self.earlier = self._lock.with_suffix(_EARLIER)
        self._final = output / name
        self._file: int | None = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Others may look at it before it is locked, but not before it says whose it is.
            _try_to_lock(self._file)
            os.write(self._file, f"{_machine()}\n".encode() + os.fsencode(name))
            # For the user alone, until it is complete.
            self.path.mkdir(mode=0o700)
        except BaseException:
            self.release()
            raise

    def discard(self) -> None:
        """Delete the folder, put an earlier result back, and give up the lock."""
        settle(self.earlier, self._final)
        shutil.rmtree(self.path, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Give up the lock of a folder that was renamed or deleted."""
        file, self._file = self._file, None
        if fcntl is not None:
            self._lock.unlink(missing_ok=True)
        if file is not None:
            os.close(file)
        if fcntl is None:
            self._lock.unlink(missing_ok=True)


def sweep(output: Path) -> None:
    """Delete what dead runs have left in the folder of the output, such as killed ones.

    What a living run works in is not touched. Of a run on this machine the lock tells. Not every
    network file system passes locks on to other hosts, so what those have left, or this one before
    it was started anew, goes only if it can be locked and nothing in it has changed for a day. So
    does what has no lock, of older versions of this program.
    """
    for lock in output.glob(f"{_PREFIX}*{_LOCK}"):
        part = lock.with_suffix(_PART)
        machine, _, name = os.fsdecode(_content(lock)).partition("\n")
        if _is_dead(lock, part, machine == _machine()):
            settle(lock.with_suffix(_EARLIER), output / _inside(name))
            _delete(part)
            lock.unlink(missing_ok=True)
    for part in output.glob(f"{_PREFIX}*{_PART}"):
        if not part.with_suffix(_LOCK).exists() and _is_stale(part):
            _delete(part)


def _inside(name: str) -> Path:
    """Take the name of a result, which may lie in folders of the output, but not outside it."""
    path = Path(name)
    return Path(path.name) if path.is_absolute() or ".." in path.parts else path


def _content(lock: Path) -> bytes:
    try:
        return lock.read_bytes()
    except OSError:
        return b""


def _is_dead(lock: Path, part: Path, is_own: bool) -> bool:
    """Whether nobody will go on with a folder."""
    try:
        if not is_own and not _is_stale(part if part.exists() else lock):
            return False
        if fcntl is None:
            lock.unlink()
            return True
        file = os.open(lock, os.O_RDWR)
        try:
            return _try_to_lock(file)
        finally:
            os.close(file)
    except OSError:
        return False


def _try_to_lock(file: int) -> bool:
    """Lock an open file; False where another has done so, or there are no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _machine() -> str:
    """Name this machine, from its start to its end; the same in all containers on it."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return platform.node()


def _delete(part: Path) -> None:
    if part.is_dir():
        logger.info("%s: deleted, as the run that wrote it was killed", part)
        shutil.rmtree(part, ignore_errors=True)


def _is_stale(path: Path) -> bool:
    try:
        changed = max(each.stat().st_mtime for each in (path, *path.rglob("*")))
    except OSError:
        return False
    return time.time() - changed > _STALE_SECONDS
