"""Shards at a lower sample rate than they were mined at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from uss.audio import resample
from uss.core.arrays import Float32, Indexes
from uss.core.errors import InputError
from uss.shards import Selection, ShardReader


class SlowerShards(ShardReader):
    """A ``ShardReader`` whose waveforms, and what is said of them, are at a rate of one's own.

    Args:
        place: of the shards.
        sample_rate: in Hz; must divide that of the shards.
        selection: see ``ShardReader``.

    Raises:
        FileNotFoundError, ValueError: as ``ShardReader``, and if the rate does not divide theirs,
            or cuts an anchor in the middle of a sample.
    """

    def __init__(
        self, place: str | Path, sample_rate: int, selection: Selection | None = None
    ) -> None:
        super().__init__(place, selection)
        stored = self.settings
        step = stored.sample_rate // sample_rate if sample_rate > 0 else 0
        if step < 1 or step * sample_rate != stored.sample_rate or stored.segment_samples % step:
            raise InputError(
                f"sample_rate {sample_rate}: the anchors of {place} have {stored.segment_samples} "
                f"samples at {stored.sample_rate} Hz; choose a whole fraction of both"
            )
        self.stored_rate = stored.sample_rate
        segment_samples = stored.segment_samples // step
        self.settings = replace(stored, sample_rate=sample_rate, segment_samples=segment_samples)
        self.valid_samples = -(-self.valid_samples // step)

    def waveforms(self, rows: Indexes) -> Float32:
        """Read anchors: (n, S) float32 at the lower rate."""
        slower = [
            resample(stored[None], self.stored_rate, self.settings.sample_rate)[0]
            for stored in super().waveforms(rows)
        ]
        size = self.settings.segment_samples
        waveforms: Float32 = np.stack([waveform[:size] for waveform in slower])
        return waveforms


def open_shards(
    place: str | Path, sample_rate: int | None, selection: Selection | None = None
) -> ShardReader:
    """Open shards at their own rate, or at a lower one; see ``SlowerShards``."""
    if sample_rate is None:
        return ShardReader(place, selection)
    return SlowerShards(place, sample_rate, selection)
