"""CSV files with a header: lists that are read, lists and results that are written."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from uss.core.errors import InputError
from uss.core.files import written_whole


def read_table(path: Path, *required: str) -> list[tuple[int, dict[str, str]]]:
    """Read a CSV file with a header; blank lines are left out.

    Args:
        path: the file.
        required: columns that must be there.

    Returns:
        The rows with their numbers; the header is row 1, and blank lines do not count.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no CSV file, or lacks a column.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    try:
        text = path.read_text(encoding="utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        records = list(enumerate(reader, start=2))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file: {error}") from error
    header = list(reader.fieldnames or ())
    twice = [column for column in dict.fromkeys(header) if header.count(column) > 1]
    if twice:
        raise InputError(f"{path} has the column {twice[0]} twice; leave one out")
    for column in required:
        if column not in header:
            raise InputError(
                f"{path} lacks the column {column}; it has {', '.join(header) or 'none'}"
            )
    for number, record in records:
        if None in record or None in record.values():
            raise InputError(f"{path}, row {number}: it has more or fewer fields than the header")
    return records


def write_table(
    path: str | Path,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    escaped: bool = False,
) -> None:
    """Write a CSV file, complete or not at all.

    Args:
        path: the file.
        header: its columns.
        rows: as many fields each.
        escaped: names of files that are no text are written for people to read; without it they
            are refused, as the file could not be found by what is written.

    Raises:
        InputError: if a field is no text.
    """
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    try:
        content = table.getvalue().encode(errors="backslashreplace" if escaped else "strict")
    except UnicodeEncodeError as error:
        name = ascii(error.object[max(0, error.start - 20) : error.end + 20])
        raise InputError(f"{name} holds bytes that are no UTF-8; rename the file") from None
    with written_whole(path) as part:
        part.write_bytes(content)


def parse_number(column: str, text: str, *, whole: bool = False) -> float:
    """Read a finite number from a field.

    Raises:
        InputError: if it is none; the message names the column.
    """
    try:
        value = int(text) if whole else float(text)
        is_finite = math.isfinite(value)
    except (ValueError, OverflowError):
        kind = "whole number" if whole else "number"
        raise InputError(f"{column} is {text!r}, which is not a {kind}") from None
    if not is_finite:
        raise InputError(f"{column} is {text!r}; give a finite number")
    return value
