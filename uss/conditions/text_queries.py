"""Queries in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uss.conditions.conditioning import Conditioning
from uss.conditions.queries import Query
from uss.core.arrays import Float32
from uss.core.errors import InputError


@dataclass(frozen=True)
class MeantClass:
    """A class that a text means, or a node above classes.

    Attributes:
        class_index: of a class; None of a node that is none itself, such as "Human voice".
        mid, name: of the node.
        weight: how much, in (0, 1].
    """

    class_index: int | None
    mid: str
    name: str
    weight: float


@dataclass(frozen=True, eq=False)
class TextQuery(Query):
    """What a text describes.

    Attributes:
        name: the text.
        understood: what it surely means, the most probable first; none where only the separator's
            own encoder understands it.
        weights: how much each of ``class_indexes`` counts, in (0, 1].
        class_indexes: the classes at or below what is meant; it is detected by them, and asked with
            them.
        space: of the vector.
        vector: (H,) of the separator's own encoder of texts; None where there is none.
    """

    name: str
    understood: tuple[MeantClass, ...]
    weights: tuple[float, ...]
    class_indexes: tuple[int, ...]
    space: str | None = None
    vector: Float32 | None = None
    mid: None = None

    @property
    def key(self) -> object:
        """The same words are the same, in whatever case."""
        return ("text", self.name.casefold(), self.space)

    def heard_in(self, heard: Float32) -> Float32 | None:
        """The maximum over its classes (Algorithm 4); None where it stands for none."""
        if not self.class_indexes:
            return None
        highest: Float32 = heard[:, self.class_indexes].max(axis=1)
        return highest

    def check(self, conditioning: Conditioning) -> None:
        """See whether its vector, or a query for one of its classes, fits; see ``Query``."""
        if self.vector is not None:
            if self.space != conditioning.space:
                raise InputError(
                    f"the text {self.name!r} is encoded in {self.space!r}, the separator takes "
                    f"{conditioning.space!r}; use the separator's own encoder"
                )
        elif not conditioning.separable[list(self.class_indexes)].any():
            means = ", ".join(each.name for each in self.understood)
            raise InputError(
                f"the model has no query for what {self.name!r} means ({means}); its training "
                "clips held none; choose other words or another model"
            )

    def conditions(self, heard: Float32, conditioning: Conditioning) -> Float32:
        """Ask with its vector, or with its classes: by how much is meant times what is heard.

        Where none of them is heard, what is meant alone counts; see ``Conditioning``.
        """
        if self.vector is not None:
            return np.repeat(self.vector[None], len(heard), axis=0)
        indexes = list(self.class_indexes)
        if conditioning.class_queries is None:
            return conditioning.class_conditions(indexes, heard)
        meant = np.zeros(heard.shape[1], np.float32)
        meant[indexes] = self.weights
        weighted = heard * meant
        nothing = ~(weighted[:, conditioning.separable] > 0.0).any(axis=1)
        weighted[nothing] = meant
        return conditioning.class_conditions(indexes, weighted)
