"""Clocks that start anew within a film: transport streams that were appended to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.stream import Stream

from uss.audio.tracks import CLOCKED_CONTAINERS

# As FFmpeg takes a transport stream's clock to be another one.
_BACK_SECONDS = Fraction(1, 10)
_FORTH_SECONDS = 10


@dataclass
class _Span:
    start: Fraction
    end: Fraction


@dataclass
class _Sections:
    """Tells which section of a film a packet belongs to: each has a clock of its own.

    Streams enter a section one after another, as the last packet of one is complete only when its
    next one begins.
    """

    num: int = 1
    _section: dict[int, int] = field(default_factory=dict)
    _last: dict[int, Fraction] = field(default_factory=dict)

    def of(self, stream: Stream, time: Fraction) -> int:
        """Give the section of a stream's next packet, from 0."""
        section, last = self._section.get(stream.index, self.num - 1), self._last.get(stream.index)
        if last is not None and not last - _BACK_SECONDS <= time <= last + _FORTH_SECONDS:
            if section == self.num - 1 and stream.type in ("audio", "video"):
                self.num += 1
            section = self.num - 1
        self._section[stream.index], self._last[stream.index] = section, time
        return section


class Clock:
    """What must be added to the times of packets, so that sections follow each other.

    Args:
        container: a film, at its start; it is read to its end if its kind has such clocks.
        streams: which of its streams are used; the same ones must be asked for afterwards, in the
            order of the film.

    Attributes:
        shifts: in seconds, of each section; a single 0 for nearly every film.
        followed: indexes of the streams that must be read for it; none where there is one section.
    """

    def __init__(self, container: InputContainer, streams: Sequence[Stream]) -> None:
        self.shifts = [Fraction(0)]
        if container.format.name in CLOCKED_CONTAINERS:
            self.shifts = _shifts(container, streams)
        is_one = len(self.shifts) == 1
        self.followed = frozenset() if is_one else frozenset(each.index for each in streams)
        self._sections = _Sections()

    def restart(self) -> None:
        """Begin with the film's first packet again."""
        self._sections = _Sections()

    def shift(self, packet: Any) -> Fraction:
        """Give the seconds to be added to a packet's times."""
        time = _time(packet)
        if len(self.shifts) == 1 or time is None:
            return self.shifts[0]
        return self.shifts[self._sections.of(packet.stream, time)]


def clocked_streams(container: InputContainer, track: Stream) -> list[Stream]:
    """Choose the streams that a film's clock is told by: its pictures and an audio track."""
    return [track, *container.streams.video]


def _time(packet: Any) -> Fraction | None:
    ticks = packet.pts if packet.dts is None else packet.dts
    return None if ticks is None else ticks * Fraction(packet.time_base)


def _shifts(container: InputContainer, streams: Sequence[Stream]) -> list[Fraction]:
    """Put each section as early as none of its streams begins before its own end so far."""
    sections, spans = _Sections(), [dict[int, _Span]()]
    try:
        for packet in container.demux(streams):
            time = _time(packet)
            if time is None:
                continue
            section = sections.of(packet.stream, time)
            while len(spans) <= section:
                spans.append({})
            _extend(spans[section], packet, time)
    except av.FFmpegError:
        pass  # what can be read until here is what will be read
    shifts, ends = [Fraction(0)], {index: span.end for index, span in spans[0].items()}
    for members in spans[1:]:
        late = [ends[index] - span.start for index, span in members.items() if index in ends]
        shift = max(late, default=shifts[-1])
        shifts.append(shift)
        ends.update({index: span.end + shift for index, span in members.items()})
    return shifts


def _extend(spans: dict[int, _Span], packet: Any, time: Fraction) -> None:
    span = spans.setdefault(packet.stream.index, _Span(time, time))
    seconds = (packet.duration or 0) * Fraction(packet.time_base)
    if not seconds:
        rate = getattr(packet.stream, "average_rate", None)
        seconds = 1 / Fraction(rate) if rate else Fraction(0)
    span.start = min(span.start, time)
    span.end = max(span.end, time + seconds)
