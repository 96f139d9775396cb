"""Asking a separator for what it finds of itself: a stem by its number, not by what it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uss.conditions.conditioning import Conditioning
from uss.conditions.queries import Query
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.models import stems_of_space


@dataclass(frozen=True)
class BlindQuery(Query):
    """One of the stems that a blind separator gives.

    Attributes:
        name: see ``Query``.
        number: of the stem, from 1.
        space: of the separator, which says how many there are.
    """

    name: str
    number: int
    space: str
    mid: None = None

    def heard_in(self, heard: Float32) -> None:
        """What will be in it, nobody knows before."""
        return None

    def check(self, conditioning: Conditioning) -> None:
        """See whether the separator has this stem; see ``Query``."""
        if self.space != conditioning.space:
            raise InputError(
                f"{self.name} is of {self.space!r}, the separator takes {conditioning.space!r}; "
                "ask each model for its own stems"
            )

    def conditions(self, heard: Float32, conditioning: Conditioning) -> Float32:
        """A one in the stem's place, whatever is heard."""
        total = stems_of_space(self.space)
        assert total is not None, "blind_queries made it"
        out: Float32 = np.zeros((len(heard), total), np.float32)
        out[:, self.number - 1] = 1.0
        return out


def blind_queries(space: str) -> list[BlindQuery]:
    """Ask for all stems of a blind separator.

    Raises:
        ValueError: if separators of that space are none.
    """
    total = stems_of_space(space)
    if total is None:
        raise InputError(
            f"the model takes conditions of {space!r}, so it is asked for something; leave out "
            "blind separation, or choose a model that was trained with MixIT"
        )
    return [BlindQuery(f"stem{number}", number, space) for number in range(1, total + 1)]
