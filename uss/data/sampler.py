"""Balanced sampling of disjoint anchors (Algorithm 1, steps 1 and 3)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ontology import Ontology
from uss.core.arrays import Bools, Float32, Indexes
from uss.core.errors import InputError

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

    active: Bools
    specific: Bools

    @classmethod
    def of(
        cls,
        labels: Bools,
        tag_probabilities: Float32,
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


class MixtureSampler(ABC):
    """Draws which anchors are mixed; batch n depends on the arguments alone.

    Args:
        batch_size: B.
        num_sources: J, how many anchors a mixture holds.
        seed, rank, world_size: batch n is a pure function of (seed, n, rank, world size).

    Raises:
        ValueError: if ``num_sources`` is less than 2.
    """

    def __init__(
        self, batch_size: int, num_sources: int, *, seed: int, rank: int, world_size: int
    ) -> None:
        if num_sources < 2:
            raise InputError(f"{num_sources} sources are no mixture; use 2 or more")
        self.batch_size = batch_size
        self.num_sources = num_sources
        self.key = (seed, rank, world_size)

    def generator(self, n: int) -> np.random.Generator:
        """Return the generator for everything random about batch n."""
        seed, rank, world_size = self.key
        return np.random.default_rng([seed, n, rank, world_size])

    @abstractmethod
    def rows(self, rng: np.random.Generator) -> Indexes:
        """Draw a batch.

        Returns:
            (B, J) anchor rows; each row of it is one mixture, the target's sources first.

        Raises:
            ValueError: if the anchors allow no such batch.
        """


class BalancedSampler(MixtureSampler):
    """Mixes anchors of distinct classes with the next ones of a ring (Algorithm 1).

    The batch is a ring of B anchors; mixture i holds anchors i to i + J - 1 of it, and any J
    consecutive ones are pairwise disjoint.

    Args:
        class_index: (N,) the class of each anchor.
        classes: decides which anchors may be mixed.
        batch_size: B.
        num_sources: J.
        seed, rank, world_size: see ``MixtureSampler``.

    Raises:
        ValueError: if there are fewer classes than B, or B is less than J.
    """

    def __init__(
        self,
        class_index: Indexes,
        classes: ActiveClasses,
        batch_size: int,
        *,
        num_sources: int = 2,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(batch_size, num_sources, seed=seed, rank=rank, world_size=world_size)
        # Classes without anchors are simply not drawn.
        self.rows_of_class = [
            np.flatnonzero(class_index == index) for index in np.unique(class_index)
        ]
        num_classes = len(self.rows_of_class)
        if num_classes < num_sources:
            raise InputError(
                f"a mixture of {num_sources} sources needs as many classes, and the shards hold "
                f"{num_classes}; mine clips of more classes, or mix sounds of one clip (partners: "
                "same-clip)"
            )
        if batch_size < num_sources:
            raise InputError(
                f"a batch of {batch_size} cannot be mixed from {num_sources} sources each; use "
                f"{num_sources} or more"
            )
        if num_classes < batch_size:
            raise InputError(
                f"a batch of {batch_size} needs as many classes, the shards hold {num_classes}; "
                "use a batch size of at most that"
            )
        self.classes = classes

    def rows(self, rng: np.random.Generator) -> Indexes:
        """Draw a ring of disjoint anchors; see ``MixtureSampler``."""
        for _ in range(_MAX_DRAWS):
            chosen = rng.choice(len(self.rows_of_class), self.batch_size, replace=False)
            rows = np.array([rng.choice(self.rows_of_class[index]) for index in chosen])
            for _ in range(_MAX_ORDERS):
                ring = self._ring(rng.permutation(rows).tolist())
                if ring is not None:
                    shifted = [np.roll(ring, -source) for source in range(self.num_sources)]
                    return np.stack(shifted, axis=1)
        fewer_sources = "fewer sources, " if self.num_sources > 2 else ""
        raise InputError(
            f"found no batch of {self.batch_size} anchors of which any {self.num_sources} "
            f"neighbours share no active class; use {fewer_sources}a smaller batch, a higher tag "
            "threshold or another rule of disjointness"
        )

    def _ring(self, rows: list[int]) -> list[int] | None:
        """Order rows greedily so that no J neighbours conflict; None if it gets stuck."""
        reach = self.num_sources - 1
        ring, rest = [rows[0]], rows[1:]
        while rest:
            following = next((row for row in rest if self._fits(row, ring[-reach:])), None)
            if following is None:
                return None
            ring.append(following)
            rest.remove(following)
        # Where the ring closes its last anchors meet its first ones.
        closes = all(
            self._fits(ring[-back], ring[: reach + 1 - back]) for back in range(1, reach + 1)
        )
        return ring if closes else None

    def _fits(self, row: int, neighbours: list[int]) -> bool:
        return not any(self.classes.conflict(neighbour, row) for neighbour in neighbours)


class SameClipSampler(MixtureSampler):
    """Mixes anchors of one clip and class with each other (in-clip, section 4.6.5).

    A class is drawn uniformly, without replacement within a batch, then one of its clips, then J
    of the clip's anchors for the class. Classes none of whose clips has J anchors are not drawn.

    Args:
        class_index: (N,) the class of each anchor.
        clip_id: (N,) its clip.
        batch_size: B.
        num_sources: J.
        seed, rank, world_size: see ``MixtureSampler``.

    Raises:
        ValueError: if fewer classes than B have a clip with J anchors.
    """

    def __init__(
        self,
        class_index: Indexes,
        clip_id: NDArray[np.object_],
        batch_size: int,
        *,
        num_sources: int = 2,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(batch_size, num_sources, seed=seed, rank=rank, world_size=world_size)
        rows_of: dict[int, dict[str, list[int]]] = {}
        for row, (index, clip) in enumerate(zip(class_index.tolist(), clip_id, strict=True)):
            rows_of.setdefault(index, {}).setdefault(clip, []).append(row)
        groups_of = {
            index: [rows for rows in clips.values() if len(rows) >= num_sources]
            for index, clips in sorted(rows_of.items())
        }
        self.clips_of_class = [groups for groups in groups_of.values() if groups]
        if len(self.clips_of_class) < batch_size:
            smaller = "use a smaller batch, or " if self.clips_of_class else ""
            raise InputError(
                f"a batch of {batch_size} needs as many classes with a clip of {num_sources} "
                f"anchors, the shards hold {len(self.clips_of_class)}; {smaller}"
                f"mine with --strategy in-clip-random --anchors-per-clip {num_sources}"
            )

    def rows(self, rng: np.random.Generator) -> Indexes:
        """Draw classes, clips and their anchors; see ``MixtureSampler``."""
        drawn = []
        for index in rng.choice(len(self.clips_of_class), self.batch_size, replace=False):
            clips = self.clips_of_class[index]
            drawn.append(
                rng.choice(clips[rng.integers(len(clips))], self.num_sources, replace=False)
            )
        return np.stack(drawn)


def _ancestor_matrix(ontology: Ontology) -> Float32:
    """(K, K): 1 where the column's class lies above the row's."""
    matrix = np.zeros((len(ontology.classes), len(ontology.classes)), np.float32)
    for node in ontology.classes:
        for ancestor in ontology.ancestors(node):
            if ancestor.class_index is not None:
                matrix[node.class_index, ancestor.class_index] = 1.0
    return matrix
