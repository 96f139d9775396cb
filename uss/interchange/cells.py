"""Names and numbers as cells of the files of other programs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from uss.core.errors import InputError
from uss.core.pictures import printable

_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]+")


def plain(text: str) -> str:
    """Bring a name into one line of what every program can show.

    Tabs, line breaks and control characters become a blank; what is no Unicode is replaced.
    """
    return _BREAKS.sub(" ", printable(text)).strip() or "unnamed"


def unquoted(text: str) -> str:
    """Replace the double quotes of a cell, which some readers of tables take for its borders."""
    return text.replace('"', "'")


def rows_of(text: str) -> Sequence[tuple[int, str]]:
    """Number the lines that are not blank, from 1."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [(number, line) for number, line in enumerate(lines, 1) if line.strip()]


def seconds_in(cell: str, what: str) -> float:
    """Read a time.

    Args:
        cell: what stands for it.
        what: where it stands, for the message.

    Raises:
        ValueError: if it is no time.
    """
    try:
        seconds = float(cell)
    except ValueError:
        seconds = float("nan")
    if not 0.0 <= seconds < float("inf"):
        raise InputError(f"{what}: {cell!r} is no time in seconds; correct it")
    return seconds


def number_in(cell: str | None) -> float | None:
    """Read a number that may be missing."""
    try:
        return float(cell) if cell else None
    except ValueError:
        return None


def span_of(start: float, end: float, what: str) -> tuple[float, float]:
    """Check that a span holds something.

    Raises:
        ValueError: if it ends before it begins.
    """
    if end < start:
        raise InputError(f"{what}: a span from {start:g} to {end:g} s holds nothing; correct it")
    return start, end
