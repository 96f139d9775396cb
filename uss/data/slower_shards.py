"""Shards at a lower sample rate than they were mined at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from uss.audio import resample
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.shards import ShardReader


class SlowerShards(ShardReader):
    """A ``ShardReader`` whose waveforms, and what is said of them, are at a rate of one's own.

    Args:
        folder: of the shards.
        sample_rate: in Hz; must divide that of the shards.

    Raises:
        FileNotFoundError, ValueError: as ``ShardReader``, and if the rate does not divide theirs,
            or cuts an anchor in the middle of a sample.
    """

    def __init__(self, folder: str | Path, sample_rate: int) -> None:
        super().__init__(folder)
        stored = self.settings
        step = stored.sample_rate // sample_rate if sample_rate > 0 else 0
        if step < 1 or step * sample_rate != stored.sample_rate or stored.segment_samples % step:
            raise InputError(
                f"sample_rate {sample_rate}: the anchors of {folder} have {stored.segment_samples} "
                f"samples at {stored.sample_rate} Hz; choose a whole fraction of both"
            )
        self.stored_rate = stored.sample_rate
        segment_samples = stored.segment_samples // step
        self.settings = replace(stored, sample_rate=sample_rate, segment_samples=segment_samples)
        self.valid_samples = -(-self.valid_samples // step)

    def waveform(self, row: int) -> Float32:
        """Read one anchor: (S,) float32 at the lower rate."""
        stored = super().waveform(row)
        slower = resample(stored[None], self.stored_rate, self.settings.sample_rate)[0]
        waveform: Float32 = slower[: self.settings.segment_samples]
        return waveform


def open_shards(folder: str | Path, sample_rate: int | None) -> ShardReader:
    """Open shards at their own rate, or at a lower one; see ``SlowerShards``."""
    return ShardReader(folder) if sample_rate is None else SlowerShards(folder, sample_rate)
