"""Spans of time as people write them, and what they mark with them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from uss.core.clock import format_time, parse_time
from uss.core.errors import InputError

Spans = tuple[tuple[float, float], ...]
"""(start, end) in seconds, ascending and apart; the last end may be infinite."""

UNNAMED = "span"
"""What is marked without a name."""

MIN_SPAN_SECONDS = 0.05
"""In less than that nothing is recognised."""

# People give the end as a player shows it, rounded.
_BEYOND_SECONDS = 0.1


@dataclass(frozen=True)
class Span:
    """Seconds of a recording in which somebody marked what is wanted.

    Attributes:
        start_seconds: from the start of the recording.
        end_seconds: likewise; infinite for its end.
        name: of the stem; spans of one name ask for one sound.

    Raises:
        ValueError: if it lies before the recording, ends before it starts, or is too short.
    """

    start_seconds: float
    end_seconds: float
    name: str = UNNAMED

    def __post_init__(self) -> None:
        """Check that something may be heard in it."""
        start, end = self.start_seconds, self.end_seconds
        if not 0.0 <= start < float("inf"):
            raise InputError(f"{self.name!r} is marked from {start:g} s on; give 0 or later")
        if math.isnan(end) or end < start:
            raise InputError(
                f"{self.name!r} is marked from {start:g} to {end:g} s, which ends before it "
                "starts; give the start first"
            )
        if end - start < MIN_SPAN_SECONDS:
            raise InputError(
                f"{self.name!r} is marked for {end - start:.3f} s at {format_time(start)}, too "
                f"short to recognise anything; mark at least {MIN_SPAN_SECONDS:g} s"
            )
        if not self.name.strip():
            raise InputError("a span has an empty name; give one, or none")

    def within(self, duration_seconds: float) -> Span:
        """End with the recording at the latest.

        Raises:
            ValueError: if it is marked where the recording has ended.
        """
        start, end = self.start_seconds, self.end_seconds
        last = start if math.isinf(end) else end - _BEYOND_SECONDS
        if start >= duration_seconds or last > duration_seconds:
            beyond = start if start >= duration_seconds else end
            raise InputError(
                f"{self.name!r} is marked at {format_time(beyond)}, and the recording lasts "
                f"{format_time(duration_seconds)}; mark an earlier time"
            )
        return replace(self, end_seconds=min(end, duration_seconds))


def listed_spans(given: Span | str | Iterable[Span | str]) -> list[Span]:
    """Take spans, and texts as ``spans_in`` reads them; one, or several.

    Raises:
        ValueError: as ``spans_in``.
    """
    listed = [given] if isinstance(given, (Span, str)) else given
    return [
        span for each in listed for span in (spans_in(each) if isinstance(each, str) else [each])
    ]


def spans_in(text: str) -> tuple[Span, ...]:
    """Read ``1.2-3.5`` or ``NAME@1.2-3.5,1:02-1:05``.

    Raises:
        ValueError: if times are none, or mark what cannot be heard.
    """
    name, mark, times = text.rpartition("@")
    name = name.strip() if mark else UNNAMED
    return tuple(Span(start, end, name) for start, end in parse_spans(times, text))


def split_place(text: str) -> tuple[str, Spans]:
    """Take ``NAME@SPANS`` apart, at the last ``@``.

    Raises:
        ValueError: if no spans follow.
    """
    name, mark, spans = text.rpartition("@")
    if not mark or not name:
        raise InputError(f"{text!r} names no times; give NAME@START-END, such as Dog@12-15")
    return name, parse_spans(spans, text)


def is_placed(text: str) -> bool:
    """Whether times follow the last ``@`` of a text; an ``@`` may be a part of it."""
    return "@" in text and text.rpartition("@")[2].strip()[:1].isdigit()


def parse_spans(text: str, whole: str) -> Spans:
    """Read ``START-END,START-END``, of which the last end may be missing.

    Args:
        text: the times.
        whole: what they are a part of, for messages.

    Raises:
        ValueError: if they are none, or one ends before it starts.
    """
    spans = []
    for part in text.split(","):
        start, mark, end = part.partition("-")
        if not mark:
            raise InputError(
                f"{whole!r}: {part!r} is no span of time; give START-END, such as 12-15 or "
                "1:02-1:05.5, or START- for the end of the recording"
            )
        span = (parse_time(start), parse_time(end) if end.strip() else float("inf"))
        if span[0] >= span[1]:
            raise InputError(f"{whole!r}: {part!r} ends before it starts; give START-END")
        spans.append(span)
    return merged(spans)


def merged(spans: Iterable[tuple[float, float]]) -> Spans:
    """Join spans that touch or overlap."""
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return tuple(joined)


def overlap_of(spans: Iterable[tuple[float, float]], start: float, end: float) -> Spans:
    """Take what of spans lies between two times, counted from the first."""
    inside = ((max(first, start) - start, min(last, end) - start) for first, last in spans)
    return merged(each for each in inside if each[1] > each[0])


def between(spans: Sequence[tuple[float, float]], end: float) -> Spans:
    """Give what lies between 0 and a time, and in none of the spans, which are merged."""
    starts = [0.0, *(last for _, last in spans)]
    ends = [*(first for first, _ in spans), end]
    gaps = ((start, min(stop, end)) for start, stop in zip(starts, ends, strict=True))
    return tuple((start, stop) for start, stop in gaps if stop > start)
