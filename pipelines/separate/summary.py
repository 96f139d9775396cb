"""What uss-separate says about its results: a few lines for each, a table for many."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from pipelines.streams import say
from uss.core.errors import InputError
from uss.core.files import written_whole
from uss.results.locking import folder_locked
from uss.results.result import SeparationResult

SUMMARY_NAME = "summary.csv"
FAILED = "failed"
# A byte of a name that is no UTF-8, as in ``detections.json``, and the backslash of what looks so.
_ESCAPE = re.compile(r"\\(u(?:dc[89a-f][0-9a-f]|005c))")


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


def check_summary(output: Path, *, needed: bool) -> bool:
    """Find out whether the run has a table to write.

    Args:
        output: the folder for results.
        needed: one is written in any case; else a table that is there is kept up to date.

    Raises:
        ValueError: if it is needed, and ``summary.csv`` in the output folder is something else.
    """
    path = output / SUMMARY_NAME
    if not path.exists():
        return needed
    is_ours = _is_ours(path)
    if needed and not is_ours:
        raise InputError(
            f"{path} exists and is no earlier summary; move it away or choose another output folder"
        )
    return is_ours


def write_summary(
    output: Path, rows: Sequence[SummaryRow], skipped: Sequence[SummaryRow] = ()
) -> None:
    r"""Write rows into ``summary.csv`` of the output folder, which is made if it is missing.

    Rows of other inputs stay, also those that another run writes at the same time; new ones follow
    them. The file is replaced as a whole. It is UTF-8, also where names are not: then it has
    ``\udce9`` for the byte E9.

    Args:
        output: the folder.
        rows: of inputs that were separated, or failed.
        skipped: of inputs whose result was there; what the table says of that result stays.

    Raises:
        OSError: if it cannot be written.
    """
    output.mkdir(parents=True, exist_ok=True)
    path = output / SUMMARY_NAME
    with folder_locked(output):
        merged = {row[0]: row for row in _rows(path)}
        for row in skipped:
            if row.input not in merged or merged[row.input][1] == FAILED:
                merged[row.input] = _cells(row)
        merged |= {row.input: _cells(row) for row in rows}
        table = io.StringIO(newline="")
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(_HEADER)
        writer.writerows(merged.values())
        with written_whole(path) as part:
            text = _ESCAPE.sub(r"\\u005c\1", table.getvalue())
            part.write_bytes(text.encode("utf-8", "backslashreplace"))


def _cells(row: SummaryRow) -> list[str]:
    return ["" if value is None else str(value) for value in astuple(row)]


def _is_ours(path: Path) -> bool:
    """Whether a file begins as a table does, or did before there were as many columns."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        # A line of somebody else's file may be as long as the file.
        line = file.readline(1_000)
    header = line.decode("utf-8", "replace").rstrip("\r\n").split(",")
    return len(header) > 1 and header == _HEADER[: len(header)]


def _rows(path: Path) -> list[list[str]]:
    """Read the rows of a table; there are none if it is missing or no longer one."""
    if not _is_ours(path):
        return []
    # Earlier versions wrote the bytes of such names as they are.
    text = path.read_bytes().decode("utf-8", "surrogateescape")
    text = _ESCAPE.sub(lambda escape: chr(int(escape[1][1:], 16)), text)
    _, *rows = csv.reader(io.StringIO(text, newline=""))
    return [[*row, *[""] * (len(_HEADER) - len(row))] for row in rows if row]


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
        probability = "  -  " if stem.probability is None else f"{stem.probability:.3f}"
        if stem.file is None:
            found = f"{stem.group}/{stem.name}" if stem.level or stem.preset else stem.name
            say(f"  {found:<48} {probability}  {spans or 'not detected'}")
        else:
            say(f"  {stem.file:<48} {probability}  {spans or 'not detected, silent'}")
    if result.excluded:
        say(f"  kept out of all stems: {'; '.join(map(str, result.excluded))}")


def print_skipped(result: SeparationResult, folder: Path) -> None:
    """Print that a result was there and stays."""
    say(f"{result.input}: skipped, {folder} is its result with this model and these settings")
