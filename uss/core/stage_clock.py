"""Where the processor's time goes: seconds of threads, summed by the stage they work on."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class StageClock:
    """Sums the CPU seconds that any number of threads spend in each stage."""

    def __init__(self) -> None:
        self._seconds: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Count what the calling thread uses in the block; other threads' work is their own."""
        start = time.thread_time()
        try:
            yield
        finally:
            self.add({stage: time.thread_time() - start})

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add what was counted elsewhere, such as in another process."""
        with self._lock:
            self._seconds.update(seconds)

    @property
    def seconds(self) -> dict[str, float]:
        """CPU seconds per stage so far."""
        with self._lock:
            return dict(self._seconds)
