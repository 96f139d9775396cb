"""Where the page keeps recordings and results, and for how long."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from uss.audio import safe_file_name
from uss.core.errors import InputError

_SOURCE = "recording"


class Shelf:
    """Folders with names that nobody can guess, each of one recording.

    Uploads lie beside them, where the server puts them, and go by the same rule.

    Args:
        root: holds all of it, and nothing else.
        keep_seconds: how long something stays after it was last used.
    """

    def __init__(self, root: Path, keep_seconds: float) -> None:
        self.root = root.resolve()
        self.keep_seconds = keep_seconds
        self._in_use: Counter[Path] = Counter()
        self._lock = threading.Lock()

    def take(self, upload: str | Path) -> str:
        """Put an uploaded file into a folder of its own.

        Returns:
            The name of the folder, which whoever knows it may use.

        Raises:
            OSError: if it cannot be copied.
            ValueError: if it is no upload.
        """
        path = Path(upload).resolve()
        if not path.is_relative_to(self.root) or not path.is_file():
            raise InputError("there is no such upload any more; upload the recording again")
        token = secrets.token_urlsafe(16)
        source = self.root / token / _SOURCE
        source.mkdir(parents=True)
        target = source / safe_file_name(path.name)
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)
        return token

    def folder(self, token: str) -> Path:
        """Find the folder of a recording.

        Raises:
            ValueError: if it is not there, or not any more.
        """
        folder = self.root / safe_file_name(token)
        if not token or not (folder / _SOURCE).is_dir():
            raise InputError(
                f"the recording is not here any more: files are deleted {self.keep_seconds / 60:g} "
                "minutes after their last use; upload it again"
            )
        return folder

    def source(self, token: str) -> Path:
        """Find the recording itself.

        Raises:
            ValueError: as ``folder``.
        """
        return next((self.folder(token) / _SOURCE).iterdir())

    @contextmanager
    def using(self, token: str) -> Iterator[Path]:
        """Keep a recording's folder in the block; its time begins anew after it.

        Raises:
            ValueError: as ``folder``.
        """
        with self._lock:
            folder = self.folder(token)
            self._in_use[folder] += 1
        try:
            yield folder
        finally:
            with self._lock:
                self._in_use[folder] -= 1
                os.utime(folder)

    def remove(self, token: str) -> None:
        """Forget a recording of which nothing was made."""
        with suppress(InputError):
            shutil.rmtree(self.folder(token), ignore_errors=True)

    def sweep(self, now: float | None = None) -> None:
        """Delete what was not used for too long.

        Args:
            now: in seconds since the epoch; the present if None.
        """
        oldest = (time.time() if now is None else now) - self.keep_seconds
        for entry in list(self.root.iterdir()):
            with self._lock, suppress(FileNotFoundError):
                if self._in_use[entry] == 0 and entry.stat().st_mtime < oldest:
                    del self._in_use[entry]
                    if entry.is_dir():
                        shutil.rmtree(entry, ignore_errors=True)
                    else:
                        entry.unlink()

    @contextmanager
    def sweeping(self) -> Iterator[None]:
        """Sweep from time to time in the block, and delete everything after it."""
        ended = threading.Event()

        def sweep() -> None:
            while not ended.wait(min(60.0, self.keep_seconds / 4.0)):
                self.sweep()

        thread = threading.Thread(target=sweep, name="uss-web-sweep", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            shutil.rmtree(self.root, ignore_errors=True)
