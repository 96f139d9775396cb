"""Which classes are active in an anchor, and which anchors may be mixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ontology import Ontology
from uss.core.arrays import Bools, Float32
from uss.shards import ClassLists

Disjointness = Literal["specific", "any", "none"]

_ROWS_PER_BLOCK = 65_536
_WORD_BITS = 64


@dataclass(frozen=True)
class BitRows:
    """(N, K) bool in an eighth of the memory, indexed as such an array.

    Attributes:
        words: (N, W) uint64, the bits of each row.
        num_classes: K.
    """

    words: NDArray[np.uint64]
    num_classes: int

    def __getitem__(self, key: Any) -> Any:
        """Unpack rows, ``bits[rows]``: (..., K); or single bits, ``bits[row, column]``."""
        rows, column = key if isinstance(key, tuple) else (key, None)
        packed = np.ascontiguousarray(self.words[rows]).view(np.uint8)
        unpacked = np.unpackbits(packed, axis=-1)[..., : self.num_classes].astype(bool)
        return unpacked if column is None else unpacked[..., column]


@dataclass(frozen=True)
class ActiveClasses:
    """Which classes are active in each anchor, by its labels and its tags.

    Attributes:
        active: (N, K) bits.
        specific: (N, K) bits, what must not be active in a neighbour: all of ``active``, or only
            those without a more specific active class.
    """

    active: BitRows
    specific: BitRows

    @classmethod
    def of(
        cls,
        labels: Bools,
        tag_probabilities: Float32,
        threshold: float,
        ontology: Ontology,
        disjoint: Disjointness,
    ) -> ActiveClasses:
        """Combine labels and thresholded tags; see ``of_lists``.

        Args:
            labels: (N, K).
            tag_probabilities: (N, K).
            threshold: theta of Algorithm 1, the same for all classes.
            ontology: says which class lies below which.
            disjoint: the rule.
        """
        active = labels | (tag_probabilities > threshold)
        return cls.of_lists(ClassLists.of(active), ontology, disjoint)

    @classmethod
    def of_lists(
        cls, active: ClassLists, ontology: Ontology, disjoint: Disjointness
    ) -> ActiveClasses:
        """Apply a rule of disjointness.

        With ``any`` two anchors are disjoint if they share no active class, as in the paper. With
        ``specific`` active classes pass to their ancestors, and two anchors are disjoint if
        neither's most specific classes are active in the other: dog and cat are, although both
        are animals; dog and "Animal" are not. With ``none`` all anchors are.

        Args:
            active: the classes that labels or tags find in each anchor.
            ontology: says which class lies below which.
            disjoint: the rule.
        """
        num_classes = active.num_classes
        own = _pack(np.eye(num_classes, dtype=bool))
        itself = _united(own, active)
        if disjoint == "none":
            return cls(BitRows(itself, num_classes), BitRows(np.zeros_like(itself), num_classes))
        if disjoint == "any":
            return cls(BitRows(itself, num_classes), BitRows(itself, num_classes))
        above = _united(_pack(_ancestor_matrix(ontology)), active)
        specific = itself & ~above
        itself |= above
        return cls(BitRows(itself, num_classes), BitRows(specific, num_classes))

    def conflict(self, first: int, second: int) -> bool:
        """Whether two anchors must not be mixed."""
        active, specific = self.active.words, self.specific.words
        return bool(
            (specific[first] & active[second]).any() or (active[first] & specific[second]).any()
        )


def _pack(dense: Bools) -> NDArray[np.uint64]:
    """Pack (N, K) bool into (N, W) words."""
    padded = np.pad(dense, ((0, 0), (0, -dense.shape[1] % _WORD_BITS)))
    return np.packbits(padded, axis=1).view(np.uint64)


def _united(masks: NDArray[np.uint64], lists: ClassLists) -> NDArray[np.uint64]:
    """Unite (K, W) masks of classes over the classes of each list: (N, W)."""
    united = np.zeros((len(lists), masks.shape[1]), np.uint64)
    for start in range(0, len(lists), _ROWS_PER_BLOCK):
        offsets = lists.offsets[start : start + _ROWS_PER_BLOCK + 1]
        some = masks[lists.classes[offsets[0] : offsets[-1]]]
        # An empty list would take what comes after it.
        filled = np.flatnonzero(np.diff(offsets))
        if len(filled):
            pieces = np.bitwise_or.reduceat(some, offsets[filled] - offsets[0], axis=0)
            united[start + filled] = pieces
    return united


def _ancestor_matrix(ontology: Ontology) -> Bools:
    """(K, K): whether the column's class lies above the row's."""
    matrix: Bools = np.zeros((len(ontology.classes), len(ontology.classes)), bool)
    for node in ontology.classes:
        for ancestor in ontology.ancestors(node):
            if ancestor.class_index is not None:
                matrix[node.class_index, ancestor.class_index] = True
    return matrix
