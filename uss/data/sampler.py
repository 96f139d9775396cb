"""Balanced sampling of disjoint anchors (Algorithm 1, steps 1 and 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ontology import Ontology

Disjointness = Literal["specific", "any", "none"]

_MAX_DRAWS = 100
_MAX_ORDERS = 20


@dataclass(frozen=True)
class ActiveClasses:
    """Which classes are active in each anchor, by its labels and its tags.

    Attributes:
        active: (N, K) bool.
        specific: (N, K) bool, what must not be active in a neighbour: all of ``active``, or only
            those without a more specific active class.
    """

    active: NDArray[np.bool_]
    specific: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        labels: NDArray[np.bool_],
        tag_probabilities: NDArray[np.float32],
        threshold: float,
        ontology: Ontology,
        disjoint: Disjointness,
    ) -> ActiveClasses:
        """Combine labels and thresholded tags.

        With ``any`` two anchors are disjoint if they share no active class, as in the paper. With
        ``specific`` active classes pass to their ancestors, and two anchors are disjoint if
        neither's most specific classes are active in the other: dog and cat are, although both
        are animals; dog and "Animal" are not. With ``none`` all anchors are.

        Args:
            labels: (N, K).
            tag_probabilities: (N, K).
            threshold: theta of Algorithm 1, the same for all classes.
            ontology: says which class lies below which.
            disjoint: the rule.
        """
        active = labels | (tag_probabilities > threshold)
        if disjoint == "none":
            return cls(active, np.zeros_like(active))
        if disjoint == "any":
            return cls(active, active)
        above = _ancestor_matrix(ontology)
        ancestors = (active.astype(np.float32) @ above) > 0.0
        return cls(active | ancestors, active & ~ancestors)

    def conflict(self, first: int, second: int) -> bool:
        """Whether two anchors must not be mixed."""
        return bool(
            (self.specific[first] & self.active[second]).any()
            or (self.active[first] & self.specific[second]).any()
        )


class BalancedSampler:
    """Draws batches of anchors of distinct classes; batch n depends on the arguments alone.

    Args:
        class_index: (N,) the class of each anchor.
        classes: decides which anchors may be neighbours.
        batch_size: B.
        seed, rank, world_size: batch n is a pure function of (seed, n, rank, world size).

    Raises:
        ValueError: if there are fewer classes than B, or ``batch_size`` is less than 2.
    """

    def __init__(
        self,
        class_index: NDArray[np.int64],
        classes: ActiveClasses,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if batch_size < 2:
            raise ValueError(f"a batch of {batch_size} cannot be mixed; use 2 or more")
        # Classes without anchors are simply not drawn.
        self.rows_of_class = [
            np.flatnonzero(class_index == index) for index in np.unique(class_index)
        ]
        if len(self.rows_of_class) < batch_size:
            raise ValueError(
                f"a batch of {batch_size} needs as many classes, the shards hold "
                f"{len(self.rows_of_class)}; use a batch size of at most that"
            )
        self.classes = classes
        self.batch_size = batch_size
        self.key = (seed, rank, world_size)

    def generator(self, n: int) -> np.random.Generator:
        """Return the generator for everything random about batch n."""
        seed, rank, world_size = self.key
        return np.random.default_rng([seed, n, rank, world_size])

    def rows(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw a batch.

        Returns:
            (B,) anchor rows, ordered so that neighbours (also last and first) are disjoint.

        Raises:
            ValueError: if no disjoint batch is found.
        """
        for _ in range(_MAX_DRAWS):
            chosen = rng.choice(len(self.rows_of_class), self.batch_size, replace=False)
            rows = np.array([rng.choice(self.rows_of_class[index]) for index in chosen])
            for _ in range(_MAX_ORDERS):
                ring = self._ring(rng.permutation(rows).tolist())
                if ring is not None:
                    return np.array(ring)
        raise ValueError(
            f"found no batch of {self.batch_size} anchors whose neighbours share no active class; "
            "use a smaller batch, a higher tag threshold or another rule of disjointness"
        )

    def _ring(self, rows: list[int]) -> list[int] | None:
        """Order rows greedily so that neighbours do not conflict; None if it gets stuck."""
        ring, rest = [rows[0]], rows[1:]
        while rest:
            following = next(
                (row for row in rest if not self.classes.conflict(ring[-1], row)), None
            )
            if following is None:
                return None
            ring.append(following)
            rest.remove(following)
        return None if self.classes.conflict(ring[-1], ring[0]) else ring


def _ancestor_matrix(ontology: Ontology) -> NDArray[np.float32]:
    """(K, K): 1 where the column's class lies above the row's."""
    matrix = np.zeros((len(ontology.classes), len(ontology.classes)), np.float32)
    for node in ontology.classes:
        for ancestor in ontology.ancestors(node):
            if ancestor.class_index is not None:
                matrix[node.class_index, ancestor.class_index] = 1.0
    return matrix
