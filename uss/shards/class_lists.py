"""Which classes each of many anchors has: short lists in two flat arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uss.core.arrays import Bools, Indexes


@dataclass(frozen=True)
class ClassLists:
    """N lists of class indexes, ascending; ten bytes an anchor where a row of booleans takes 527.

    Attributes:
        offsets: (N + 1,) int64; the list of anchor n is ``classes[offsets[n]:offsets[n + 1]]``.
        classes: (M,) int16.
        num_classes: K.
    """

    offsets: Indexes
    classes: NDArray[np.int16]
    num_classes: int

    @classmethod
    def of(cls, dense: Bools) -> ClassLists:
        """Take the lists from (N, K) bool."""
        rows, classes = np.nonzero(dense)
        counts = np.bincount(rows, minlength=len(dense))
        return cls(_offsets(counts), classes.astype(np.int16), dense.shape[1])

    @classmethod
    def counted(
        cls, counts: NDArray[Any], classes: NDArray[np.int16], num_classes: int
    ) -> ClassLists:
        """Cut (M,) classes into lists of the given lengths."""
        return cls(_offsets(counts), classes, num_classes)

    @classmethod
    def joined(cls, lists: Sequence[ClassLists]) -> ClassLists:
        """Append lists to each other."""
        counts = np.concatenate([each.counts for each in lists])
        classes = np.concatenate([each.classes for each in lists])
        return cls(_offsets(counts), classes, lists[0].num_classes)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[np.int16]:
        return self.classes[self.offsets[row] : self.offsets[row + 1]]

    @property
    def counts(self) -> Indexes:
        """(N,) how long each list is."""
        return np.diff(self.offsets)

    @property
    def rows(self) -> Indexes:
        """(M,) the anchor that each entry of ``classes`` belongs to."""
        return np.repeat(np.arange(len(self)), self.counts)

    def entries_of(self, rows: Indexes) -> Indexes:
        """Find the entries of ``classes`` that belong to some anchors, in the order of these."""
        counts = self.counts[rows]
        starts = np.repeat(self.offsets[rows] - (_offsets(counts)[:-1]), counts)
        return starts + np.arange(int(counts.sum()))

    def taken(self, rows: Indexes) -> ClassLists:
        """Take the lists of some anchors."""
        return ClassLists(
            _offsets(self.counts[rows]), self.classes[self.entries_of(rows)], self.num_classes
        )

    def united(self, other: ClassLists) -> ClassLists:
        """List what is in this or in the other, for each anchor."""
        own = self.rows * self.num_classes + self.classes
        others = other.rows * self.num_classes + other.classes
        if len(own):
            place = np.minimum(np.searchsorted(own, others), len(own) - 1)
            others = others[own[place] != others]
        # Two ascending runs, which a stable sort merges.
        keys = np.concatenate([own, others])
        keys.sort(kind="stable")
        rows, classes = np.divmod(keys, self.num_classes)
        counts = np.bincount(rows, minlength=len(self))
        return ClassLists(_offsets(counts), classes.astype(np.int16), self.num_classes)

    def dense(self) -> Bools:
        """Write the lists as (N, K) bool."""
        dense: Bools = np.zeros((len(self), self.num_classes), bool)
        dense[self.rows, self.classes] = True
        return dense

    def present(self) -> list[int]:
        """Name the classes that any anchor has, ascending."""
        counts = np.bincount(self.classes, minlength=self.num_classes)
        return [int(index) for index in np.flatnonzero(counts)]

    def rows_of_classes(self) -> dict[int, Indexes]:
        """List the anchors of each class that is present, both ascending."""
        return rows_of_classes(self.classes, self.rows)


def rows_of_classes(
    classes: NDArray[Any], rows: Indexes | None = None
) -> dict[int, NDArray[np.int64]]:
    """Group rows by class: class -> its rows, both ascending.

    Args:
        classes: (M,) class indexes.
        rows: (M,) ascending; None for 0 to M - 1.
    """
    order = np.argsort(classes, kind="stable")
    indexes, starts = np.unique(classes[order], return_index=True)
    ordered = order if rows is None else rows[order]
    parts = np.split(ordered, starts[1:])
    return dict(zip(indexes.tolist(), parts, strict=False))


def _offsets(counts: NDArray[Any]) -> Indexes:
    offsets: Indexes = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets
