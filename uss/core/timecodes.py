"""Timecode (SMPTE ST 12-1): frames as hours, minutes, seconds and frames, and back."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from uss.core.errors import InputError

_TIMECODE = re.compile(r"(\d{2}):(\d{2}):(\d{2})([:;.,])(\d{2,3})")
_SECONDS, _MINUTES = 60, 60
_COUNTED = 30
"""Numbers are left out at the rates just below this and its multiples."""


@dataclass(frozen=True)
class FrameCounter:
    """Counts the frames of a film.

    At 29.97 frames a second, hours that count 30 frames for each second last 3.6 s longer than
    those of a clock. Drop-frame timecode leaves out the first two numbers (four at 59.94) of each
    minute but every tenth, so that 17,982 numbers stand for ten minutes.

    Attributes:
        rate: frames per second.
        is_drop: whether numbers are left out.
    """

    rate: Fraction
    is_drop: bool = False

    @property
    def nominal_rate(self) -> int:
        """Numbers per second."""
        return max(1, round(self.rate))

    def frame_at(self, seconds: float) -> int:
        """Number the frame that is nearest to a time, from 0."""
        return math.floor(Fraction(seconds) * self.rate + Fraction(1, 2))

    def seconds_of(self, frame: int) -> float:
        """When a frame begins."""
        return float(frame / self.rate)

    def write(self, frame: int) -> str:
        """Write the number of a frame as timecode; a day later it begins again."""
        nominal, shown = self.nominal_rate, frame
        if self.is_drop:
            tens, rest = divmod(frame, self._frames_of_ten_minutes)
            minute = max(0, rest - self._left_out) // (60 * nominal - self._left_out)
            shown += self._left_out * (9 * tens + minute)
        seconds, frames = divmod(shown, nominal)
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        mark = ";" if self.is_drop else ":"
        return f"{hours % 24:02}:{minutes:02}:{seconds:02}{mark}{frames:02}"

    def read(self, timecode: str) -> int:
        """Number the frame that a timecode stands for.

        Raises:
            ValueError: if it is none, or numbers a frame that its rate does not have.
        """
        found = _TIMECODE.fullmatch(timecode.strip())
        if found is None:
            raise InputError(f"{timecode!r} is no time code; write hh:mm:ss:ff")
        hours, minutes, seconds, frames = (int(found[part]) for part in (1, 2, 3, 5))
        if minutes >= _MINUTES or seconds >= _SECONDS or frames >= self.nominal_rate:
            raise InputError(
                f"{timecode!r} is no time code at {self.nominal_rate} frames per second"
            )
        total = _MINUTES * hours + minutes
        frame = self.nominal_rate * (_SECONDS * total + seconds) + frames
        return frame - self._left_out * (total - total // 10) if self.is_drop else frame

    @property
    def _left_out(self) -> int:
        return self.nominal_rate // 15

    @property
    def _frames_of_ten_minutes(self) -> int:
        return 600 * self.nominal_rate - 9 * self._left_out


def counter_for(timecode: str, rate: Fraction) -> FrameCounter:
    """Choose what reads a timecode.

    A semicolon, comma or point before its frames says that numbers are left out, at rates that are
    not whole.

    Args:
        timecode: ``hh:mm:ss:ff``.
        rate: of the frames, such as 30000/1001.

    Raises:
        ValueError: if nothing counts at this rate.
    """
    if rate <= 0:
        raise InputError(f"no time code counts {rate} frames per second; give more than 0")
    found = _TIMECODE.fullmatch(timecode.strip())
    may_drop = rate.denominator != 1 and round(rate) % _COUNTED == 0
    return FrameCounter(rate, found is not None and found[4] != ":" and may_drop)


def is_timecode(text: str) -> bool:
    """Whether a text has the form of a timecode."""
    return _TIMECODE.fullmatch(text.strip()) is not None
