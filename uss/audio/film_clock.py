"""When a film's clock starts, by its time code: hours, minutes, seconds and frames."""

from __future__ import annotations

from fractions import Fraction

from av.container import InputContainer

from uss.core.timecodes import counter_for, is_timecode

_NTSC = Fraction(1_000, 1_001)
# Half of what lies between 24 and 23.976.
_NEAR = Fraction(1, 2_000)


def timecode_seconds(timecode: str, rate: Fraction) -> Fraction:
    """Tell how long after midnight a time code is, in real time.

    A time code counts frames: at 29.97 fps 01:00:00:00 is the 108,000th, 3,603.6 s after midnight.

    Args:
        timecode: ``hh:mm:ss:ff``; see ``counter_for``.
        rate: of the frames, such as 30000/1001.

    Raises:
        ValueError: if it is none, or numbers a frame that its rate does not have.
    """
    return Fraction(counter_for(timecode, rate).read(timecode)) / rate


def timecode_in(container: InputContainer) -> tuple[str, Fraction] | None:
    """Find the time code that a film starts at, and the rate it counts in.

    Returns:
        None if the film states none, or shows no pictures that give it a rate.
    """
    noted = [container.metadata, *(stream.metadata for stream in container.streams)]
    codes = (metadata.get("timecode") for metadata in noted)
    code = next((each for each in codes if each and is_timecode(each)), None)
    rates = (stream.average_rate or stream.guessed_rate for stream in container.streams.video)
    rate = next((Fraction(each) for each in rates if each), None)
    return None if code is None or rate is None else (code, meant_rate(rate))


def meant_rate(rate: Fraction) -> Fraction:
    """Take the rate that is meant, whole or NTSC's, as containers round the times of frames."""
    whole = Fraction(round(rate * 1_001 / 1_000))
    near = [each for each in (whole, whole * _NTSC) if abs(each - rate) < _NEAR * rate]
    return min(near, key=lambda each: abs(each - rate), default=rate)
