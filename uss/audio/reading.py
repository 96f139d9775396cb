"""Read any audio or video file, block by block or whole."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np

from uss.audio.ffmpeg import FfmpegDecoder
from uss.audio.libsndfile import LibsndfileDecoder, LibsndfileError
from uss.audio.resampling import resample
from uss.audio.sources import Recording, skipping
from uss.audio.tracks import TrackInfo, check_track, default_track, list_tracks
from uss.core.arrays import Waveform
from uss.core.errors import InputError

logger = logging.getLogger(__name__)


class AudioFile:
    """A file on disk: what libsndfile knows, else an audio track that FFmpeg finds.

    Args:
        path: the file.
        track: which of a film's audio tracks, from 1; None for the one that is flagged as default,
            else the first. A file that libsndfile reads has one.

    Attributes:
        path: the file.
        track: which it is.
        tracks: all of a film; none where libsndfile reads the file.
        film_offset_seconds: when the track starts in the film.
        sample_rate: in Hz.
        num_channels: C.
        channel_layout: which speakers the channels are for; None where the file does not say.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is empty, no known audio or video format, or has no such track.
    """

    def __init__(self, path: str | Path, track: int | None = 1) -> None:
        self.path = Path(path)
        self.track = 1 if track is None else track
        self.tracks: tuple[TrackInfo, ...] = ()
        self.film_offset_seconds = 0.0
        _check_file(self.path, self.track)
        self._decoder: LibsndfileDecoder | FfmpegDecoder
        try:
            self._decoder = LibsndfileDecoder(self.path)
        except LibsndfileError:
            self.tracks = list_tracks(self.path)
            if track is None:
                self.track = default_track(self.tracks)
            self._decoder = FfmpegDecoder(self.path, self.track)
            self.film_offset_seconds = self._decoder.film_offset_seconds
        else:
            check_track(self.path, self.track, 1)
        self.sample_rate = self._decoder.sample_rate
        self.num_channels = self._decoder.num_channels
        self.channel_layout = self._decoder.channel_layout
        self._num_samples: int | None = None
        self._is_whole = True

    def blocks(self) -> Generator[Waveform, None, None]:
        """Decode the file, from its start at every call.

        Of a damaged or cut file, what can be decoded is given; the log says so after the first
        complete pass. The file is closed with the iterator.

        Yields:
            (C, n) float32, of a second or less; integer formats are scaled so that full scale is 1.

        Raises:
            ValueError: if the file holds no samples or samples that are not finite, or changed
                since it was first read.
        """
        num_samples = 0
        for block in self._decode():
            self._check_finite(block, num_samples)
            num_samples += block.shape[1]
            yield block
        if num_samples == 0:
            raise InputError(f"{self.path} holds no audio samples; name a recording of some length")
        if self._num_samples is None:
            self._num_samples = num_samples
            self._report_damage()
        elif num_samples != self._num_samples:
            raise InputError(
                f"{self.path} changed while it was in use; wait until it is complete, or copy it"
            )

    def blocks_from(self, start: int) -> Generator[Waveform, None, None]:
        """Decode the file from a sample on.

        What lies before is not decoded where the format tells where the sample is. Damage before
        and after the blocks that are taken is not reported.

        Yields:
            As ``blocks``; nothing if the file ends before.

        Raises:
            ValueError: as ``blocks``.
        """
        if start == 0:
            yield from self.blocks()
            return
        num_samples = start
        for block in self._decode_from(start):
            self._check_finite(block, num_samples)
            num_samples += block.shape[1]
            yield block

    def _decode_from(self, start: int) -> Iterator[Waveform]:
        num_given = 0
        try:
            for block in self._decoder.blocks_from(start) or skipping(self._decode(), start):
                num_given += block.shape[1]
                yield block
        except LibsndfileError:
            # FFmpeg knows how to go on behind the damage.
            yield from skipping(self._decode(), start + num_given)

    def _decode(self) -> Iterator[Waveform]:
        num_samples = 0
        try:
            for block in self._decoder.blocks():
                num_samples += block.shape[1]
                yield block
            self._is_whole = self._decoder.is_whole
        except LibsndfileError:
            yield from self._decode_rest(num_samples)

    def _decode_rest(self, num_samples: int) -> Iterator[Waveform]:
        """Let FFmpeg go on, which finds the sound FLAC frames behind a damaged one."""
        self._is_whole = False
        try:
            decoder = FfmpegDecoder(self.path, 1)
        except ValueError:
            if num_samples == 0:
                raise
            return
        if (decoder.sample_rate, decoder.num_channels) != (self.sample_rate, self.num_channels):
            return
        position = 0
        for block in decoder.blocks():
            start = max(0, num_samples - position)
            position += block.shape[1]
            if start < block.shape[1]:
                yield block[:, start:]

    def _check_finite(self, block: Waveform, start: int) -> None:
        is_finite = np.isfinite(block).all(axis=0)
        if not is_finite.all():
            seconds = (start + int(is_finite.argmin())) / self.sample_rate
            raise InputError(
                f"{self.path} holds samples that are NaN or infinite, the first at {seconds:.1f} "
                "s; repair the file first"
            )

    def _report_damage(self) -> None:
        if not self._is_whole and self._num_samples is not None:
            logger.warning(
                "%s is damaged or cut off; the %.1f s of it that can be decoded are used",
                self.path,
                self._num_samples / self.sample_rate,
            )


def read_audio(path: str | Path, track: int = 1) -> Recording:
    """Decode a whole file.

    Of a damaged or cut file, what can be decoded is returned, with a warning in the log.

    Args:
        path: the file.
        track: which of a film's audio tracks, from 1; a file that libsndfile reads has one.

    Raises:
        FileNotFoundError, ValueError: as ``AudioFile`` and its ``blocks``.
    """
    file = AudioFile(path, track)
    return Recording(np.concatenate(list(file.blocks()), axis=1), file.sample_rate)


def read_mono(path: str | Path, sample_rate: int) -> Waveform:
    """Decode a file as the mean of its channels at the given rate.

    Returns:
        (T,) float32.

    Raises:
        FileNotFoundError, ValueError: as ``read_audio``.
    """
    recording = read_audio(path)
    return resample(recording.waveform.mean(axis=0), recording.sample_rate, sample_rate)


def _check_file(path: Path, track: int) -> None:
    if track < 1:
        raise InputError(f"there is no audio track {track}; the first is 1")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the path")
    if not path.is_file():
        raise InputError(f"{path} is not a file; name an audio or video file")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is an empty file; it may be an interrupted copy")
