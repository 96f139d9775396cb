"""How a separator is asked: the space of its conditions, and what makes them of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from uss.conditions.class_queries import ClassQueries
from uss.core.arrays import Bools, Float32
from uss.core.errors import InputError
from uss.models import stems_of_space
from uss.taggers import NUM_CLASSES


@dataclass(frozen=True)
class Conditioning:
    """What turns classes into conditions of one separator.

    Attributes:
        space: the named space of its conditions.
        class_queries: a vector per class (eq. 9); None where eq. 10 takes their place, and of
            separators that are not asked for classes.
        own: (H,) vectors of classes that no tagger knows, by their mids.
    """

    space: str
    class_queries: ClassQueries | None = None
    own: Mapping[str, Float32] = field(default_factory=dict)

    @property
    def is_blind(self) -> bool:
        """Whether the separator gives stems of itself, and cannot be asked for anything."""
        return stems_of_space(self.space) is not None

    @property
    def separable(self) -> Bools:
        """(K,) the classes that can be asked for."""
        if self.is_blind:
            return np.zeros(NUM_CLASSES, bool)
        if self.class_queries is None:
            return np.ones(NUM_CLASSES, bool)
        return np.isin(np.arange(NUM_CLASSES), self.class_queries.class_indexes)

    def class_conditions(self, class_indexes: Sequence[int], heard: Float32) -> Float32:
        """Ask for a group of classes: their queries, weighted by probability, or eq. 10.

        Args:
            class_indexes: the group, such as the classes below a node.
            heard: (N, K) probabilities of the segments, as the separator's own tagger hears them.

        Returns:
            (N, H).

        Raises:
            ValueError: if there is a query for none of the classes.
        """
        indexes = list(class_indexes)
        if self.class_queries is None:
            masked = np.zeros_like(heard)
            masked[:, indexes] = heard[:, indexes]
            return masked
        conditions = self.class_queries.condition(indexes, heard)
        if conditions is None:
            raise InputError(f"the model has no query for the classes {indexes}; choose others")
        return conditions
