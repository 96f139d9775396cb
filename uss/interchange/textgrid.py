"""Praat's TextGrid: a tier for each class, whose intervals leave nothing out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from uss.core.errors import InputError
from uss.interchange.sheets import Label, LabelTable, Sheet

_EMPTY_TIER = "sounds"
_TOKEN = re.compile(r'"((?:[^"]|"")*)"|<(\w+)>|(?<!\S)([-+]?\d[\d.eE+-]*)%?(?!\S)')
"""What Praat reads; all else in the file is for people."""


def write_textgrid(sheet: Sheet) -> str:
    """Write interval tiers with an empty interval wherever a class is not heard.

    Praat allows no grid without tiers, so one is empty where nothing was found.
    """
    end = f"{sheet.end_seconds:.9f}"
    tiers = list(sheet.tiers()) or [(_EMPTY_TIER, [])]
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {end}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, (name, labels) in enumerate(tiers, start=1):
        intervals = list(_contiguous(labels, end))
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(name)}",
            "        xmin = 0",
            f"        xmax = {end}",
            f"        intervals: size = {len(intervals)}",
        ]
        for place, (first, last, text) in enumerate(intervals, start=1):
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {first}",
                f"            xmax = {last}",
                f"            text = {_quoted(text)}",
            ]
    return "\n".join(lines) + "\n"


def read_textgrid(text: str) -> LabelTable:
    """Read a grid in the long or the short form of text: intervals with text in them.

    Points of point tiers hold no time and are left out.

    Raises:
        ValueError: if it is no TextGrid, or is cut off.
    """
    tokens = (found[1] if found[1] is not None else found[2] or found[3] for found in _found(text))
    try:
        return _read(tokens)
    except (StopIteration, ValueError, RuntimeError) as error:
        raise InputError("it is no whole TextGrid of text; save it again from Praat") from error


def _read(tokens: Iterator[str]) -> LabelTable:
    if next(tokens) != "ooTextFile" or next(tokens) != "TextGrid":
        raise ValueError("another kind of file")
    low, high = float(next(tokens)), float(next(tokens))
    labels: list[Label] = []
    num_tiers = int(next(tokens)) if next(tokens) == "exists" else 0
    for _ in range(num_tiers):
        kind = next(tokens)
        # Its name and its span, which is the grid's.
        next(tokens), next(tokens), next(tokens)
        for _ in range(int(next(tokens))):
            start = float(next(tokens))
            end = float(next(tokens)) if kind == "IntervalTier" else start
            said = next(tokens).replace('""', '"').strip()
            if said and end > start:
                labels.append(Label(start - low, end - low, said))
    return LabelTable(tuple(labels), high - low)


def _found(text: str) -> Iterator[re.Match[str]]:
    """Find all tokens; comments begin with an exclamation mark outside of quotes."""
    yield from _TOKEN.finditer(re.sub(r'("(?:[^"]|"")*")|![^\n]*', r"\1", text))


def _contiguous(labels: Sequence[Label], end: str) -> Iterator[tuple[str, str, str]]:
    """Give start, end and text of each interval: each starts where the one before ends."""
    last = f"{0.0:.9f}"
    for label in labels:
        start, stop = f"{label.start_seconds:.9f}", f"{label.end_seconds:.9f}"
        # Spans of a class may overlap; intervals of a tier may not.
        start = max(start, last, key=float)
        stop = min(stop, end, key=float)
        if float(stop) <= float(start):
            continue
        if float(start) > float(last):
            yield last, start, ""
        yield start, stop, label.name
        last = stop
    if float(end) > float(last) or not labels:
        yield last, end, ""


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
