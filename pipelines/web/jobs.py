"""Work that tells how far it is, and that can be given up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_PATIENCE_SECONDS = 0.2


class GivenUpError(Exception):
    """Ends work that nobody waits for any more."""


@dataclass(frozen=True)
class Update:
    """How far work is.

    Attributes:
        stage: what is done now.
        fraction: of the stage, 0 to 1; None where nobody knows.
    """

    stage: str
    fraction: float | None = None


class Told:
    """What work is told by, and tells; see ``uss.results.progress.Progress``.

    Attributes:
        duration_seconds: of the recording; None while it is not known.
    """

    def __init__(self) -> None:
        self.duration_seconds: float | None = None
        self._stop = threading.Event()
        self._stage, self._done, self._total = "waiting", 0.0, 0.0

    @property
    def update(self) -> Update:
        """How far the work is."""
        if not self._total:
            return Update(self._stage)
        return Update(self._stage, min(1.0, self._done / self._total))

    def begin(self, stage: str, total: float | None = None) -> None:
        """Begin with something, of a known length or not."""
        self.check()
        self._stage, self._done, self._total = stage, 0.0, total or 0.0

    def advance(self, done: float) -> None:
        """Count what was done of it."""
        self.check()
        self._done += done

    def check(self) -> None:
        """End here if nobody waits any more.

        Raises:
            GivenUpError: if so.
        """
        if self._stop.is_set():
            raise GivenUpError

    def stop(self) -> None:
        """Give up the work: it ends when it next tells something."""
        self._stop.set()

    @contextmanager
    def listening(self, path: Path) -> Iterator[Callable[[float], object]]:
        """See ``Progress``."""
        self.begin("listening", self.duration_seconds)
        yield self.advance

    @contextmanager
    def separating(self, path: Path, num_pairs: int) -> Iterator[Callable[[int], object]]:
        """See ``Progress``."""
        self.begin("separating", num_pairs)
        yield self.advance


class Worker:
    """The one thread in which all jobs are done, in the order in which they come.

    Networks and cores are the same for all, and what libraries keep for each thread is kept once.
    Use it in a ``with`` block, which gives up what is not done at its end.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="uss-web-worker")
        self._told: set[Told] = set()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        for told in list(self._told):
            told.stop()
        self._thread.shutdown(cancel_futures=True)

    def watched(self, work: Callable[[Told], T]) -> Generator[Update, None, T]:
        """Do work, and say from time to time how far it is.

        Whoever closes the generator gives up the work, and need not wait for its end.

        Args:
            work: what is done; it is given what to tell.

        Yields:
            How far it is, some times a second.

        Returns:
            What the work returned; what it raised is raised.
        """
        told = Told()
        self._told.add(told)
        job = self._thread.submit(_begun, work, told)
        try:
            while not job.done():
                yield told.update
                wait([job], _PATIENCE_SECONDS)
            return job.result()
        finally:
            self._told.discard(told)
            told.stop()
            job.cancel()


def _begun(work: Callable[[Told], T], told: Told) -> T:
    told.check()
    return work(told)
