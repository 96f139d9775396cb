"""What uss-separate says about its results: a few lines for each, a table for many."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from pipelines.streams import say
from uss.core.errors import InputError
from uss.core.files import written_whole
from uss.results.result import SeparationResult

SUMMARY_NAME = "summary.csv"


@dataclass(frozen=True)
class SummaryRow:
    """One input.

    Attributes:
        input: as it was named, or found in a folder.
        status: ``ok``; ``incomplete`` where the stems are there, but not all that is made of them;
            or ``failed``.
        duration_seconds: of the recording; None if it failed.
        num_stems: how many classes were found; the residuals are not counted.
        stems: their names, joined by ``;``, in the order of ``detections.json``.
        error: one line, what failed or is missing; empty if all went well.
    """

    input: str
    status: str
    duration_seconds: float | None = None
    num_stems: int = 0
    stems: str = ""
    error: str = ""

    @classmethod
    def of_result(cls, path: Path, result: SeparationResult) -> SummaryRow:
        """Summarise what was written for an input."""
        names = [stem.name for stem in result.stems]
        seconds = round(result.duration_seconds, 6)
        return cls(str(path), "ok", seconds, len(names), ";".join(names))


_HEADER = [field.name for field in fields(SummaryRow)]


def check_summary(output: Path) -> None:
    """Refuse to replace a table that is none of ours.

    Raises:
        ValueError: if ``summary.csv`` exists in the output folder and is something else.
    """
    path = output / SUMMARY_NAME
    if not path.exists():
        return
    first_line = ",".join(_HEADER).encode()
    if not path.is_file() or not path.read_bytes().startswith(first_line):
        raise InputError(
            f"{path} exists and is no earlier summary; move it away or choose another output folder"
        )


def write_summary(output: Path, rows: Sequence[SummaryRow]) -> None:
    """Write ``summary.csv`` into the output folder, which is made if it is missing.

    Raises:
        OSError: if it cannot be written.
    """
    output.mkdir(parents=True, exist_ok=True)
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows(astuple(row) for row in rows)
    with written_whole(output / SUMMARY_NAME) as part:
        # Names that are no UTF-8 keep their bytes.
        part.write_bytes(table.getvalue().encode("utf-8", "surrogateescape"))


def print_result(result: SeparationResult, folder: Path, highest: float) -> None:
    """Print where a result lies and what was found.

    Args:
        result: what was written.
        folder: where.
        highest: the highest probability of all classes and segments.
    """
    if not result.stems:
        kept = f" The residual in {folder} is the input." if result.residuals else ""
        say(
            f"{result.input}: nothing detected, so there are no stems (the most probable class "
            f"reaches {highest:.2f}); a lower --threshold finds more, --class separates a named "
            f"class.{kept}"
        )
        return
    say(f"{result.input} -> {folder}")
    for stem in result.stems:
        spans = ", ".join(f"{start:.1f}-{end:.1f} s" for start, end in stem.active_intervals)
        if stem.file is None:
            found = f"{stem.group}/{stem.name}" if stem.level else stem.name
            say(f"  {found:<48} {stem.probability:.3f}  {spans or 'not detected'}")
        else:
            say(f"  {stem.file:<48} {stem.probability:.3f}  {spans or 'not detected, silent'}")
