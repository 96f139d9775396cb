"""Many names in two flat arrays, which load at once and hold no Python object each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uss.core.arrays import Indexes


@dataclass(frozen=True)
class Names:
    """U different names.

    Attributes:
        offsets: (U + 1,) int64; name u is ``text[offsets[u]:offsets[u + 1]]``.
        text: UTF-8, uint8.
    """

    offsets: Indexes
    text: NDArray[np.uint8]

    @classmethod
    def of(cls, names: Sequence[str]) -> Names:
        """Store names."""
        encoded = [name.encode("utf-8", "surrogateescape") for name in names]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(name) for name in encoded], out=offsets[1:])
        return cls(offsets, np.frombuffer(b"".join(encoded), np.uint8))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, number: int) -> str:
        piece = self.text[self.offsets[number] : self.offsets[number + 1]]
        return piece.tobytes().decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return (self[number] for number in range(len(self)))

    def of_rows(self, numbers: NDArray[Any]) -> NDArray[np.object_]:
        """Write a name for each of many numbers, an object each."""
        names = np.empty(len(self), object)
        names[:] = list(self)
        of_rows: NDArray[np.object_] = names[numbers]
        return of_rows


class Numbering:
    """Numbers names by their first appearance."""

    def __init__(self) -> None:
        self._number_of: dict[str, int] = {}

    def __call__(self, names: Iterator[str] | Sequence[str]) -> NDArray[np.int32]:
        """Number each of some names; equal ones alike."""
        numbers = [self._number_of.setdefault(name, len(self._number_of)) for name in names]
        return np.array(numbers, np.int32)

    def names(self) -> Names:
        """Store all names that were numbered."""
        return Names.of(list(self._number_of))
