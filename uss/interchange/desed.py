"""The tables of DESED, sed_eval and sed_scores_eval: events, and the length of each file."""

from __future__ import annotations

from uss.interchange.cells import plain, seconds_in, span_of
from uss.interchange.sheets import Label, LabelTable, Sheet
from uss.interchange.tables import rows_under, tab_separated


def write_desed(sheet: Sheet) -> str:
    """Write filename, onset, offset and event_label."""
    name = plain(sheet.source.name)
    rows = [
        (name, f"{label.start_seconds:.6f}", f"{label.end_seconds:.6f}", label.name)
        for label in sheet.labels
    ]
    return tab_separated([("filename", "onset", "offset", "event_label"), *rows])


def write_durations(sheet: Sheet) -> str:
    """Write filename and duration, without which no PSDS can be computed."""
    row = (plain(sheet.source.name), f"{sheet.end_seconds:.6f}")
    return tab_separated([("filename", "duration"), row])


def read_desed(text: str) -> LabelTable:
    """Read events; rows of files without any are left out.

    Raises:
        ValueError: if columns are missing, or hold no times.
    """
    labels = []
    for row in rows_under(text, "\t", ["onset"], ["offset"], ["event_label"]):
        if row.first("onset").lower() in ("", "nan"):
            continue
        start, end = seconds_in(row.first("onset"), row.where), row.first("offset")
        span = span_of(start, seconds_in(end, row.where), row.where)
        file = row.first("filename") or None
        labels.append(Label(*span, row.first("event_label"), file=file))
    return LabelTable(tuple(labels))
