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
from uss.core.arrays import Bools, Float32

_FEW_GROUPS = 3
_JITTER_OF_FEW = 0.15
_JITTER_OF_ONE = 0.3
_OWN_SHARE = (0.3, 1.0)


class OtherGroupAverages:
    """Averages over random halves of a class's groups, without a given one.

    A class all of whose anchors are of that group is asked for with its own average, shrunk towards
    that of the class above it with the fewest groups. Where few groups are left, their average
    is jittered, as another draw of groups would be elsewhere.

    Args:
        conditions: (N, H) of the anchors.
        labels: (N, K).
        group: (N,) of str.
        ontology: says which class lies above which.

    Attributes:
        class_indexes: the classes that have an average, ascending.
    """

    def __init__(
        self, conditions: Float32, labels: Bools, group: NDArray[np.object_], ontology: Ontology
    ) -> None:
        self._ontology = ontology
        self._spread = conditions.std(axis=0)
        self.class_indexes: Sequence[int] = np.flatnonzero(labels.any(axis=0)).tolist()
        self._means: dict[int, dict[str, Float32]] = {}
        for index in self.class_indexes:
            rows = np.flatnonzero(labels[:, index])
            of_rows = group[rows]
            self._means[index] = {
                name: conditions[rows[of_rows == name]].mean(axis=0)
                for name in dict.fromkeys(of_rows.tolist())
            }

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

    def draw(self, class_index: int, group: str | None, rng: np.random.Generator) -> Float32:
        """Draw an average of a class, (H,) float32.

        Args:
            class_index: one of ``class_indexes``.
            group: what must not be in it; None if anything may.
            rng: chooses the groups, and draws the jitter.
        """
        means = self._means[class_index]
        others = [name for name in means if name != group]
        if not others:
            return self._shrunk(class_index, group, rng)
        size = int(rng.integers(max(1, (len(others) + 1) // 2), len(others) + 1))
        chosen = rng.choice(len(others), size, replace=False)
        average = np.mean([means[others[number]] for number in chosen], axis=0)
        if len(others) < _FEW_GROUPS:
            average = average + _JITTER_OF_FEW * self._noise(rng)
        drawn: Float32 = average.astype(np.float32)
        return drawn

    def _shrunk(self, class_index: int, group: str | None, rng: np.random.Generator) -> Float32:
        (average,) = self._means[class_index].values()
        has_others = (
            parent
            for parent in self.above[class_index]
            if any(name != group for name in self._means[parent])
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
