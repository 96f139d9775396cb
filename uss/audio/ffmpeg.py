"""Decode with FFmpeg: the sound of films, and what libsndfile does not know."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
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
from uss.audio.libsndfile import MISSING_SECONDS
from uss.audio.placing import Placed, Timeline
from uss.audio.remixing import remix
from uss.audio.sources import block_samples, reblock
from uss.audio.windows import WHOLE, Part, Window
from uss.core.arrays import Waveform
from uss.core.errors import InputError

# Containers that note how long their tracks are; others estimate it from the size of the file.
_TIMED_CONTAINERS = frozenset({"mov", "matroska", "flac"})
# Containers that say when each packet is heard; elsewhere FFmpeg counts bytes or packets.
_TIMESTAMPED_CONTAINERS = frozenset(
    {"mov", "matroska", "mpegts", "mpeg", "ogg", "asf", "flv", "nut", "mxf"}
)
# In these, streams follow each other; a time that lies back is the beginning of the next one.
_CHAINED_CONTAINERS = frozenset({"flac", "ogg"})


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
        if frame is None and not self.is_whole:
            raise InputError(self._unreadable())
        if frame is None:
            raise InputError(f"{path} holds no audio samples; name a recording of some length")
        self.sample_rate: int = frame.sample_rate
        self.num_channels: int = frame.layout.nb_channels

    def blocks(self) -> Iterator[Waveform]:
        """Decode from the start; silence takes the place of broken packets, and of missing ones.

        Frames of another rate or of other channels than the first, as in broadcasts, are converted.

        Yields:
            (C, n) float32.

        Raises:
            ValueError: if the file can no longer be opened.
        """
        length = block_samples(self.sample_rate, self.num_channels)
        if self._clock is None:
            # Read ahead once, as what follows each other must be known of all streams.
            with self._open() as (container, stream):
                self._clock = Clock(container, clocked_streams(container, stream))
        with self._open() as (container, stream):
            yield from reblock(self._pieces(container, stream), length)

    @contextmanager
    def _open(self) -> Iterator[tuple[InputContainer, AudioStream]]:
        is_window = self._part.start is not None
        file = Window(self._path, self._part) if is_window else None
        form = "mp3" if is_window and self._part.is_mpeg else None
        try:
            with av.open(file or str(self._path.absolute()), "r", form) as container:
                check_track(self._path, self._track, len(container.streams.audio))
                yield container, container.streams.audio[self._track - 1]
        except (av.FFmpegError, UnicodeDecodeError) as error:
            raise InputError(self._unreadable()) from error
        finally:
            if file is not None:
                file.close()

    def _unreadable(self) -> str:
        return (
            f"{self._path} is not an audio or video file that libsndfile or FFmpeg can read, or it "
            "is cut off before its index; check that it plays, or convert it to WAV"
        )

    def _pieces(self, container: InputContainer, stream: AudioStream) -> Iterator[Waveform]:
        """Decode a track into the rate and channels of its first frame, (C, n) float32 each."""
        resampler, last_kind = av.AudioResampler("flt"), None
        for frame, placed in self._frames(container, stream):
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            if last_kind is not None and (kind != last_kind or placed.silent_seconds):
                # A resampler takes frames of one kind, without a hole.
                yield from self._samples(resampler.resample(None))
                resampler = av.AudioResampler("flt", frame.layout, self.sample_rate)
            yield from self._silence(placed.silent_seconds)
            num_dropped = round(placed.dropped_seconds * self.sample_rate)
            yield from _without(self._samples(resampler.resample(frame)), num_dropped)
            last_kind = kind
        if last_kind is not None:
            yield from self._samples(resampler.resample(None))

    def _samples(self, frames: Sequence[AudioFrame]) -> Iterator[Waveform]:
        # Interleaved, as PyAV reads planes beyond the eighth from where there are none.
        for frame in frames:
            samples = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
            block = np.ascontiguousarray(samples.T, dtype=np.float32)
            yield remix(block, self.num_channels)

    def _silence(self, seconds: Fraction) -> Iterator[Waveform]:
        num_samples = round(seconds * self.sample_rate)
        length = block_samples(self.sample_rate, self.num_channels)
        for start in range(0, num_samples, length):
            yield np.zeros((self.num_channels, min(length, num_samples - start)), np.float32)

    def _frames(
        self, container: InputContainer, stream: AudioStream
    ) -> Iterator[tuple[AudioFrame, Placed]]:
        """Decode a track, each frame with what its timestamp asks for."""
        kind = container.format.name.split(",")[0]
        is_timed = kind in _TIMESTAMPED_CONTAINERS
        promised = _promised_end_seconds(container, stream)
        end_seconds = promised or (container.duration or 0) / av.time_base
        timeline = Timeline(
            end_seconds if kind in _TIMED_CONTAINERS else 0.0,
            may_overlap=kind not in _CHAINED_CONTAINERS,
        )
        if kind == "flac":
            # FFmpeg skips damaged frames without an error, but knows the place of the next ones.
            is_timed, timeline.jitter_seconds = True, Fraction(0)
        self.is_whole = True
        ahead: _Timed | None = None
        for timed in chain(self._decoded(container, stream), (None,)):
            if ahead is not None:
                yield (
                    ahead.frame,
                    timeline.place(
                        ahead.time,
                        Fraction(ahead.frame.samples, ahead.frame.sample_rate),
                        None if timed is None else timed.time,
                        is_timed or ahead.is_behind_gap,
                    ),
                )
            ahead = timed
        end = timeline.end
        if self._part.promised_seconds:
            promised, end = self._part.promised_seconds, end - (timeline.start or 0)
        self.is_whole = self.is_whole and end >= promised - MISSING_SECONDS
        self.notes = self._noted(timeline) if kind in _TIMESTAMPED_CONTAINERS else ()

    def _decoded(self, container: InputContainer, stream: AudioStream) -> Iterator[_Timed]:
        is_gap = False
        # The last packet is shorter than FFmpeg expects then.
        may_be_short = container.format.name == "caf" and _is_caf_from_a_pipe(self._path)
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

    def _noted(self, timeline: Timeline) -> tuple[str, ...]:
        num_clocks = 1 if self._clock is None else len(self._clock.shifts)
        notes = []
        if num_clocks > 1:
            notes.append(
                f"consists of {num_clocks} films with clocks of their own, which are joined"
            )
        if timeline.filled_seconds:
            seconds = float(timeline.filled_seconds)
            notes.append(
                f"has holes in its timestamps; {seconds:.2f} s of silence take the place of what "
                "is missing"
            )
        if timeline.dropped_seconds:
            seconds = float(timeline.dropped_seconds)
            notes.append(
                f"has overlapping timestamps; {seconds:.2f} s that come twice are left out"
            )
        if timeline.num_jumps:
            notes.append(
                f"has timestamps that jump ({timeline.num_jumps} times); what follows is joined "
                "without a hole"
            )
        return tuple(notes)


def _time(frame: AudioFrame, shift: Fraction) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * Fraction(frame.time_base) + shift


def _without(pieces: Iterable[Waveform], num_samples: int) -> Iterator[Waveform]:
    """Leave out the first samples of (C, n) each."""
    for piece in pieces:
        num_dropped = min(num_samples, piece.shape[1])
        num_samples -= num_dropped
        yield piece[:, num_dropped:]


def _is_caf_from_a_pipe(path: Path) -> bool:
    """Whether the size of a CAF file's sound is noted as unknown (Apple's specification: -1)."""
    with path.open("rb") as file:
        file.seek(8)
        while len(header := file.read(12)) == 12:
            kind, size = struct.unpack(">4sq", header)
            if kind == b"data" or size < 0:
                return bool(size == -1)
            file.seek(size, os.SEEK_CUR)
    return False


def check_track(path: Path, track: int, num_tracks: int) -> None:
    """Refuse a track that a file does not have.

    Raises:
        ValueError: naming the tracks it has.
    """
    if track <= num_tracks:
        return
    if num_tracks == 0:
        raise InputError(f"{path} has no audio track; name a file with sound")
    has, remedy = (
        ("1 audio track", "choose track 1")
        if num_tracks == 1
        else (f"{num_tracks} audio tracks", f"choose 1 to {num_tracks}")
    )
    raise InputError(f"{path} has {has}, so there is no track {track}; {remedy}")


def _promised_end_seconds(container: InputContainer, stream: AudioStream) -> float:
    """When a track ends according to its container; 0 where that does not say."""
    if container.format.name.split(",")[0] not in _TIMED_CONTAINERS:
        return 0.0
    if stream.duration is not None and stream.time_base is not None:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    # Matroska notes the time in a tag, as 00:00:05.064000000.
    noted = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
    if noted is None:
        return 0.0
    hours, minutes, seconds = noted.groups()
    return 3600.0 * int(hours) + 60.0 * int(minutes) + float(seconds)
