"""Computing the next items of an iterator while the present one is used."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from queue import Queue
from typing import TypeVar

_Item = TypeVar("_Item")

_MAX_WAITING = 4
_PATIENCE_SECONDS = 0.05


def read_ahead(items: Iterator[_Item]) -> Generator[_Item, None, None]:
    """Give the same items, which a thread computes; what it raises is raised here.

    Args:
        items: used by the thread alone; it is closed when this iterator is exhausted or closed.
    """
    queue: Queue[tuple[_Item | None, BaseException | None]] = Queue(_MAX_WAITING)
    stopped = threading.Event()

    def work() -> None:
        failure: BaseException | None = None
        try:
            for item in items:
                queue.put((item, None))
                if stopped.is_set():
                    break
            getattr(items, "close", lambda: None)()
        except BaseException as error:
            failure = error
        queue.put((None, failure))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            item, failure = queue.get()
            if failure is not None:
                raise failure
            if item is None:
                return
            yield item
    finally:
        stopped.set()
        while thread.is_alive():
            # It may be waiting for a place in the queue.
            while not queue.empty():
                queue.get_nowait()
            thread.join(_PATIENCE_SECONDS)
