"""Where decoded sound belongs in time, by the timestamps of its container."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

# Containers count milliseconds, and captured sound jitters by several; what is lost is a packet,
# which lasts 20 ms or more in nearly every codec.
JITTER_SECONDS = Fraction(15, 1_000)
# Small holes, or a clock that runs apart from the samples: where FFmpeg's aresample steps in too.
_DRIFT_SECONDS = Fraction(100, 1_000)
# What lies further back is no overlap, but the beginning of something else.
_MAX_OVERLAP_SECONDS = 1
_MAX_BEYOND_THE_END_SECONDS = 10
_MAX_HOLE_SECONDS = 600


@dataclass(frozen=True)
class Placed:
    """What to do with a frame.

    Attributes:
        silent_seconds: to put before it.
        dropped_seconds: of its beginning, which were heard before.
    """

    silent_seconds: Fraction = Fraction(0)
    dropped_seconds: Fraction = Fraction(0)


@dataclass
class Timeline:
    """Places the frames of a track one after another.

    Frames that follow each other within the jitter of timestamps are joined as they are, so that
    nothing is done to an intact track.

    Attributes:
        end_seconds: when the track ends according to its container; 0 if that does not say.
        may_overlap: whether a frame that begins before its predecessor's end repeats it; in chained
            streams it is the first of the next one.
        jitter_seconds: what timestamps may be wrong by.
        start: when the first frame is heard; None before it has come.
        filled_seconds: of silence in the place of holes, so far.
        dropped_seconds: of overlaps.
        num_jumps: to times that cannot be right, over which the track goes on without a hole.
    """

    end_seconds: float = 0.0
    may_overlap: bool = True
    jitter_seconds: Fraction = JITTER_SECONDS
    start: Fraction | None = None
    filled_seconds: Fraction = Fraction(0)
    dropped_seconds: Fraction = Fraction(0)
    num_jumps: int = 0
    # When the next sample is due, by what was placed, and by the last timestamp.
    _due: Fraction = field(default=Fraction(0), repr=False)
    _last_end: Fraction = field(default=Fraction(0), repr=False)
    # Whether the next frame goes on with what was heard before.
    _is_repeating: bool = field(default=False, repr=False)

    @property
    def end(self) -> Fraction:
        """When the last frame ends, by its timestamp."""
        return self._last_end

    def notes(self, num_clocks: int = 1) -> tuple[str, ...]:
        """Say what was done, of a film that consists of some with clocks of their own."""
        notes = []
        if num_clocks > 1:
            notes.append(
                f"consists of {num_clocks} films with clocks of their own, which are joined"
            )
        if self.filled_seconds:
            seconds = float(self.filled_seconds)
            notes.append(
                f"has holes in its timestamps; {seconds:.2f} s of silence take the place of what "
                "is missing"
            )
        if self.dropped_seconds:
            seconds = float(self.dropped_seconds)
            notes.append(
                f"has overlapping timestamps; {seconds:.2f} s that come twice are left out"
            )
        if self.num_jumps:
            notes.append(
                f"has timestamps that jump ({self.num_jumps} times); what follows is joined "
                "without a hole"
            )
        return tuple(notes)

    def place(
        self,
        time: Fraction | None,
        seconds: Fraction,
        next_time: Fraction | None = None,
        is_trusted: bool = True,
    ) -> Placed:
        """Place the next frame.

        Args:
            time: its timestamp; None if it has none, and follows the last.
            seconds: how long it is.
            next_time: the timestamp of the frame after it; where that one is when it is due, a
                timestamp that is off is a slip of the container's writer.
            is_trusted: whether to go by the timestamp if it differs from the last frame's end.
        """
        if self.start is None:
            self.start = self._due = self._last_end = time or Fraction(0)
        if time is None:
            time = self._last_end
        placed = Placed()
        if not is_trusted:
            self._due = time
        elif self._is_off(time) or self._is_repeating:
            if self._is_slip(next_time, seconds):
                time = self._due
            else:
                placed = self._moved(time, seconds)
        self._due += seconds - placed.dropped_seconds + placed.silent_seconds
        self._last_end = time + seconds
        return placed

    def _is_off(self, time: Fraction, seconds: Fraction = Fraction(0)) -> bool:
        """Whether a timestamp is not when sound is due, or will be in some seconds."""
        drift, step = abs(time - self._due - seconds), abs(time - self._last_end - seconds)
        return drift > _DRIFT_SECONDS or min(drift, step) > self.jitter_seconds

    def _is_slip(self, next_time: Fraction | None, seconds: Fraction) -> bool:
        """Whether the next frame goes on as if this one's timestamp were right."""
        is_known = next_time is not None and not self._is_repeating
        return is_known and not self._is_off(next_time or Fraction(0), seconds)

    def _moved(self, time: Fraction, seconds: Fraction) -> Placed:
        late, self._is_repeating = time - self._due, False
        is_hole = late > 0 and self._may_be_hole(time, late)
        is_overlap = (
            self.may_overlap
            and -_MAX_OVERLAP_SECONDS <= late < 0
            and time > (self.start or 0) + _DRIFT_SECONDS
        )
        if is_hole:
            self.filled_seconds += late
            return Placed(silent_seconds=late)
        if is_overlap:
            dropped = min(-late, seconds)
            self.dropped_seconds += dropped
            self._is_repeating = dropped < -late
            return Placed(dropped_seconds=dropped)
        self.num_jumps += 1
        self._due = time
        return Placed()

    def _may_be_hole(self, time: Fraction, late: Fraction) -> bool:
        if self.end_seconds:
            return float(time) <= self.end_seconds + _MAX_BEYOND_THE_END_SECONDS
        return late <= _MAX_HOLE_SECONDS
