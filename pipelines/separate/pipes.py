"""What comes through pipes, and what it is called."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.cli import UsageError

_STANDARD_INPUT = frozenset({"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})
_STDIN_NAME = "stdin"
# What a shell puts in the place of <(command).
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")


def is_standard_input(path: Path) -> bool:
    """Whether a path stands for standard input."""
    return str(path) in _STANDARD_INPUT


def is_pipe(path: Path) -> bool:
    """Whether a path can be read only once."""
    return is_standard_input(path) or path.is_fifo()


def called(path: Path) -> Path:
    """Name what comes through a pipe: standard input and ``<(command)`` have no name of their own.

    Returns:
        The path itself, if that is a name.
    """
    if is_standard_input(path):
        return Path(_STDIN_NAME)
    descriptor = _DESCRIPTOR.fullmatch(str(path)) if path.is_fifo() else None
    return Path(f"pipe{descriptor[1]}") if descriptor else path


def check_standard_input(paths: Sequence[Path]) -> None:
    """Refuse to read standard input twice, or from a terminal.

    Args:
        paths: all that is to be read.

    Raises:
        ValueError: naming what is wrong.
    """
    num_streams = sum(map(is_standard_input, paths))
    if num_streams > 1:
        raise UsageError(
            f"standard input is named {num_streams} times, and can be read once; name files instead"
        )
    if num_streams and (sys.stdin is None or sys.stdin.isatty()):
        raise UsageError(
            "standard input is a terminal or closed; pipe a recording into it, as in "
            "ffmpeg -i FILE -f wav - | uss-separate -"
        )
