"""Decode with FFmpeg: the sound of films, and what libsndfile does not know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from av import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from uss.audio.clocks import Clock, clocked_streams
from uss.audio.ffmpeg_containers import (
    CHAINED_CONTAINERS,
    TIMED_CONTAINERS,
    TIMESTAMPED_CONTAINERS,
    format_of,
    is_caf_from_a_pipe,
    promised_end_seconds,
)
from uss.audio.ffmpeg_seeking import Entry, FirstFrame, find_entry, is_steady, offsets_before
from uss.audio.layouts import ChannelLayout, settled_layout
from uss.audio.libsndfile import MISSING_SECONDS
from uss.audio.placing import Placed, Timeline
from uss.audio.remixing import remix
from uss.audio.sources import block_samples, reblock, skipping
from uss.audio.tracks import check_track, film_offset_seconds, tracks_in
from uss.audio.windows import WHOLE, Part, Window
from uss.core.arrays import Waveform
from uss.core.errors import InputError


@dataclass(frozen=True)
class _Timed:
    """A frame, when it is heard, and whether packets before it could not be decoded."""

    frame: AudioFrame
    time: Fraction | None
    is_behind_gap: bool


class FfmpegDecoder:
    """An audio track that FFmpeg finds in a file.

    Args:
        path: the file.
        track: which of its audio tracks, from 1.
        part: which bytes of the file.

    Attributes:
        sample_rate: in Hz; of the first frame, as headers may be wrong.
        num_channels: C; of the first frame.
        channel_layout: which speakers the channels are for; None where the file does not say.
        film_offset_seconds: when the track starts in the film.
        is_whole: after a pass: whether nothing of the track is broken or missing.
        notes: after a pass: what was done because of the container's timestamps.

    Raises:
        ValueError: if there is no such track, or nothing of it can be decoded.
    """

    def __init__(self, path: Path, track: int, part: Part = WHOLE) -> None:
        self._path = path
        self._track = track
        self._part = part
        self._clock: Clock | None = None
        self.is_whole = True
        self.notes: tuple[str, ...] = ()
        with self._open() as (container, stream):
            frame, _ = next(self._frames(container, stream), (None, Placed()))
            offset = film_offset_seconds(container, frame) if frame else 0.0
        if frame is None and not self.is_whole:
            raise InputError(_unreadable(self._path))
        if frame is None:
            raise InputError(f"{path} holds no audio samples; name a recording of some length")
        self.sample_rate: int = frame.sample_rate
        self.num_channels: int = frame.layout.nb_channels
        self.film_offset_seconds = offset
        self._first = FirstFrame.of(frame)
        own = ChannelLayout.of_ffmpeg(frame.layout)
        self.channel_layout = self._settled if self._settled and self._settled.mask is None else own

    def blocks(self) -> Iterator[Waveform]:
        """Decode from the start; silence takes the place of broken packets, and of missing ones.

        Frames of another rate or of other channels than the first, as in broadcasts, are converted.

        Yields:
            (C, n) float32.

        Raises:
            ValueError: if the file can no longer be opened.
        """
        self._read_clock()
        length = block_samples(self.sample_rate, self.num_channels)
        with self._open() as (container, stream):
            yield from reblock(self._pieces(container, stream), length)

    def blocks_from(self, start: int) -> Iterator[Waveform] | None:
        """Decode from a sample on, without decoding all that lies before it.

        Returns:
            As ``blocks``; None where the file does not tell which sample is where.
        """
        if self._first is None or self._part != WHOLE or len(self._read_clock().shifts) > 1:
            return None
        entry = self._entry(self._first, start)
        return None if entry is None else self._blocks_after(self._first, entry, start)

    def _read_clock(self) -> Clock:
        """Read ahead once, as what follows each other must be known of all streams."""
        if self._clock is None:
            with self._open() as (container, stream):
                self._clock = Clock(container, clocked_streams(container, stream))
        return self._clock

    def _entry(self, first: FirstFrame, start: int) -> Entry | None:
        with self._open() as (container, stream):
            if not is_steady(container, stream, first.seconds_of(start)):
                return None
        for offset in offsets_before(first, start):
            with self._open() as (container, stream):
                entry = find_entry(container, stream, first, offset, start)
            if entry is not None:
                return entry
        return None

    def _blocks_after(self, first: FirstFrame, entry: Entry, start: int) -> Iterator[Waveform]:
        with self._open() as (container, stream):
            container.seek(entry.offset)
            pieces = self._pieces(container, stream, first.seconds_of(entry.position))
            length = block_samples(self.sample_rate, self.num_channels)
            yield from reblock(skipping(pieces, start - entry.position), length)

    @contextmanager
    def _open(self) -> Iterator[tuple[InputContainer, AudioStream]]:
        file = None if self._part.start is None else Window(self._path, self._part)
        form = "mp3" if file is not None and self._part.is_mpeg else None
        try:
            with av.open(file or str(self._path.absolute()), "r", form) as container:
                tracks = tracks_in(container)
                check_track(self._path, self._track, len(tracks), tracks)
                stream = container.streams.audio[self._track - 1]
                self._settled = settled_layout(stream)
                yield container, stream
        except (av.FFmpegError, UnicodeDecodeError) as error:
            raise InputError(_unreadable(self._path)) from error
        finally:
            if file is not None:
                file.close()

    def _pieces(
        self,
        container: InputContainer,
        stream: AudioStream,
        entered_seconds: Fraction | None = None,
    ) -> Iterator[Waveform]:
        """Decode a track into the rate and channels of its first frame, (C, n) float32 each."""
        resampler, last_kind = av.AudioResampler("flt"), None
        for frame, placed in self._frames(container, stream, entered_seconds):
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            if last_kind is not None and (kind != last_kind or placed.silent_seconds):
                # A resampler takes frames of one kind, without a hole.
                yield from _samples(resampler.resample(None), self.num_channels)
                resampler = av.AudioResampler("flt", frame.layout, self.sample_rate)
            yield from _silence(placed.silent_seconds, self.sample_rate, self.num_channels)
            num_dropped = round(placed.dropped_seconds * self.sample_rate)
            yield from skipping(_samples(resampler.resample(frame), self.num_channels), num_dropped)
            last_kind = kind
        if last_kind is not None:
            yield from _samples(resampler.resample(None), self.num_channels)

    def _frames(
        self,
        container: InputContainer,
        stream: AudioStream,
        entered_seconds: Fraction | None = None,
    ) -> Iterator[tuple[AudioFrame, Placed]]:
        """Decode a track, each frame with what its timestamp asks for.

        Args:
            container: at its start, or where it is entered.
            stream: the track.
            entered_seconds: when the first frame is heard, as its own time may be that of what was
                cut from it, and is rounded.
        """
        kind = format_of(container)
        # FFmpeg skips damaged frames of FLAC without an error, but knows the next ones' place.
        is_timed = kind in TIMESTAMPED_CONTAINERS or kind == "flac"
        promised = promised_end_seconds(container, stream)
        timeline = _timeline_of(container, promised)
        self.is_whole, ahead = True, None
        for timed in chain(self._decoded(container, stream), (None,)):
            if ahead is not None:
                time, next_time = ahead.time, None if timed is None else timed.time
                seconds = Fraction(ahead.frame.samples, ahead.frame.sample_rate)
                if timeline.start is None and entered_seconds is not None:
                    time = entered_seconds
                trusted = is_timed or ahead.is_behind_gap
                yield ahead.frame, timeline.place(time, seconds, next_time, trusted)
            ahead = timed
        end = timeline.end
        if self._part.promised_seconds:
            promised, end = self._part.promised_seconds, end - (timeline.start or 0)
        # Behind a jump, as in films that were appended, times are those of another film.
        if not timeline.num_jumps and end < promised - MISSING_SECONDS:
            self.is_whole = False
        num_clocks = len(self._clock.shifts) if self._clock else 1
        self.notes = timeline.notes(num_clocks) if kind in TIMESTAMPED_CONTAINERS else ()

    def _decoded(self, container: InputContainer, stream: AudioStream) -> Iterator[_Timed]:
        is_gap = False
        # The last packet is shorter than FFmpeg expects then.
        may_be_short = container.format.name == "caf" and is_caf_from_a_pipe(self._path)
        try:
            for packet, shift in self._packets(container, stream):
                self.is_whole = self.is_whole and (may_be_short or not packet.is_corrupt)
                try:
                    frames: Any = packet.decode()
                except av.FFmpegError:
                    self.is_whole, is_gap = False, True
                    continue
                for frame in frames:
                    yield _Timed(frame, _time(frame, shift), is_gap)
                    is_gap = False
        except av.FFmpegError:
            self.is_whole = False

    def _packets(
        self, container: InputContainer, stream: AudioStream
    ) -> Iterator[tuple[Any, Fraction]]:
        """Give the track's packets, with the seconds that their times are to be late by."""
        clock = self._clock
        if clock is None or len(clock.shifts) == 1:
            yield from ((packet, Fraction(0)) for packet in container.demux(stream))
            return
        clock.restart()
        for packet in container.demux(clocked_streams(container, stream)):
            shift = clock.shift(packet)
            if packet.stream.index == stream.index:
                yield packet, shift


