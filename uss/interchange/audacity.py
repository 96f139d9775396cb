"""Audacity's label tracks: tab-separated lines, with a second line for a spectral selection."""

from __future__ import annotations

from dataclasses import replace

from uss.core.errors import InputError
from uss.interchange.cells import number_in, rows_of, seconds_in, span_of
from uss.interchange.sheets import Label, LabelTable, Sheet

_SPECTRAL = "\\"


def write_audacity(sheet: Sheet) -> str:
    """Write start, end and name; the band follows in a line of its own where it is known."""
    lines = []
    for label in sheet.labels:
        lines.append(f"{label.start_seconds:.6f}\t{label.end_seconds:.6f}\t{label.name}\n")
        if label.low_hz is not None and label.high_hz is not None:
            lines.append(f"{_SPECTRAL}\t{label.low_hz:.6f}\t{label.high_hz:.6f}\n")
    return "".join(lines)


def read_audacity(text: str) -> LabelTable:
    """Read what Audacity exports, with or without spectral selections.

    Raises:
        ValueError: naming the line that is none of a label track.
    """
    labels: list[Label] = []
    for number, line in rows_of(text):
        where = f"line {number}"
        cells = line.split("\t")
        if cells[0] == _SPECTRAL and labels and len(cells) > 2:
            low, high = number_in(cells[1]), number_in(cells[2])
            # Audacity writes -1 where a selection has no lower or upper end.
            labels[-1] = replace(
                labels[-1],
                low_hz=low if low is None or low >= 0.0 else None,
                high_hz=high if high is None or high >= 0.0 else None,
            )
            continue
        if len(cells) < 2:
            raise InputError(f"{where}: {line!r} has no start and end with a tab between; add them")
        start, end = seconds_in(cells[0], where), seconds_in(cells[1], where)
        name = cells[2].strip() if len(cells) > 2 else ""
        labels.append(Label(*span_of(start, end, where), name))
    return LabelTable(tuple(labels))
