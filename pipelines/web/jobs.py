"""Work that tells how far it is, and that can be given up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

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


@dataclass
class _Ending(Generic[T]):
    """How work ended."""

    value: T | None = None
    error: BaseException | None = None


def watched(work: Callable[[Told], T]) -> Generator[Update, None, T]:
    """Do work in a thread, and say from time to time how far it is.

    Whoever closes the generator gives up the work; nobody need wait for its end.

    Args:
        work: what is done; it is given what to tell.

    Yields:
        How far it is, some times a second.

    Returns:
        What the work returned; what it raised is raised.
    """
    told, ending = Told(), _Ending[T]()

    def run() -> None:
        try:
            ending.value = work(told)
        except BaseException as error:
            ending.error = error

    thread = threading.Thread(target=run, name="uss-web-job", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            yield told.update
            thread.join(_PATIENCE_SECONDS)
    finally:
        told.stop()
    if ending.error is not None:
        raise ending.error
    return ending.value  # type: ignore[return-value]
