"""What every text encoder offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from uss.core.arrays import Float32


@runtime_checkable
class TextEncoder(Protocol):
    """Maps words to conditions.

    Attributes:
        space: the name of the space its vectors lie in.
    """

    space: str

    def encode(self, texts: Sequence[str]) -> Float32:
        """Encode N texts as (N, H) float32.

        Raises:
            ValueError: if what it needs is not installed, or does not fit.
            OSError: if a file it needs cannot be had.
        """
        ...
