"""Decode a part of a file with what knows it: libsndfile, else FFmpeg."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from uss.audio.ffmpeg import FfmpegDecoder
from uss.audio.libsndfile import LibsndfileDecoder, LibsndfileError, LibsndfileGoesOnError
from uss.audio.parts import is_for_ffmpeg
from uss.audio.tracks import TrackInfo, check_track, default_track, list_tracks
from uss.audio.windows import WHOLE, Part
from uss.core.arrays import Waveform


class PartDecoder:
    """A part of a file: what libsndfile knows, else an audio track that FFmpeg finds.

    Args:
        path: the file.
        track: which of a film's audio tracks, from 1; None for the one that is flagged as default,
            else the first. What libsndfile reads has one.
        part: which bytes of it.

    Attributes:
        track: which it is.
        tracks: all of a film; none where it is no film.
        film_offset_seconds: when the track starts in the film.
        sample_rate: in Hz.
        num_channels: C.
        channel_layout: which speakers the channels are for; None where the file does not say.
        is_whole: after a pass: whether nothing of it is broken or missing.
        notes: after a pass: what was done because of the container's header or timestamps.

    Raises:
        ValueError: if it is no known audio or video format, or has no such track.
    """

    def __init__(self, path: Path, track: int | None = 1, part: Part = WHOLE) -> None:
        self._path = path
        self._part = part
        self.track = 1 if track is None else track
        self.tracks: tuple[TrackInfo, ...] = ()
        self.film_offset_seconds = 0.0
        self._decoder = self._chosen(is_default=track is None)
        self.sample_rate = self._decoder.sample_rate
        self.num_channels = self._decoder.num_channels
        self.channel_layout = self._decoder.channel_layout
        self.is_whole = True
        self.notes: tuple[str, ...] = ()

    def _chosen(self, *, is_default: bool) -> LibsndfileDecoder | FfmpegDecoder:
        if self._part.is_mpeg or (self._part == WHOLE and is_for_ffmpeg(self._path)):
            return FfmpegDecoder(self._path, self.track, self._part)
        try:
            decoder = LibsndfileDecoder(self._path, self._part)
        except LibsndfileError:
            self.tracks = list_tracks(self._path)
            if is_default:
                self.track = default_track(self.tracks)
            film = FfmpegDecoder(self._path, self.track, self._part)
            self.film_offset_seconds = film.film_offset_seconds
            return film
        check_track(self._path, self.track, 1)
        return decoder

    def blocks(self) -> Iterator[Waveform]:
        """Decode from the start.

        Yields:
            (C, n) float32.

        Raises:
            ValueError: if nothing can be decoded.
        """
        return self._going_on(self._decoder.blocks(), 0)

    def blocks_from(self, start: int) -> Iterator[Waveform] | None:
        """Decode from a sample on.

        Returns:
            As ``blocks``; None where finding the sample takes decoding what lies before it.
        """
        blocks = self._decoder.blocks_from(start)
        return None if blocks is None else self._going_on(blocks, start)

    def _going_on(self, blocks: Iterator[Waveform], start: int) -> Iterator[Waveform]:
        num_samples = start
        try:
            for block in blocks:
                num_samples += block.shape[1]
                yield block
            self.is_whole = self._decoder.is_whole
        except LibsndfileGoesOnError:
            self.is_whole = self._decoder.is_whole
            yield from self._rest(num_samples)
        except LibsndfileError:
            self.is_whole = False
            yield from self._rest(num_samples)
        self.is_whole = self.is_whole and not self._part.is_cut
        self.notes = (self._part.note,) if self._part.note else ()
        if isinstance(self._decoder, FfmpegDecoder):
            self.notes += self._decoder.notes

    def _rest(self, num_samples: int) -> Iterator[Waveform]:
        """Let FFmpeg go on: behind a damaged FLAC frame, or in the next FLAC file."""
        try:
            decoder = FfmpegDecoder(self._path, 1, self._part)
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
        if position > num_samples:
            self.is_whole = self.is_whole and decoder.is_whole
