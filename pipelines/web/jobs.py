"""Work that tells how far it is, and that can be given up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from uss.core.errors import InputError

T = TypeVar("T")

WAITING = "waiting"
"""The stage of a job that has not begun."""

_PATIENCE_SECONDS = 0.2


class GivenUpError(Exception):
    """Ends work that nobody waits for any more."""


@dataclass(frozen=True)
class Update:
    """How far work is.

    Attributes:
        stage: what is done now.
        fraction: of the stage, 0 to 1; None where nobody knows.
        num_before: jobs that are done before.
    """

    stage: str
    fraction: float | None = None
    num_before: int = 0


class Told:
    """What work is told by, and tells; see ``uss.results.progress.Progress``.

    Attributes:
        duration_seconds: of the recording; None while it is not known.
    """

    def __init__(self) -> None:
        self.duration_seconds: float | None = None
        self._stop = threading.Event()
        self._stage, self._done, self._total = WAITING, 0.0, 0.0

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

    @property
    def is_stopped(self) -> bool:
        """Whether nobody waits any more."""
        return self._stop.is_set()

    def check(self) -> None:
        """End here if nobody waits any more.

        Raises:
            GivenUpError: if so.
        """
        if self.is_stopped:
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

    Args:
        max_waiting: jobs beside the one that is done.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="uss-web-worker")
        self._lock = threading.Lock()
        self._jobs: list[Told] = []

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        for told in list(self._jobs):
            told.stop()
        self._thread.shutdown(cancel_futures=True)

    def watched(
        self, work: Callable[[Told], T], told: Told | None = None
    ) -> Generator[Update, None, T]:
        """Do work, and say from time to time how far it is.

        Whoever stops ``told``, or closes the generator, gives up the work, and need not wait for
        its end.

        Args:
            work: what is done; it is given what to tell.
            told: what it is given; None if nobody but the generator needs it.

        Yields:
            How far it is, some times a second.

        Returns:
            What the work returned; what it raised is raised.

        Raises:
            GivenUpError: if it was stopped.
            ValueError: if too many jobs wait.
        """
        told = told or Told()
        job = self._submit(work, told)
        try:
            while not job.done():
                told.check()
                yield self._update(told)
                wait([job], _PATIENCE_SECONDS)
            return job.result()
        finally:
            told.stop()
            job.cancel()

    def _submit(self, work: Callable[[Told], T], told: Told) -> Future[T]:
        with self._lock:
            if len(self._jobs) > self._max_waiting:
                raise InputError(
                    f"{self._max_waiting} jobs are waiting, as many as may; try again in a while"
                )
            self._jobs.append(told)
            job = self._thread.submit(_begun, work, told)
        job.add_done_callback(lambda _: self._jobs.remove(told))
        return job

    def _update(self, told: Told) -> Update:
        update = told.update
        if update.stage != WAITING:
            return update
        with suppress(ValueError):
            return replace(update, num_before=self._jobs.index(told))
        return update


def _begun(work: Callable[[Told], T], told: Told) -> T:
    told.check()
    return work(told)
