"""How much memory is free, and whether it is enough."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from uss.core.errors import InputError

_SYSTEM = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")
_GIB = 1024**3


def available_bytes() -> int | None:
    """Tell what programs can still have: of the system, and of a container; None if unknown."""
    found = [each for each in (_of_system(), _of_group()) if each is not None]
    return min(found, default=None)


def check_memory(needed_bytes: int, what: str) -> None:
    """Refuse before the work what memory has no room for, where it is known how much there is.

    Raises:
        ValueError: naming what needs it, and how much is free.
    """
    free = available_bytes()
    if free is not None and needed_bytes > free:
        raise _too_little(f"{what} needs {_shown(needed_bytes)}, {_shown(free)} are free")


@contextmanager
def told_of_memory(what: str) -> Iterator[None]:
    """Say in a line that memory ran out, where a library says it in its own ways.

    Raises:
        ValueError: instead of its error.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _too_little(f"there is no room for {what}") from error
    except RuntimeError as error:
        # Of the allocator on a CPU, which has no class of its own.
        if "allocate memory" not in str(error):
            raise
        raise _too_little(f"there is no room for {what}") from error


def _too_little(said: str) -> InputError:
    return InputError(f"too little memory: {said}; end other programs, or use another machine")


def _shown(num_bytes: int) -> str:
    return f"{num_bytes / _GIB:.1f} GiB"


def _of_system() -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in _SYSTEM.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return None


def _of_group() -> int | None:
    """Of a control group of version 2; pages of files do not count, as they can be dropped."""
    with suppress(OSError, ValueError):
        limit = (_GROUP / "memory.max").read_text("ascii").strip()
        used = int((_GROUP / "memory.current").read_text("ascii"))
        kept = dict(
            line.split() for line in (_GROUP / "memory.stat").read_text("ascii").splitlines()
        )
        return None if limit == "max" else int(limit) - used + int(kept.get("inactive_file", 0))
    return None
