"""What is made beside the stems: where it fails, the stems stay."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


class SideProducts:
    """Notes which files beside the stems could not be made.

    Args:
        name: of the recording.

    Attributes:
        missing: a line for each, with what is missing and why.
    """

    def __init__(self, name: str) -> None:
        self.missing: list[str] = []
        self._name = name

    @contextmanager
    def making(self, what: str) -> Iterator[None]:
        """Make one of them in the block, which may raise whatever it likes."""
        try:
            yield
        # A library that draws or copies may fail in any way, and hours of stems are at stake.
        except Exception as error:
            logger.debug("%s of %s", what, self._name, exc_info=True)
            said = " ".join(str(error).split())
            reason = f"{type(error).__name__}: {said}" if said else type(error).__name__
            self.missing.append(
                f"{self._name}: {what} is missing ({reason}); the result is kept without it"
            )
