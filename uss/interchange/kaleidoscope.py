"""Kaleidoscope's CSV: a column that it does not know hides those that it knows."""

from __future__ import annotations

from pathlib import Path

from uss.interchange.cells import number_in, plain, seconds_in
from uss.interchange.sheets import Label, LabelTable, Sheet
from uss.interchange.tables import comma_separated, rows_under

_HEADER = ("INDIR", "FOLDER", "IN FILE", "OFFSET", "DURATION", "TOP1MATCH", "TOP1DIST")


def write_kaleidoscope(sheet: Sheet) -> str:
    """Write a row for each label; the probability stands for the distance, as BirdNET has it."""
    path = sheet.source.path
    folder = "" if path is None else plain(str(Path(path).absolute().parent))
    rows = [
        (
            folder,
            "",
            plain(sheet.source.name),
            f"{label.start_seconds:.6f}",
            f"{label.end_seconds - label.start_seconds:.6f}",
            label.name,
            "" if label.probability is None else f"{label.probability:.4f}",
        )
        for label in sheet.labels
    ]
    return comma_separated([_HEADER, *rows])


def read_kaleidoscope(text: str) -> LabelTable:
    """Read a table; what somebody named by hand goes before what was found.

    Raises:
        ValueError: if columns are missing, or hold no times.
    """
    labels = []
    for row in rows_under(text, ",", ["IN FILE"], ["OFFSET"], ["DURATION"]):
        start = seconds_in(row.first("OFFSET"), row.where)
        seconds = seconds_in(row.first("DURATION"), row.where)
        name = row.first("MANUAL ID", "TOP1MATCH", "AUTO ID")
        probability = number_in(row.first("TOP1DIST"))
        file = row.first("IN FILE") or None
        labels.append(Label(start, start + seconds, name, probability, file=file))
    return LabelTable(tuple(labels))
