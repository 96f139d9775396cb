"""Tables with a header: tab- or comma-separated values, their columns in any order."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from uss.core.errors import InputError
from uss.interchange.cells import unquoted


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        where: it stands, for messages.
        cells: by the name of their column, without blanks around.
    """

    where: str
    cells: Mapping[str, str]

    def first(self, *columns: str) -> str:
        """Give the first of some cells that holds something, else nothing."""
        return next((self.cells[name] for name in columns if self.cells.get(name)), "")


def tab_separated(rows: Iterable[Sequence[str]]) -> str:
    """Write cells as they are, without quotes: not every reader of such files knows any."""
    return "".join("\t".join(map(unquoted, row)) + "\n" for row in rows)


def comma_separated(rows: Iterable[Sequence[str]]) -> str:
    """Write cells, in quotes where they need some (RFC 4180)."""
    table = io.StringIO(newline="")
    csv.writer(table, lineterminator="\n").writerows(rows)
    return table.getvalue()


def rows_under(text: str, separator: str, *needed: Sequence[str]) -> list[Row]:
    """Read a table.

    Args:
        text: all of it; its first line names the columns.
        separator: of the cells.
        needed: columns that it must have; of each sequence one.

    Raises:
        ValueError: naming a column that is missing.
    """
    lines = [
        (number, [cell.strip() for cell in cells])
        for number, cells in enumerate(_cells(text, separator), 1)
        if any(cell.strip() for cell in cells)
    ]
    header = lines[0][1] if lines else []
    for columns in needed:
        if not {*columns} & {*header}:
            raise InputError(f"its first line names no column {columns[0]!r}; add it")
    return [
        Row(f"line {number}", dict(zip(header, cells, strict=False))) for number, cells in lines[1:]
    ]


def _cells(text: str, separator: str) -> Iterator[list[str]]:
    if separator == "\t":
        yield from (line.split(separator) for line in text.splitlines())
        return
    try:
        yield from csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    except csv.Error as error:
        raise InputError(f"it is no table of comma-separated values ({error})") from error
