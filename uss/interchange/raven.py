"""Raven's selection tables, of one recording and of a sequence of recordings.

Raven wants Selection, View, Channel, the times and the frequencies in this order; whatever other
columns follow. In the table of a sequence the times count on from file to file, and the place in
each file follows in columns of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from uss.interchange.cells import number_in, plain, seconds_in, span_of
from uss.interchange.sheets import Label, LabelTable, Sheet
from uss.interchange.tables import Row, rows_under, tab_separated

_HEADER = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
)
_FREE = ("Annotation", "Confidence")
_OF_FILES = ("Begin File", "File Offset (s)", "Begin Path")
_VIEW = "Spectrogram 1"
_NAMES = ("Annotation", "Species", "Common Name", "Common name", "Label", "Type")

SEQUENCE_HEADER = "\t".join((*_HEADER, *_FREE, *_OF_FILES))
"""The first line of the table of a sequence."""


def write_raven(sheet: Sheet) -> str:
    """Write the table of one recording; a sound whose band is not known fills all frequencies."""
    rows = [_row(number, label, sheet, 0.0) for number, label in enumerate(sheet.labels, start=1)]
    return tab_separated([(*_HEADER, *_FREE), *rows])


def write_raven_sequence(sheets: Sequence[Sheet]) -> str:
    """Write one table for recordings that Raven opens as a sequence of files, in this order.

    What was separated must begin with each recording, and be all of it.
    """
    rows: list[Sequence[str]] = []
    late = 0.0
    for sheet in sheets:
        path = sheet.source.path
        name = plain(sheet.source.name)
        folder = plain(str(Path(path).absolute())) if path else name
        for label in sheet.labels:
            place = (name, f"{label.start_seconds:.6f}", folder)
            rows.append((*_row(len(rows) + 1, label, sheet, late), *place))
        late += sheet.end_seconds
    return tab_separated([SEQUENCE_HEADER.split("\t"), *rows])


def read_raven(text: str) -> LabelTable:
    """Read a selection table; a selection that is in several views counts once.

    Raises:
        ValueError: if columns are missing, or hold no times.
    """
    rows = rows_under(text, "\t", ["Begin Time (s)"], ["End Time (s)"])
    return LabelTable(tuple(dict.fromkeys(_labels(rows))))


def _row(number: int, label: Label, sheet: Sheet, late: float) -> tuple[str, ...]:
    low = label.low_hz or 0.0
    high = sheet.source.sample_rate / 2.0 if label.high_hz is None else label.high_hz
    return (
        str(number),
        _VIEW,
        "1",
        f"{late + label.start_seconds:.6f}",
        f"{late + label.end_seconds:.6f}",
        f"{low:.1f}",
        f"{high:.1f}",
        label.name,
        "" if label.probability is None else f"{label.probability:.4f}",
    )


def _labels(rows: Iterable[Row]) -> Iterable[Label]:
    for row in rows:
        start = seconds_in(row.first("Begin Time (s)"), row.where)
        end = seconds_in(row.first("End Time (s)"), row.where)
        seconds = end - start
        if offset := row.first("File Offset (s)"):
            start = seconds_in(offset, row.where)
        yield Label(
            *span_of(start, start + seconds, row.where),
            row.first(*_NAMES),
            number_in(row.first("Confidence", "Score")),
            number_in(row.first("Low Freq (Hz)")),
            number_in(row.first("High Freq (Hz)")),
            file=row.first("Begin File") or None,
        )
