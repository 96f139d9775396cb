"""The table of a run over many recordings, which Raven opens as one sequence of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uss.core.errors import InputError
from uss.core.files import written_whole
from uss.interchange.raven import SEQUENCE_HEADER, write_raven_sequence
from uss.interchange.sheets import Sheet
from uss.results.exports import hand_over_of
from uss.results.recordings import Input
from uss.results.result import SeparationResult

SEQUENCE_NAME = "recordings.Table.1.selections.txt"


class RavenSequence:
    """Gathers what was found in the recordings of a run.

    Args:
        output: the folder for results.

    Raises:
        ValueError: if what lies there under the table's name is something else.
    """

    def __init__(self, output: Path) -> None:
        self.path = output / SEQUENCE_NAME
        self._sheets: dict[Input, Sheet] = {}
        if self.path.exists() and not _is_ours(self.path):
            raise InputError(
                f"{self.path} exists and is no earlier table of a run; move it away or choose "
                "another output folder"
            )

    def add(self, recording: Input, result: SeparationResult) -> None:
        """Note what was found in a recording, all of which was separated."""
        path = None if recording.is_spooled else recording.path
        self._sheets[recording] = Sheet.of(hand_over_of(result, path))

    def write(self, order: Sequence[Input]) -> None:
        """Write the table; recordings that were not added are no part of the sequence.

        Args:
            order: of the recordings.

        Raises:
            OSError: if it cannot be written.
        """
        sheets = [self._sheets[each] for each in order if each in self._sheets]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(self.path) as part:
            part.write_bytes(write_raven_sequence(sheets).encode("utf-8"))


def _is_ours(path: Path) -> bool:
    """Whether a file begins as such a table does."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        # A line of somebody else's file may be as long as the file.
        line = file.readline(1_000)
    return line.decode("utf-8", "replace").rstrip("\r\n") == SEQUENCE_HEADER
