"""Giving freed memory back to the system."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from functools import cache

_MIN_SECONDS = 0.3
_last_time = -_MIN_SECONDS


def return_freed_memory() -> None:
    """Let the C library hand back what is free, at most every 0.3 s.

    Blocks of many sizes that live for different times leave gaps, which glibc keeps: in an hour
    they grow to hundreds of megabytes. Other C libraries need no help, or offer none.
    """
    global _last_time
    trim = _malloc_trim()
    if trim is not None and time.monotonic() - _last_time >= _MIN_SECONDS:
        trim(0)
        _last_time = time.monotonic()


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
