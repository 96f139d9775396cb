"""Read any audio or video file, block by block or whole."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np

from uss.audio.damage import Converted, Damage
from uss.audio.decoding import PartDecoder
from uss.audio.parts import find_parts
from uss.audio.remixing import converted
from uss.audio.resampling import resample
from uss.audio.sources import Recording, skipping
from uss.audio.windows import Part
from uss.core.arrays import Waveform
from uss.core.errors import InputError


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
        _check_file(self.path, 1 if track is None else track)
        self._parts = find_parts(self.path)
        self._first, self._decoder = self._first_decodable(track)
        self.track = self._decoder.track
        self.tracks = self._decoder.tracks
        self.film_offset_seconds = self._decoder.film_offset_seconds
        self.sample_rate = self._decoder.sample_rate
        self.num_channels = self._decoder.num_channels
        self.channel_layout = self._decoder.channel_layout
        self._num_samples: int | None = None

    def _first_decodable(self, track: int | None) -> tuple[int, PartDecoder]:
        last = len(self._parts) - 1
        for index, part in enumerate(self._parts):
            try:
                return index, PartDecoder(self.path, track, part)
            except ValueError:
                if index == last:
                    raise
        raise AssertionError("there is always a part")

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
        num_samples, damage = 0, Damage()
        for block in self._decode(damage):
            self._check_finite(block, num_samples)
            num_samples += block.shape[1]
            yield block
        if num_samples == 0:
            raise InputError(f"{self.path} holds no audio samples; name a recording of some length")
        if self._num_samples is None:
            self._num_samples = num_samples
            damage.report(self.path, num_samples / self.sample_rate)
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
        blocks = self._decoder.blocks_from(start) if len(self._parts) == 1 else None
        return skipping(self._decode(Damage()), start) if blocks is None else blocks

    def _decode(self, damage: Damage) -> Iterator[Waveform]:
        """Decode one part after another, at the rate and with the channels of the first."""
        num_samples = 0
        for index, part in enumerate(self._parts):
            decoder = self._decoder if index == self._first else self._opened(part)
            if decoder is None:
                damage.lost_bytes += part.num_bytes
                continue
            blocks = decoder.blocks()
            if not self._is_alike(decoder):
                damage.converted.append(
                    Converted(
                        num_samples / self.sample_rate, decoder.sample_rate, decoder.num_channels
                    )
                )
                blocks = converted(blocks, decoder, self._decoder)
            try:
                for block in blocks:
                    num_samples += block.shape[1]
                    yield block
            except InputError:
                if len(self._parts) == 1:
                    raise
                damage.is_whole = False
            damage.read_bytes += part.num_bytes
            damage.is_whole = damage.is_whole and decoder.is_whole
            damage.notes += decoder.notes

    def _opened(self, part: Part) -> PartDecoder | None:
        try:
            return PartDecoder(self.path, self.track, part)
        except ValueError:
            return None

    def _is_alike(self, decoder: PartDecoder) -> bool:
        own = (self.sample_rate, self.num_channels)
        return own == (decoder.sample_rate, decoder.num_channels)

    def _check_finite(self, block: Waveform, start: int) -> None:
        is_finite = np.isfinite(block).all(axis=0)
        if not is_finite.all():
            seconds = (start + int(is_finite.argmin())) / self.sample_rate
            raise InputError(
                f"{self.path} holds samples that are NaN or infinite, the first at {seconds:.1f} "
                "s; repair the file first"
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
