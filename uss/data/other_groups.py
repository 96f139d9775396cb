"""Class averages as inference has them: of other recordings than the one that is asked for.

At inference a class is asked for with the average of the training anchors (eq. 9), and what is
separated was never among them. Averages that hold the very anchor in question would promise a model
more than it will get.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ontology import Ontology
from uss.core.arrays import Float32, Indexes
from uss.shards import ClassLists, Rows, rows_of_classes, sample

_FEW_GROUPS = 3
_JITTER_OF_FEW = 0.15
_JITTER_OF_ONE = 0.3
_OWN_SHARE = (0.3, 1.0)
_MAX_BYTES = 1 << 30
_NO_GROUP = -1


class OtherGroupAverages:
    """Averages over random halves of a class's groups, without a given one.

    A class all of whose anchors are of that group is asked for with its own average, shrunk towards
    that of the class above it with the fewest groups. Where few groups are left, their average
    is jittered, as another draw of groups would be elsewhere.

    Of a class of very many groups so many are kept, evenly spread, that the averages of all classes
    take at most 1 GiB.

    Args:
        conditions: (N, H) of the anchors.
        labels: of the anchors.
        group: (N,) a number per group.
        ontology: says which class lies above which.

    Attributes:
        class_indexes: the classes that have an average, ascending.
    """

    def __init__(
        self, conditions: Rows, labels: ClassLists, group: NDArray[np.int32], ontology: Ontology
    ) -> None:
        self._ontology = ontology
        self._spread = sample(conditions).std(axis=0)
        self.class_indexes: Sequence[int] = labels.present()
        size = conditions.shape[1]
        most = max(1, _MAX_BYTES // (4 * max(1, size) * max(1, len(self.class_indexes))))
        # The groups of each class, and of each label of each anchor where its mean is summed up.
        self._groups: dict[int, NDArray[np.int32]] = {}
        slots = np.full(len(labels.classes), -1, np.int64)
        rows = labels.rows
        total = 0
        for index, entries in rows_of_classes(labels.classes).items():
            of_entries = group[rows[entries]]
            groups, place = _by_appearance(of_entries)
            kept = np.arange(len(groups))
            if len(groups) > most:
                kept = np.linspace(0, len(groups) - 1, most).round().astype(np.int64)
            slot_of = np.full(len(groups), -1, np.int64)
            slot_of[kept] = total + np.arange(len(kept))
            slots[entries] = slot_of[place]
            self._groups[index] = groups[kept]
            total += len(kept)
        means = _means(conditions, rows, slots, total)
        sizes = [len(groups) for groups in self._groups.values()]
        parts = np.split(means, np.cumsum(sizes)[:-1]) if sizes else []
        self._means: dict[int, Float32] = dict(zip(self._groups, parts, strict=True))

    @cached_property
    def above(self) -> dict[int, list[int]]:
        """The classes above each class that have an average, those of the fewest groups first."""
        return {
            index: sorted(
                (
                    node.class_index
                    for node in self._ontology.ancestors(self._ontology.classes[index])
                    if node.class_index in self._means
                ),
                key=lambda parent: len(self._means[parent]),
            )
            for index in self.class_indexes
        }

    @cached_property
    def at_or_below(self) -> dict[int, list[int]]:
        """The classes at or below each class that have an average."""
        below: dict[int, list[int]] = {index: [index] for index in self.class_indexes}
        for index, parents in self.above.items():
            for parent in parents:
                below[parent].append(index)
        return below

    def draw(self, class_index: int, group: int | None, rng: np.random.Generator) -> Float32:
        """Draw an average of a class, (H,) float32.

        Args:
            class_index: one of ``class_indexes``.
            group: what must not be in it; None if anything may.
            rng: chooses the groups, and draws the jitter.
        """
        others = self._others(class_index, group)
        if not len(others):
            return self._shrunk(class_index, group, rng)
        size = int(rng.integers(max(1, (len(others) + 1) // 2), len(others) + 1))
        chosen = rng.choice(len(others), size, replace=False)
        average = self._means[class_index][others[chosen]].mean(axis=0)
        if len(others) < _FEW_GROUPS:
            average = average + _JITTER_OF_FEW * self._noise(rng)
        drawn: Float32 = average.astype(np.float32)
        return drawn

    def _others(self, class_index: int, group: int | None) -> Indexes:
        """Find the places of a class's groups but one."""
        return np.flatnonzero(self._groups[class_index] != (_NO_GROUP if group is None else group))

    def _shrunk(self, class_index: int, group: int | None, rng: np.random.Generator) -> Float32:
        (average,) = self._means[class_index]
        has_others = (
            parent for parent in self.above[class_index] if len(self._others(parent, group))
        )
        parent = next(has_others, None)
        if parent is not None:
            share = rng.uniform(*_OWN_SHARE)
            average = share * average + (1.0 - share) * self.draw(parent, group, rng)
        drawn: Float32 = (average + _JITTER_OF_ONE * self._noise(rng)).astype(np.float32)
        return drawn

    def _noise(self, rng: np.random.Generator) -> Float32:
        noise: Float32 = rng.standard_normal(len(self._spread)).astype(np.float32)
        noise *= self._spread
        return noise


def _by_appearance(values: NDArray[np.int32]) -> tuple[NDArray[np.int32], Indexes]:
    """List different values in the order they appear in, and the place of each value there."""
    unique, first, back = np.unique(values, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(unique), np.int64)
    place[order] = np.arange(len(unique))
    return unique[order], place[back]


def _means(conditions: Rows, rows: Indexes, slots: Indexes, count: int) -> Float32:
    """Average conditions per slot: (count, H).

    Args:
        conditions: (N, H).
        rows: (M,) ascending rows of it.
        slots: (M,) where each goes; -1 for nowhere.
        count: of slots.
    """
    sums: Float32 = np.zeros((count, conditions.shape[1]), np.float32)
    numbers = np.bincount(slots[slots >= 0], minlength=count).astype(np.float32)
    for first, block in conditions.blocks():
        some = slice(*np.searchsorted(rows, [first, first + len(block)]))
        used = np.flatnonzero(slots[some] >= 0)
        np.add.at(sums, slots[some][used], block[rows[some][used] - first])
    sums /= numbers[:, None]
    return sums
