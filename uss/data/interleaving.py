"""Two kinds of batches in turn, such as anchors and captioned mixtures."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

from torch.utils.data import Dataset

from uss.core.errors import InputError


class Batches(Protocol):
    """Batches that are read by number, in any process, and mixed on the device."""

    def read(self, n: int) -> Any:
        """Draw batch n, and read what it holds."""
        ...

    def mix(self, read: Any) -> Any:
        """Mix what was read."""
        ...

    def close(self) -> None:
        """Let go of open files."""
        ...


class Turn(NamedTuple):
    """What was read, and of which kind it is."""

    is_first: bool
    batch: Any


class Interleaved(Dataset[Any]):
    """Batch n is one of the first kind or of the second, evenly in turn.

    Args:
        first: one kind.
        second: the other.
        ratio: how many of the batches are of the first kind, in [0, 1].

    Raises:
        ValueError: if the ratio is none.
    """

    def __init__(self, first: Batches, second: Batches, ratio: float) -> None:
        if not 0.0 <= ratio <= 1.0:
            raise InputError(f"anchor_ratio {ratio} is not in [0, 1]")
        self.first, self.second, self.ratio = first, second, ratio

    def __getitem__(self, n: int) -> Any:
        return self.mix(self.read(n))

    def is_first(self, n: int) -> bool:
        """Whether batch n is of the first kind."""
        return math.floor((n + 1) * self.ratio) > math.floor(n * self.ratio)

    def _of(self, n: int) -> Batches:
        return self.first if self.is_first(n) else self.second

    def read(self, n: int) -> Turn:
        """Read batch n of whichever kind it is."""
        return Turn(self.is_first(n), self._of(n).read(n))

    def mix(self, read: Turn) -> Any:
        """Mix what was read."""
        return (self.first if read.is_first else self.second).mix(read.batch)

    def close(self) -> None:
        """Let go of the files of both."""
        self.first.close()
        self.second.close()
