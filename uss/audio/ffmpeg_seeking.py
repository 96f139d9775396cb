"""Begin to decode in the middle of a file, and know at which sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import av
from av import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from uss.audio.ffmpeg_containers import TIMESTAMPED_CONTAINERS, format_of
from uss.audio.placing import JITTER_SECONDS

# Overlapping transforms and bit reservoirs need some frames before they are right; pictures, by
# whose key frames films are entered, may lie far apart.
_MARGINS_SECONDS = (1, 4, 16)
_PREROLL_SECONDS = Fraction(1, 4)
_NUM_FRAMES = 8


@dataclass(frozen=True)
class FirstFrame:
    """How a track begins, once decoded.

    Attributes:
        start_seconds: the time it notes.
        num_samples: of the frame, without the padding.
        sample_rate: in Hz.
        num_channels: C.
    """

    start_seconds: Fraction
    num_samples: int
    sample_rate: int
    num_channels: int

    def seconds_of(self, position: int) -> Fraction:
        """When a sample is heard, of those that follow without a hole."""
        return self.start_seconds + Fraction(position, self.sample_rate)

    @classmethod
    def of(cls, frame: AudioFrame) -> FirstFrame | None:
        """Take it from a frame; None if that has no time."""
        if frame.pts is None or frame.time_base is None:
            return None
        seconds = frame.pts * Fraction(frame.time_base)
        return cls(seconds, frame.samples, frame.sample_rate, frame.layout.nb_channels)


@dataclass(frozen=True)
class Entry:
    """A place to begin at.

    Attributes:
        offset: what the container is asked to seek, in FFmpeg's microseconds.
        position: the sample that is then decoded first, counted from that of the track.
    """

    offset: int
    position: int


def offsets_before(first: FirstFrame, start: int) -> Iterator[int]:
    """Give where to seek to, ever earlier, so as to decode from sample ``start`` on."""
    for margin in _MARGINS_SECONDS:
        seconds = Fraction(start, first.sample_rate) - margin
        if seconds > 0:
            yield int((first.start_seconds + seconds) * av.time_base)


def is_steady(container: InputContainer, stream: AudioStream, end_seconds: Fraction) -> bool:
    """Whether a track runs up to a time without what only decoding all of it brings into order.

    Args:
        container: has just been opened; its packets are read up to there, and not decoded.
        stream: its track.
        end_seconds: the time.
    """
    kind = format_of(container)
    if kind == "mp3":
        return False  # where it is entered is guessed from its size
    if kind not in TIMESTAMPED_CONTAINERS:
        return True
    due: Fraction | None = None
    try:
        for packet in container.demux(stream):
            # The packet that ends a demuxed track is empty.
            if packet.size == 0:
                continue
            # The first, of a codec's padding, may be without a duration.
            if packet.pts is None or not (packet.duration or due is None):
                return False
            time = packet.pts * Fraction(packet.time_base)
            if due is not None and abs(time - due) > JITTER_SECONDS:
                return False
            if time > end_seconds:
                return True
            if packet.duration:
                due = time + packet.duration * Fraction(packet.time_base)
    except av.FFmpegError:
        return False
    return True


def find_entry(
    container: InputContainer, stream: AudioStream, first: FirstFrame, offset: int, start: int
) -> Entry | None:
    """Seek, and find out to the sample where that leads.

    Args:
        container: has just been opened.
        stream: its track.
        first: how the track begins.
        offset: as ``offsets_before`` gives it.
        start: the sample wanted.

    Returns:
        None where it leads too late, or where the times are too coarse to count samples by.
    """
    try:
        container.seek(offset)
        frames = list(islice(_decoded(container, stream), _NUM_FRAMES))
    except av.FFmpegError:
        return None
    position = _position(frames, first)
    latest = start - _PREROLL_SECONDS * first.sample_rate
    return Entry(offset, position) if position is not None and 0 <= position <= latest else None


def _decoded(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.FFmpegError:
            continue


def _position(frames: list[AudioFrame], first: FirstFrame) -> int | None:
    """Count the samples before some frames, of which the first may be incomplete."""
    kind = (first.sample_rate, first.num_channels)
    if any((frame.sample_rate, frame.layout.nb_channels) != kind for frame in frames):
        return None
    # The first frame after seeking may be cut, and not say so.
    number = next((n for n, frame in enumerate(frames) if n and frame.pts is not None), None)
    if number is None:
        return None
    frame = frames[number]
    tick = Fraction(frame.time_base or 1) * first.sample_rate
    noted = (frame.pts or 0) * tick - first.start_seconds * first.sample_rate
    sizes = {each.samples for each in frames[1:]}
    (size,) = sizes if len(sizes) == 1 else (0,)
    before = sum(each.samples for each in frames[:number])
    if tick == 1 or (tick < 1 and tick.numerator == 1):
        return round(noted) - before if noted.denominator == 1 else None
    if size <= 4 * (tick + 1):
        return None
    # Times are rounded, to milliseconds in Matroska; but frames of one size follow one another.
    counted = first.num_samples + size * round((noted - first.num_samples) / size)
    return counted - before if abs(counted - noted) <= tick + 1 else None
