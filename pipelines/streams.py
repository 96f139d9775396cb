"""Standard streams that may be closed, full, or of a terminal that is gone."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress


def open_standard_streams() -> None:
    """Give a program that was started with closed streams some that lead nowhere.

    Else the first file that it opens, such as a stem, would get the number of standard error, and
    all that libraries say there.
    """
    if os.name == "posix":
        for number in range(3):
            try:
                os.fstat(number)
            except OSError:
                # The system gives the lowest number that is free.
                os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()


def say(text: str) -> None:
    """Print a result, unless what reads it (such as ``head``) has gone; the files count."""
    try:
        print(text, flush=True)
    except (OSError, ValueError):
        sys.stdout = _nowhere()


def complain(text: str) -> None:
    """Print what is wrong, unless standard error has gone."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        sys.stderr = _nowhere()


class Unbreakable(io.TextIOBase):
    """Standard error for progress bars, which are not worth an error; it may be gone any time."""

    def write(self, text: str) -> int:
        """Write, or forget it."""
        try:
            return sys.stderr.write(text)
        except (OSError, ValueError):
            return len(text)

    def flush(self) -> None:
        """Flush, or do not."""
        with suppress(OSError, ValueError):
            sys.stderr.flush()

    def isatty(self) -> bool:
        """Whether somebody sees it."""
        return not sys.stderr.closed and sys.stderr.isatty()

    def fileno(self) -> int:
        """The number of the real stream, which tells how wide it is."""
        return sys.stderr.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the real stream."""
        return sys.stderr.encoding


def _nowhere() -> io.TextIOWrapper:
    return open(os.devnull, "w", encoding="utf-8", errors="backslashreplace")
