"""What became of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uss.results.recordings import Input
from uss.results.result import SeparationResult


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes:
        input: the recording.
        folder: of the result; None if it failed.
        result: what was written; None if it failed.
        highest_probability: of all classes and segments.
        error: why it failed; anything but one of ``INPUT_ERRORS`` is a fault of the program, or a
            lack of memory.
        warnings: what is missing beside the stems, and why, one line each.
        skipped: its result was there already, and stays; see ``Placement``.
    """

    input: Input
    folder: Path | None = None
    result: SeparationResult | None = None
    highest_probability: float = 0.0
    error: Exception | None = None
    skipped: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The file."""
        return self.input.path
