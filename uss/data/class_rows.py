"""Drawing anchors of a class, all alike or the purer ones more often."""

from __future__ import annotations

import numpy as np

from uss.core.arrays import Float32, Float64, Indexes
from uss.core.errors import InputError
from uss.shards import rows_of_classes


class ClassRows:
    """The anchors of each class that has any, as flat arrays.

    Args:
        class_index: (N,) the class of each anchor.
        weights: (N,) at least 0: how often each is drawn, of those of its class; None for all
            alike, as are those of a class of zeros.

    Attributes:
        class_indexes: the classes, ascending.
    """

    def __init__(self, class_index: Indexes, weights: Float32 | None = None) -> None:
        of_class = rows_of_classes(class_index)
        self.class_indexes = list(of_class)
        self._rows = list(of_class.values())
        self._ends: list[Float64] | None = None
        if weights is not None:
            self._ends = [_ends(weights[rows]) for rows in self._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Indexes:
        return self._rows[number]

    def draw(self, number: int, rng: np.random.Generator) -> int:
        """Draw an anchor of a class.

        Args:
            number: of the class in ``class_indexes``.
            rng: draws.
        """
        rows = self._rows[number]
        if self._ends is None:
            return int(rng.choice(rows))
        ends = self._ends[number]
        place = int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))
        return int(rows[min(place, len(rows) - 1)])


def purity_weights(purity: Float32, exponent: float) -> Float32 | None:
    """Weigh anchors by a power of their purity; None where all weigh the same.

    Raises:
        ValueError: if the exponent is negative.
    """
    if exponent < 0.0:
        raise InputError(f"purity_weight {exponent} would draw impure anchors; choose 0 or more")
    if exponent == 0.0:
        return None
    weights: Float32 = purity**exponent
    return weights


def _ends(weights: Float32) -> Float64:
    if not weights.any():
        weights = np.ones_like(weights)
    return np.cumsum(weights, dtype=np.float64)
