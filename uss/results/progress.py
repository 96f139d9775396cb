"""Who is told how far the work on a file is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol


class Progress(Protocol):
    """Told how far a file is; each method gives a context whose value is called with what came."""

    def listening(self, path: Path) -> AbstractContextManager[Callable[[float], object]]:
        """Count seconds of the recording that were heard; how long it is, is not known."""

    def separating(
        self, path: Path, num_pairs: int
    ) -> AbstractContextManager[Callable[[int], object]]:
        """Count pairs of segment and query that were separated, of so many."""


class NoProgress:
    """Tells nobody."""

    def listening(self, path: Path) -> AbstractContextManager[Callable[[float], object]]:
        """See ``Progress``."""
        return nullcontext(lambda seconds: None)

    def separating(
        self, path: Path, num_pairs: int
    ) -> AbstractContextManager[Callable[[int], object]]:
        """See ``Progress``."""
        return nullcontext(lambda pairs: None)
