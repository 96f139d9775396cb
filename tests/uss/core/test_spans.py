"""Spans of time, as typed."""

import pytest

from uss.core.spans import Span, between, is_placed, listed_spans, merged, overlap_of, spans_in

INFINITY = float("inf")


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("1.2-3.5", [Span(1.2, 3.5, "span")]),
        ("bell@1.2-3.5", [Span(1.2, 3.5, "bell")]),
        (
            "a bell @1:02-1:05.5,1:02:03.5-",
            [Span(62.0, 65.5, "a bell"), Span(3723.5, INFINITY, "a bell")],
        ),
        ("me@home@0-1", [Span(0.0, 1.0, "me@home")]),
        ("5-7,6-8", [Span(5.0, 8.0)]),
    ],
)
def test_spans_are_read(text: str, spans: list[Span]) -> None:
    assert list(spans_in(text)) == spans
    assert listed_spans(text) == listed_spans([*spans]) == spans


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bell", "'bell' is no span of time; give START-END"),
        ("bell@noon-one", "'noon' is no time; give seconds"),
        ("3.5-1.2", "'3.5-1.2' ends before it starts"),
        ("bell@2-2", "'2-2' ends before it starts"),
        ("1-1.04", "is marked for 0.040 s at 0:00:01, too short to recognise anything; mark at"),
        ("-3", "'' is no time"),
        ("@1-2", "has an empty name"),
    ],
)
def test_what_marks_nothing_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        spans_in(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("start", "end", "says"),
    [
        (-1.0, 2.0, "from -1 s on; give 0 or later"),
        (2.0, 1.0, "ends before it starts; give the start first"),
        (0.0, float("nan"), "ends before it starts"),
        (INFINITY, INFINITY, "give 0 or later"),
        (1.0, 1.0, "is marked for 0.000 s"),
    ],
)
def test_programs_are_told_the_same(start: float, end: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Span(start, end)


def test_a_span_ends_with_its_recording() -> None:
    assert Span(1.0, INFINITY).within(4.0) == Span(1.0, 4.0)
    # As a player shows the end, rounded.
    assert Span(1.0, 4.1).within(4.0) == Span(1.0, 4.0)
    for beyond in (Span(1.0, 4.2), Span(4.0, INFINITY), Span(5.0, 6.0)):
        with pytest.raises(ValueError, match=r"and the recording lasts 0:00:04; mark an earlier"):
            beyond.within(4.0)


def test_what_lies_between_two_times() -> None:
    spans = merged([(3.0, 5.0), (1.0, 2.0), (4.0, 6.0)])
    assert spans == ((1.0, 2.0), (3.0, 6.0))
    assert overlap_of(spans, 1.5, 4.0) == ((0.0, 0.5), (1.5, 2.5))
    assert overlap_of(spans, 7.0, 9.0) == ()


def test_what_is_not_marked() -> None:
    assert between(((1.0, 2.0), (3.0, 6.0)), 8.0) == ((0.0, 1.0), (2.0, 3.0), (6.0, 8.0))
    assert between(((0.0, 2.0), (3.0, 8.0)), 8.0) == ((2.0, 3.0),)
    assert between((), 2.0) == ((0.0, 2.0),)
    assert between(((0.0, 2.0),), 2.0) == ()


def test_an_at_sign_may_be_a_part_of_a_name() -> None:
    assert is_placed("bell@1-2") and not is_placed("me@home") and not is_placed("1-2")
