"""A part of a recording, and a recording in its place in a film."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction

import av
import numpy as np

from uss.audio.reading import AudioFile
from uss.audio.sources import block_samples, reblock
from uss.core.arrays import Waveform
from uss.core.clock import format_time
from uss.core.errors import InputError

# People give the end as a player shows it, rounded.
_BEYOND_SECONDS = 0.1


class Excerpt:
    """What of a file is used, as ``AudioSource``: all, a part, with the silence before it or not.

    Args:
        file: the recording.
        start_seconds: where the excerpt begins.
        end_seconds: where it ends; None for the end of the recording.
        is_aligned: whether time 0 is that of the film instead of the track. Where the track starts
            late, silence stands before it; what lies before the film is left out.

    Attributes:
        file: the recording.
        sample_rate, num_channels, channel_layout: see ``AudioFile``.
        start_seconds: where the excerpt begins, to the sample.

    Raises:
        ValueError: if it would end before it begins.
    """

    def __init__(
        self,
        file: AudioFile,
        start_seconds: float = 0.0,
        end_seconds: float | None = None,
        *,
        is_aligned: bool = False,
    ) -> None:
        check_excerpt(start_seconds, end_seconds)
        self.file = file
        self.sample_rate = file.sample_rate
        self.num_channels = file.num_channels
        self.channel_layout = file.channel_layout
        self._start = round(start_seconds * self.sample_rate)
        self._end = None if end_seconds is None else round(end_seconds * self.sample_rate)
        self._offset = round(file.film_offset_seconds * self.sample_rate) if is_aligned else 0
        self.start_seconds = self._start / self.sample_rate
        if self._end is not None and self._end <= self._start:
            raise InputError(
                f"from {start_seconds:g} to {end_seconds:g} s there is no sample at "
                f"{self.sample_rate} Hz; choose a later end"
            )

    @property
    def late_seconds(self) -> Fraction:
        """When the excerpt begins, from the first sample of its track on; may be negative."""
        return Fraction(self._start - self._offset, self.sample_rate)

    @property
    def film_seconds(self) -> Fraction:
        """When the excerpt begins, from the film's start on; may be negative."""
        return Fraction(self.file.film_offset_seconds).limit_denominator(10**6) + self.late_seconds

    def blocks(self) -> Iterator[Waveform]:
        """Read the excerpt; see ``AudioSource``.

        What lies before it is not decoded where the format allows to begin at a sample.

        Raises:
            OSError, ValueError: if the file cannot be read, or ends before the excerpt does.
        """
        if (self._start, self._end, self._offset) == (0, None, 0):
            yield from self.file.blocks()
            return
        length = block_samples(self.sample_rate, self.num_channels)
        yield from reblock(self._pieces(), length)

    def _pieces(self) -> Iterator[Waveform]:
        position, end = self._start, self._end
        for silence in self._silence():
            position += silence.shape[1]
            yield silence
        if position == end:
            return
        num_read = 0
        with closing(self.file.blocks_from(position - self._offset)) as blocks:
            for block in blocks:
                block = block if end is None else block[:, : end - position]
                position += block.shape[1]
                num_read += block.shape[1]
                yield block
                if position == end:
                    return
        if num_read == 0:
            raise InputError(
                f"{self.file.path} lasts {self._duration()}, so nothing is at "
                f"{format_time(self.start_seconds)}; choose an earlier start"
            )
        if end is not None and end - position > _BEYOND_SECONDS * self.sample_rate:
            raise InputError(
                f"{self.file.path} lasts {format_time(position / self.sample_rate)}, not until "
                f"{format_time(end / self.sample_rate)}; choose an earlier end, or none"
            )

    def _silence(self) -> Iterator[Waveform]:
        """What of the excerpt lies before the track."""
        end = self._offset if self._end is None else min(self._offset, self._end)
        length = block_samples(self.sample_rate, self.num_channels)
        for start in range(self._start, end, length):
            yield np.zeros((self.num_channels, min(length, end - start)), np.float32)

    def _duration(self) -> str:
        return format_time(self.file_seconds())

    def file_seconds(self) -> float:
        """How long the file is, as its container says, for what does not read it."""
        try:
            with av.open(str(self.file.path.absolute())) as container:
                noted = container.duration
        except (av.FFmpegError, UnicodeDecodeError):
            noted = None
        if noted is None:
            num_samples = sum(block.shape[1] for block in self.file.blocks())
            return float(num_samples / self.sample_rate)
        return float(noted / av.time_base)


def check_excerpt(start_seconds: float, end_seconds: float | None) -> None:
    """Refuse a part that no recording can have.

    Raises:
        ValueError: if it begins before 0, or ends before it begins.
    """
    if not 0.0 <= start_seconds < float("inf"):
        raise InputError(f"an excerpt cannot start at {start_seconds} s; give 0 or later")
    if end_seconds is not None and not start_seconds < end_seconds < float("inf"):
        raise InputError(
            f"an excerpt from {format_time(start_seconds)} to {end_seconds} s holds nothing; "
            "choose an end after the start"
        )
