"""RTTM, NIST's rich transcription time marks: ten fields a line, blanks between them."""

from __future__ import annotations

from uss.core.errors import InputError
from uss.interchange.cells import number_in, plain, rows_of, seconds_in
from uss.interchange.sheets import Label, LabelTable, Sheet

_NONE = "<NA>"
_NUM_FIELDS = 9
"""Older files lack the tenth."""


def write_rttm(sheet: Sheet) -> str:
    """Write a line of type SPEAKER for each label; blanks in names become underscores."""
    name = plain(sheet.source.name)
    file = _field(name.rpartition(".")[0] or name)
    return "".join(
        f"SPEAKER {file} 1 {label.start_seconds:.6f} {label.end_seconds - label.start_seconds:.6f} "
        f"{_NONE} {_NONE} {_field(label.name)} {_confidence(label)} {_NONE}\n"
        for label in sheet.labels
    )


def read_rttm(text: str) -> LabelTable:
    """Read the lines of type SPEAKER; underscores in names become blanks.

    Raises:
        ValueError: naming a line with too few fields, or without times.
    """
    labels = []
    for number, line in rows_of(text):
        cells, where = line.split(), f"line {number}"
        if cells[0] != "SPEAKER":
            continue
        if len(cells) < _NUM_FIELDS:
            raise InputError(f"{where}: {len(cells)} fields instead of 10; correct it")
        start, seconds = seconds_in(cells[3], where), seconds_in(cells[4], where)
        name = cells[7].replace("_", " ")
        labels.append(Label(start, start + seconds, name, number_in(cells[8]), file=cells[1]))
    return LabelTable(tuple(labels))


def _field(text: str) -> str:
    return text.replace(" ", "_")


def _confidence(label: Label) -> str:
    return _NONE if label.probability is None else f"{label.probability:.4f}"
