"""When a film's clock starts, by its time code: hours, minutes, seconds and frames."""

from __future__ import annotations

import re
from fractions import Fraction

from av.container import InputContainer

from uss.core.errors import InputError

_TIMECODE = re.compile(r"(\d{2}):(\d{2}):(\d{2})([:;.])(\d{2,3})")
_MINUTES = 60
_SECONDS = 3_600
_NTSC = Fraction(1_000, 1_001)
# Half of what lies between 24 and 23.976.
_NEAR = Fraction(1, 2_000)


def timecode_seconds(timecode: str, rate: Fraction) -> Fraction:
    """Tell how long after midnight a time code is, in real time.

    A time code counts frames: at 29.97 fps 01:00:00:00 is the 108,000th, 3,603.6 s after midnight.
    Drop-frame codes leave out the first two numbers of every minute but the tenth (four at 59.94
    fps; SMPTE ST 12-1), and so stay within 2 frames of a clock.

    Args:
        timecode: ``hh:mm:ss:ff``; a semicolon or a point before the frames for drop-frame, of
            rates that are not whole.
        rate: of the frames, such as 30000/1001.

    Raises:
        ValueError: if it is none, or numbers a frame that its rate does not have.
    """
    found = _TIMECODE.fullmatch(timecode.strip())
    per_second = round(rate)
    if found is None or rate <= 0:
        raise InputError(f"{timecode!r} is no time code; write hh:mm:ss:ff")
    hours, minutes, seconds, frames = (int(found[group]) for group in (1, 2, 3, 5))
    if minutes >= _MINUTES or seconds >= _MINUTES or frames >= per_second:
        raise InputError(f"{timecode!r} is no time code at {per_second} frames per second")
    all_minutes = hours * _MINUTES + minutes
    number = (hours * _SECONDS + minutes * _MINUTES + seconds) * per_second + frames
    if found[4] != ":" and rate != per_second:
        dropped = 2 * (per_second // 30)
        number -= dropped * (all_minutes - all_minutes // 10)
    return Fraction(number) / rate


def timecode_in(container: InputContainer) -> tuple[str, Fraction] | None:
    """Find the time code that a film starts at, and the rate it counts in.

    Returns:
        None if the film states none, or shows no pictures that give it a rate.
    """
    noted = [container.metadata, *(stream.metadata for stream in container.streams)]
    codes = (metadata.get("timecode") for metadata in noted)
    code = next((each for each in codes if each and _TIMECODE.fullmatch(each.strip())), None)
    rates = (stream.average_rate or stream.guessed_rate for stream in container.streams.video)
    rate = next((Fraction(each) for each in rates if each), None)
    return None if code is None or rate is None else (code, meant_rate(rate))


def meant_rate(rate: Fraction) -> Fraction:
    """Take the rate that is meant, whole or NTSC's, as containers round the times of frames."""
    whole = Fraction(round(rate * 1_001 / 1_000))
    near = [each for each in (whole, whole * _NTSC) if abs(each - rate) < _NEAR * rate]
    return min(near, key=lambda each: abs(each - rate), default=rate)
