"""Balanced sampling of disjoint anchors (Algorithm 1, steps 1 and 3)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uss.core.arrays import Float32, Indexes
from uss.core.errors import InputError
from uss.data.active_classes import ActiveClasses
from uss.data.class_rows import ClassRows
from uss.shards import rows_of_classes

_MAX_DRAWS = 100
_MAX_ORDERS = 20


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
        weights: (N,) how often each anchor is drawn, of those of its class; None for all alike.
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
        weights: Float32 | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(batch_size, num_sources, seed=seed, rank=rank, world_size=world_size)
        # Classes without anchors are simply not drawn.
        self.rows_of_class = ClassRows(class_index, weights)
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
            rows = np.array([self.rows_of_class.draw(index, rng) for index in chosen])
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
        clip: (N,) its clip, by a number or a name.
        batch_size: B.
        num_sources: J.
        seed, rank, world_size: see ``MixtureSampler``.

    Raises:
        ValueError: if fewer classes than B have a clip with J anchors.
    """

    def __init__(
        self,
        class_index: Indexes,
        clip: NDArray[Any],
        batch_size: int,
        *,
        num_sources: int = 2,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(batch_size, num_sources, seed=seed, rank=rank, world_size=world_size)
        numbers = np.unique(clip, return_inverse=True)[1].reshape(-1)
        key = class_index * (numbers.max(initial=0) + 1) + numbers
        _, first, pair = np.unique(key, return_index=True, return_inverse=True)
        # Anchors of one class and clip lie together, in the order of the first ones of each.
        self._grouped = np.argsort(first[pair.reshape(-1)], kind="stable")
        self._starts = np.flatnonzero(np.diff(first[pair][self._grouped], prepend=-1))
        self._ends = np.append(self._starts[1:], len(self._grouped))
        enough = np.flatnonzero(self._ends - self._starts >= num_sources)
        of_class = rows_of_classes(class_index[self._grouped[self._starts[enough]]])
        self.clips_of_class = [enough[groups] for groups in of_class.values()]
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
            group = clips[rng.integers(len(clips))]
            rows = self._grouped[self._starts[group] : self._ends[group]]
            drawn.append(rng.choice(rows, self.num_sources, replace=False))
        return np.stack(drawn)
