"""Cores that each work on a part of a batch, instead of all on one layer at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")

MOST = 4
"""More would make batches large; each then has several threads within its layers."""


class Lanes:
    """Threads that run a small network on parts of a batch, each with its share of the cores.

    The layers of a small network end before several threads have agreed to begin, most of all
    where other programs want the cores as well. Whole networks side by side need no agreement.

    Args:
        count: how many; 1 works in the thread that asks.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ThreadPoolExecutor | None = None

    @classmethod
    def on(cls, device: torch.device) -> Lanes:
        """As many as torch has threads there, up to ``MOST``; one on accelerators."""
        return cls(min(torch.get_num_threads(), MOST) if device.type == "cpu" else 1)

    def map(self, function: Callable[[_Part], _Result], parts: Sequence[_Part]) -> list[_Result]:
        """Call a function on each part, without gradients; results in the order of the parts.

        Raises:
            Exception: the first one that a call raises, when all have ended.
        """

        def run(part: _Part) -> _Result:
            with torch.inference_mode():
                return function(part)

        if self.count == 1 or len(parts) < 2:
            return [run(part) for part in parts]
        futures = [self._threads().submit(run, part) for part in parts]
        # All first: what waits for a part must not go on while others still run.
        failures = [future.exception() for future in futures]
        for failure in failures:
            if failure is not None:
                raise failure
        return [future.result() for future in futures]

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            num_threads = torch.get_num_threads()
            each = max(1, num_threads // self.count)
            self._pool = ThreadPoolExecutor(
                self.count, "lane", initializer=_take_share, initargs=(each,)
            )
            # What one thread sets counts for those that are started later, so all start now.
            started = threading.Barrier(self.count)
            for future in [self._pool.submit(started.wait) for _ in range(self.count)]:
                future.result()
            torch.set_num_threads(num_threads)
        return self._pool


def _take_share(num_threads: int) -> None:
    """Set this thread's share, which the first question in a thread would set to the common one."""
    torch.get_num_threads()
    torch.set_num_threads(num_threads)
