"""Labels as plain CSV, for spreadsheets and scripts."""

from __future__ import annotations

from uss.interchange.cells import number_in, plain, seconds_in, span_of
from uss.interchange.sheets import Label, LabelTable, Sheet
from uss.interchange.tables import comma_separated, rows_under

_HEADER = (
    "file",
    "start_seconds",
    "end_seconds",
    "name",
    "mid",
    "group",
    "probability",
    "low_hz",
    "high_hz",
)
_STARTS = ("start_seconds", "Start (s)", "start", "onset")
_ENDS = ("end_seconds", "End (s)", "end", "offset")


def write_csv(sheet: Sheet) -> str:
    """Write a row for each label; cells of what is not known are empty."""
    file = plain(sheet.source.name)
    rows = [
        (
            file,
            f"{label.start_seconds:.6f}",
            f"{label.end_seconds:.6f}",
            label.name,
            label.mid or "",
            label.group or "",
            _number(label.probability),
            _number(label.low_hz),
            _number(label.high_hz),
        )
        for label in sheet.labels
    ]
    return comma_separated([_HEADER, *rows])


def read_csv(text: str) -> LabelTable:
    """Read a table with a start and an end, such as BirdNET's.

    Raises:
        ValueError: if columns are missing, or hold no times.
    """
    labels = []
    for row in rows_under(text, ",", _STARTS, _ENDS):
        start = seconds_in(row.first(*_STARTS), row.where)
        end = seconds_in(row.first(*_ENDS), row.where)
        labels.append(
            Label(
                *span_of(start, end, row.where),
                row.first("name", "Common name", "label", "event_label"),
                number_in(row.first("probability", "Confidence")),
                number_in(row.first("low_hz")),
                number_in(row.first("high_hz")),
                row.first("mid") or None,
                row.first("group") or None,
                row.first("file", "File", "filename") or None,
            )
        )
    return LabelTable(tuple(labels))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
