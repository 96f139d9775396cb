"""Timecode (SMPTE ST 12-1): frames as hours, minutes, seconds and frames, and back."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from uss.interchange.hand_over import Picture

PLAIN_RATE = Fraction(25)
"""Of frames where there are no pictures."""
_TIMECODE = re.compile(r"(\d{1,2}):(\d\d):(\d\d)([:;.,])(\d{2,3})")
_DROPPING_RATES = frozenset({Fraction(30_000, 1001), Fraction(60_000, 1001)})


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
            ValueError: if it is none.
        """
        found = _TIMECODE.fullmatch(timecode.strip())
        if found is None:
            raise ValueError(f"{timecode!r} is no timecode")
        hours, minutes, seconds, frames = (int(found[part]) for part in (1, 2, 3, 5))
        total = 60 * hours + minutes
        frame = self.nominal_rate * (60 * total + seconds) + frames
        return frame - self._left_out * (total - total // 10) if self.is_drop else frame

    @property
    def _left_out(self) -> int:
        return self.nominal_rate // 15

    @property
    def _frames_of_ten_minutes(self) -> int:
        return 600 * self.nominal_rate - 9 * self._left_out


def counter_of(picture: Picture) -> FrameCounter:
    """Count the frames of a film."""
    return FrameCounter(picture.frame_rate, picture.is_drop)


def start_of(timecode: str | None, rate: Fraction) -> tuple[int, bool]:
    """Read the timecode of a film's first frame.

    Returns:
        The number of the frame, and whether the timecode leaves out numbers. A semicolon says so,
        at the rates that are not whole; a timecode that cannot be read is 0.
    """
    if timecode is None:
        return 0, False
    is_drop = any(mark in timecode for mark in ";,") and rate in _DROPPING_RATES
    try:
        return FrameCounter(rate, is_drop).read(timecode), is_drop
    except ValueError:
        return 0, False