def _timeline_of(container: InputContainer, promised_seconds: float) -> Timeline:
    """Make the timeline of a track that may promise when it ends."""
    kind = format_of(container)
    end_seconds = promised_seconds or (container.duration or 0) / av.time_base
    timeline = Timeline(
        end_seconds if kind in TIMED_CONTAINERS else 0.0,
        may_overlap=kind not in CHAINED_CONTAINERS,
    )
    if kind == "flac":
        timeline.jitter_seconds = Fraction(0)
    return timeline


def _time(frame: AudioFrame, shift: Fraction) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * Fraction(frame.time_base) + shift


def _samples(frames: Sequence[AudioFrame], num_channels: int) -> Iterator[Waveform]:
    # Interleaved, as PyAV reads planes beyond the eighth from where there are none.
    for frame in frames:
        samples = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
        block = np.ascontiguousarray(samples.T, dtype=np.float32)
        yield remix(block, num_channels)


def _silence(seconds: Fraction, sample_rate: int, num_channels: int) -> Iterator[Waveform]:
    num_samples = round(seconds * sample_rate)
    length = block_samples(sample_rate, num_channels)
    for start in range(0, num_samples, length):
        yield np.zeros((num_channels, min(length, num_samples - start)), np.float32)


def _unreadable(path: Path) -> str:
    return (
        f"{path} is not an audio or video file that libsndfile or FFmpeg can read, or it "
        "is cut off before its index; check that it plays, or convert it to WAV"
    )
