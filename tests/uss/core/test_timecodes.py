"""Timecode against published values and a count of every frame."""

from fractions import Fraction
from itertools import pairwise

import opentimelineio as otio
import pytest

from uss.core.timecodes import FrameCounter, counter_for, is_timecode

NTSC = Fraction(30_000, 1001)
FILM = Fraction(24_000, 1001)
RATES = [
    (FILM, False),
    (Fraction(24), False),
    (Fraction(25), False),
    (NTSC, False),
    (NTSC, True),
    (Fraction(30), False),
    (Fraction(60_000, 1001), True),
]


def test_an_hour_of_drop_frame_is_an_hour() -> None:
    counter = FrameCounter(NTSC, is_drop=True)
    # SMPTE ST 12-1: 107,892 frames; an hour of the clock is 3.6 ms longer.
    assert counter.read("01:00:00;00") == 107_892
    assert counter.seconds_of(107_892) == pytest.approx(3_599.9964)
    assert counter.write(107_892) == "01:00:00;00"
    assert FrameCounter(NTSC).read("01:00:00:00") == 108_000
    assert FrameCounter(NTSC).seconds_of(108_000) == pytest.approx(3_603.6)


def test_drop_frame_leaves_out_two_numbers_a_minute_but_every_tenth() -> None:
    counter = FrameCounter(NTSC, is_drop=True)
    assert [counter.write(frame) for frame in (1_799, 1_800)] == ["00:00:59;29", "00:01:00;02"]
    assert [counter.write(frame) for frame in (17_981, 17_982)] == ["00:09:59;29", "00:10:00;00"]
    assert counter.write(17_982 + 1_800) == "00:11:00;02"
    assert FrameCounter(Fraction(60_000, 1001), is_drop=True).write(3_600) == "00:01:00;04"


@pytest.mark.parametrize(("rate", "is_drop"), RATES)
def test_all_frames_of_eleven_minutes_come_back(rate: Fraction, is_drop: bool) -> None:
    counter = FrameCounter(rate, is_drop)
    codes = [counter.write(frame) for frame in range(round(660 * rate))]
    assert all(one < other for one, other in pairwise(codes))
    assert [counter.read(code) for code in codes] == list(range(len(codes)))


@pytest.mark.parametrize("frame", [0, 1_799, 1_800, 17_982, 107_892, 999_999, 2_589_407])
def test_drop_frame_is_that_of_opentimelineio(frame: int) -> None:
    time = otio.opentime.RationalTime(frame, 30_000 / 1001)
    written = otio.opentime.to_timecode(time, 30_000 / 1001)
    assert FrameCounter(NTSC, is_drop=True).write(frame) == written


@pytest.mark.parametrize(("rate", "is_drop"), RATES)
def test_frames_are_found_by_their_times(rate: Fraction, is_drop: bool) -> None:
    counter = FrameCounter(rate, is_drop)
    for frame in (0, 1, 1_800, 107_892, 500_000):
        assert counter.frame_at(counter.seconds_of(frame)) == frame
    assert counter.frame_at(0.5 / float(rate) + 1e-9) == 1


def test_a_day_later_it_begins_again() -> None:
    assert FrameCounter(Fraction(25)).write(25 * 86_400 + 3) == "00:00:00:03"


@pytest.mark.parametrize(
    ("timecode", "rate", "is_drop"),
    [
        ("01:00:00;00", NTSC, True),
        ("01:00:00.00", NTSC, True),
        ("01:00:00:00", NTSC, False),
        ("01:00:00;00", Fraction(120_000, 1001), True),
        ("01:00:00;00", Fraction(25), False),
        ("01:00:00;00", Fraction(30), False),
        ("10:00:00;12", FILM, False),
    ],
)
def test_a_semicolon_leaves_out_numbers_where_a_rate_does(
    timecode: str, rate: Fraction, is_drop: bool
) -> None:
    assert counter_for(timecode, rate) == FrameCounter(rate, is_drop)


@pytest.mark.parametrize(
    "timecode", ["", "1:00:00:00", "01:00:00", "01:60:00:00", "00:00:00:25", "midnight"]
)
def test_what_is_no_time_code_is_refused(timecode: str) -> None:
    with pytest.raises(ValueError, match="no time code"):
        counter_for(timecode, Fraction(25)).read(timecode)


def test_a_frame_that_the_rate_does_not_have_still_has_the_form() -> None:
    assert is_timecode(" 00:00:00:25 ")
    assert not is_timecode("1:00:00:00")


def test_nothing_counts_at_no_rate() -> None:
    with pytest.raises(ValueError, match="give more than 0"):
        counter_for("01:00:00:00", Fraction(0))
