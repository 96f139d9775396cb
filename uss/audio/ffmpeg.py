"""Decode with FFmpeg: the sound of films, and what libsndfile does not know."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from av import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from uss.audio.libsndfile import MISSING_SECONDS
from uss.audio.sources import block_samples, reblock
from uss.core.arrays import Waveform
from uss.core.errors import InputError

# Containers that note how long their tracks are; others estimate it from the size of the file.
_TIMED_CONTAINERS = frozenset({"mov", "matroska", "flac"})


class FfmpegDecoder:
    """An audio track that FFmpeg finds in a file.

    Attributes:
        sample_rate: in Hz; of the first frame, as headers may be wrong.
        num_channels: C; of the first frame.
        is_whole: after a pass: whether nothing of the track is broken or missing.

    Raises:
        ValueError: if there is no such track, or nothing of it can be decoded.
    """

    def __init__(self, path: Path, track: int) -> None:
        self._path = path
        self._track = track
        self.is_whole = True
        with self._open() as (container, stream):
            frame, _ = next(self._frames(container, stream), (None, 0.0))
        if frame is None and not self.is_whole:
            raise InputError(self._unreadable())
        if frame is None:
            raise InputError(f"{path} holds no audio samples; name a recording of some length")
        self._layout = frame.layout
        self.sample_rate: int = frame.sample_rate
        self.num_channels: int = frame.layout.nb_channels

    def blocks(self) -> Iterator[Waveform]:
        """Decode from the start; silence takes the place of broken packets.

        Frames of another rate or of other channels than the first, as in broadcasts, are converted.

        Yields:
            (C, n) float32.

        Raises:
            ValueError: if the file can no longer be opened.
        """
        length = block_samples(self.sample_rate, self.num_channels)
        with self._open() as (container, stream):
            yield from reblock(self._pieces(container, stream), length)

    @contextmanager
    def _open(self) -> Iterator[tuple[InputContainer, AudioStream]]:
        try:
            with av.open(str(self._path.absolute())) as container:
                check_track(self._path, self._track, len(container.streams.audio))
                yield container, container.streams.audio[self._track - 1]
        except (av.FFmpegError, UnicodeDecodeError) as error:
            raise InputError(self._unreadable()) from error

    def _unreadable(self) -> str:
        return (
            f"{self._path} is not an audio or video file that libsndfile or FFmpeg can read, or it "
            "is cut off before its index; check that it plays, or convert it to WAV"
        )

    def _pieces(self, container: InputContainer, stream: AudioStream) -> Iterator[Waveform]:
        """Decode a track into the rate and channels of its first frame, (C, n) float32 each."""
        resampler, last_kind = av.AudioResampler("flt"), None
        for frame, lost_seconds in self._frames(container, stream):
            yield from self._silence(lost_seconds)
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            if last_kind not in (None, kind):
                # A resampler takes frames of one kind.
                yield from self._samples(resampler.resample(None))
                resampler = av.AudioResampler("flt", self._layout, self.sample_rate)
            yield from self._samples(resampler.resample(frame))
            last_kind = kind
        if last_kind is not None:
            yield from self._samples(resampler.resample(None))

    def _samples(self, frames: Sequence[AudioFrame]) -> Iterator[Waveform]:
        # Interleaved, as PyAV reads planes beyond the eighth from where there are none.
        for frame in frames:
            samples = frame.to_ndarray().reshape(-1, self.num_channels)
            yield np.ascontiguousarray(samples.T, dtype=np.float32)

    def _silence(self, seconds: float) -> Iterator[Waveform]:
        num_samples = round(seconds * self.sample_rate)
        length = block_samples(self.sample_rate, self.num_channels)
        for start in range(0, num_samples, length):
            yield np.zeros((self.num_channels, min(length, num_samples - start)), np.float32)

    def _frames(
        self, container: InputContainer, stream: AudioStream
    ) -> Iterator[tuple[AudioFrame, float]]:
        """Decode a track, each frame with the seconds lost to broken packets before it."""
        # FFmpeg skips damaged FLAC frames without an error, but knows the place of the next ones.
        is_numbered = container.format.name == "flac"
        # The last packet is shorter than FFmpeg expects then.
        may_be_short = container.format.name == "caf" and _is_caf_from_a_pipe(self._path)
        self.is_whole, is_gap, is_first, end_seconds = True, False, True, 0.0
        try:
            for packet in container.demux(stream):
                self.is_whole = self.is_whole and (may_be_short or not packet.is_corrupt)
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    self.is_whole, is_gap = False, True
                    continue
                for frame in frames:
                    start_seconds = end_seconds if frame.time is None else frame.time
                    is_late = (is_gap or is_numbered) and not is_first
                    yield frame, max(0.0, start_seconds - end_seconds) if is_late else 0.0
                    end_seconds = start_seconds + frame.samples / frame.sample_rate
                    is_gap = is_first = False
        except av.FFmpegError:
            self.is_whole = False
        promised = _promised_end_seconds(container, stream)
        self.is_whole = self.is_whole and end_seconds >= promised - MISSING_SECONDS


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
