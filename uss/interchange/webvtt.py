"""WebVTT: captions of sounds, in the brackets that say that nobody speaks them."""

from __future__ import annotations

import html
import re

from uss.interchange.cells import rows_of, span_of
from uss.interchange.sheets import Label, LabelTable, Sheet

_ARROW = "-->"
_CLOCK = r"((?:\d+:)?\d+:\d+\.\d+)"
_TIMING = re.compile(rf"\s*{_CLOCK}\s+{_ARROW}\s+{_CLOCK}(?:\s|$)")
_TAG = re.compile(r"<[^>]*>")


def write_webvtt(sheet: Sheet) -> str:
    """Write a cue for each label; sounds at the same time are cues at the same time."""
    cues = []
    for number, label in enumerate(sheet.labels, start=1):
        start = round(1000.0 * label.start_seconds)
        # A cue that ends where it starts is none.
        end = max(start + 1, round(1000.0 * label.end_seconds))
        caption = html.escape(label.name, quote=False)
        cues.append(f"\n{number}\n{_clock(start)} {_ARROW} {_clock(end)}\n[{caption}]\n")
    return "WEBVTT\n" + "".join(cues)


def read_webvtt(text: str) -> LabelTable:
    """Read cues; their text is what is heard, without tags and brackets.

    Raises:
        ValueError: if a cue ends before it begins.
    """
    labels: list[Label] = []
    lines = [*rows_of(text)]
    for place, (number, line) in enumerate(lines):
        timing = _TIMING.match(line)
        if timing is None:
            continue
        caption = []
        for below, (following, words) in enumerate(lines[place + 1 :], start=1):
            # A blank line ends the cue.
            if following != number + below:
                break
            caption.append(words.strip())
        name = html.unescape(_TAG.sub("", " ".join(caption))).strip()
        if name.startswith("[") and name.endswith("]"):
            name = name[1:-1].strip()
        span = span_of(_seconds(timing[1]), _seconds(timing[2]), f"line {number}")
        labels.append(Label(*span, name))
    return LabelTable(tuple(labels))


def _clock(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{rest:03}"


def _seconds(clock: str) -> float:
    seconds = 0.0
    for part in clock.split(":"):
        seconds = 60.0 * seconds + float(part)
    return seconds
