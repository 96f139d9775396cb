import pytest

from uss.core.clock import format_time, parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("3723.5", 3723.5),
        (".5", 0.5),
        ("7.", 7.0),
        ("90", 90.0),
        ("1:02:03.5", 3723.5),
        ("01:02:03", 3723.0),
        ("62:03.5", 3723.5),
        (" 0:09 ", 9.0),
        ("100:00:00", 360_000.0),
    ],
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "-3", "1:2:3:4", "1e3", "nan", "inf", "1;30", "1:", ":5"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no time; give seconds"):
        parse_time(text)


@pytest.mark.parametrize("text", ["1:60", "0:75", "1:60:00", "0:00:60.5"])
def test_minutes_and_seconds_end_at_59(text: str) -> None:
    with pytest.raises(ValueError, match="carry them over"):
        parse_time(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0:00:00"),
        (3723.5, "1:02:03.5"),
        (59.9996, "0:01:00"),
        (9.125, "0:00:09.125"),
        (36_000.0, "10:00:00"),
        (600.0, "0:10:00"),
    ],
)
def test_times_are_written(seconds: float, text: str) -> None:
    assert format_time(seconds) == text
    assert parse_time(text) == pytest.approx(seconds, abs=5e-4)
