"""The clock of a film, by the frames that its time code counts."""

from fractions import Fraction

import pytest

from uss.audio.film_clock import meant_rate, timecode_seconds

NTSC = Fraction(30_000, 1_001)


@pytest.mark.parametrize(
    ("timecode", "rate", "frames"),
    [
        ("00:00:00:00", Fraction(25), 0),
        ("01:00:00:00", Fraction(25), 90_000),
        ("10:00:00:24", Fraction(25), 900_024),
        ("01:00:00:00", Fraction(24_000, 1_001), 86_400),
        ("01:00:00:00", NTSC, 108_000),
        # Drop-frame: 18 numbers of ten minutes are left out, two of each minute but the tenth.
        ("00:00:59;29", NTSC, 1_799),
        ("00:01:00;02", NTSC, 1_800),
        ("00:10:00;00", NTSC, 17_982),
        ("01:00:00;00", NTSC, 107_892),
        ("01:00:00.00", NTSC, 107_892),
        ("01:00:00;00", Fraction(60_000, 1_001), 215_784),
        ("01:00:00;00", Fraction(24_000, 1_001), 86_400),
        ("01:00:00;00", Fraction(30), 108_000),
    ],
)
def test_a_time_code_counts_frames(timecode: str, rate: Fraction, frames: int) -> None:
    assert timecode_seconds(timecode, rate) == frames / rate


@pytest.mark.parametrize(
    ("stored", "meant"),
    [
        (Fraction(19_001, 634), NTSC),
        (Fraction(2_997, 100), NTSC),
        (Fraction(23_976, 1_000), Fraction(24_000, 1_001)),
        (Fraction(24), Fraction(24)),
        (Fraction(50), Fraction(50)),
        (Fraction(2_397, 100), Fraction(24_000, 1_001)),
        (Fraction(37, 3), Fraction(37, 3)),
    ],
)
def test_a_rounded_rate_is_the_one_that_ismeant_rate(stored: Fraction, meant: Fraction) -> None:
    assert meant_rate(stored) == meant


def test_drop_frame_stays_with_the_clock() -> None:
    assert abs(float(timecode_seconds("01:00:00;00", NTSC)) - 3_600.0) < 0.004
    assert timecode_seconds("01:00:00:00", NTSC) == Fraction("3603.6")
