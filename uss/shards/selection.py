"""Which anchors of a set are used: the pure ones, and of each class the purest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uss.core.arrays import Bools, Float32
from uss.core.errors import InputError


@dataclass(frozen=True)
class Selection:
    """What is left out. Nothing is deleted: another selection of the same shards is free.

    Attributes:
        min_purity: anchors of less are left out, see ``uss.shards.purity``.
        keep_top: of each class only so many, the purest; None for all.
    """

    min_purity: float = 0.0
    keep_top: int | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0.0 <= self.min_purity <= 1.0:
            raise InputError(f"a purity of at least {self.min_purity}; choose 0 to 1")
        if self.keep_top is not None and self.keep_top < 1:
            raise InputError(f"the {self.keep_top} purest anchors per class; choose 1 or more")

    def __bool__(self) -> bool:
        return self.min_purity > 0.0 or self.keep_top is not None

    def changed(self, min_purity: float | None, keep_top: int | None) -> Selection:
        """Replace what is given; a ``keep_top`` of 0 is all."""
        return Selection(
            self.min_purity if min_purity is None else min_purity,
            self.keep_top if keep_top is None else keep_top or None,
        )

    def kept(self, class_index: NDArray[np.integer], purity: Float32) -> Bools:
        """Decide which anchors are used; of equally pure ones the first are.

        Args:
            class_index: (N,).
            purity: (N,).

        Returns:
            (N,) bool.
        """
        kept: Bools = purity >= self.min_purity
        if self.keep_top is not None:
            # By class, then by falling purity; lexsort is stable, so equal ones keep their order.
            order = np.lexsort((-purity, class_index))
            ordered = class_index[order]
            first = np.searchsorted(ordered, ordered, side="left")
            rank = np.arange(len(order)) - first
            top = np.zeros(len(order), bool)
            top[order[rank < self.keep_top]] = True
            kept &= top
        return kept
