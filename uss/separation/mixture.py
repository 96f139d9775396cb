"""The second reading of a recording: what is still needed of it, at both sample rates."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing

from uss.audio import AudioSource, resample_blocks
from uss.audio.buffers import StreamBuffer
from uss.audio.infrasound import without_infrasound
from uss.core.arrays import Waveform
from uss.core.errors import InputError
from uss.core.read_ahead import read_ahead


class MixtureReader:
    """Reads a recording once more, and keeps it until it is forgotten.

    Args:
        source: the recording.
        num_samples: T, as the first reading counted them.
        separator_rate: in Hz.
        high_pass: keep what lies below hearing from the separator.

    Attributes:
        native: the recording as it is.
        resampled: the same at the separator's rate, as it is separated.
        band: the same with what the separator does not get.
    """

    def __init__(
        self,
        source: AudioSource,
        num_samples: int,
        separator_rate: int,
        high_pass: bool = False,
    ) -> None:
        self.source = source
        self.num_samples = num_samples
        self.separator_rate = separator_rate
        self.native = StreamBuffer(source.num_channels)
        self.resampled = StreamBuffer(source.num_channels)
        self.band = StreamBuffer(source.num_channels) if high_pass else self.resampled
        self._blocks = self._read()

    def read_until(self, end: int) -> None:
        """Read on until a position at the separator's rate, or the end.

        Raises:
            OSError, ValueError: if the recording cannot be read.
        """
        while self.resampled.end < end:
            block = next(self._blocks, None)
            if block is None:
                return
            self.resampled.append(block)

    def read_to_the_end(self) -> None:
        """Read all that is left.

        Raises:
            OSError, ValueError: if the recording cannot be read, or changed since it was tagged.
        """
        for block in self._blocks:
            self.resampled.append(block)
        if self.native.end != self.num_samples:
            raise InputError(
                f"the recording had {self.num_samples} samples when it was tagged and now "
                f"has {self.native.end}; do not write to it while it is separated"
            )

    def forget(self, before: int, native_before: int) -> None:
        """Drop what ends before a position, at the separator's and the recording's rate."""
        self.resampled.forget(before)
        self.band.forget(before)
        self.native.forget(native_before)

    def close(self) -> None:
        """Stop reading."""
        self._blocks.close()

    def _read(self) -> Generator[Waveform, None, None]:
        def kept() -> Generator[Waveform, None, None]:
            with closing(read_ahead(self.source.blocks())) as blocks:
                for block in blocks:
                    self.native.append(block)
                    yield block

        def whole_band(blocks: Iterable[Waveform]) -> Iterator[Waveform]:
            for block in blocks:
                self.band.append(block)
                yield block

        with closing(kept()) as blocks:
            resampled = resample_blocks(blocks, self.source.sample_rate, self.separator_rate)
            if self.band is self.resampled:
                yield from resampled
            else:
                yield from without_infrasound(whole_band(resampled), self.separator_rate)
