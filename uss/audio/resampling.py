"""Change sample rates, of whole waveforms and block by block."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from math import gcd

import numpy as np
import soxr

from uss.audio.sources import reblock
from uss.core.arrays import Waveform
from uss.core.errors import InputError

# At the lower rate.
_SILENT_SAMPLES = 256


def resample(waveform: Waveform, from_hz: int, to_hz: int) -> Waveform:
    """Change the sample rate with soxr's high-quality linear-phase filter.

    Args:
        waveform: (..., T) float32.
        from_hz: its sample rate.
        to_hz: the rate wanted.

    Returns:
        (..., round(T * to_hz / from_hz)) float32; the input itself where the rates are equal.
    """
    if from_hz == to_hz:
        return waveform
    channels = waveform.reshape(-1, waveform.shape[-1])
    num_samples = round(waveform.shape[-1] * to_hz / from_hz)
    # The first filters of soxr ring before the start, but the next ones do not hear that: it gets
    # silence around the waveform, in steps after which both rates have a sample.
    divisor = gcd(from_hz, to_hz)
    num_steps = -(-_SILENT_SAMPLES * divisor // min(from_hz, to_hz))
    silent, start = num_steps * from_hz // divisor, num_steps * to_hz // divisor
    padded = np.pad(channels.T, ((silent, silent), (0, 0)))
    out = soxr.resample(padded, from_hz, to_hz).T[:, start : start + num_samples]
    return np.ascontiguousarray(out, dtype=np.float32).reshape(*waveform.shape[:-1], num_samples)


def resample_middle(
    waveform: Waveform, from_hz: int, to_hz: int, margin_seconds: int = 1
) -> Waveform:
    """Resample a region whose neighbours are known, as if the whole had been resampled.

    The region has to start on a whole second, where both rates have a sample.

    Args:
        waveform: (..., T) float32: the region between two margins; zeros stand for what lies
            beyond the ends of a recording.
        from_hz: its sample rate.
        to_hz: the rate wanted.
        margin_seconds: of each margin.

    Returns:
        (..., round(n * to_hz / from_hz)) float32, where n = T - 2 * margin_seconds * from_hz.

    Raises:
        ValueError: if there is nothing between the margins.
    """
    num_samples = waveform.shape[-1] - 2 * margin_seconds * from_hz
    if num_samples < 1:
        raise InputError(
            f"{waveform.shape[-1]} samples at {from_hz} Hz leave nothing between two margins of "
            f"{margin_seconds} s; give more samples or a smaller margin"
        )
    start = margin_seconds * to_hz
    end = start + round(num_samples * to_hz / from_hz)
    return resample(waveform, from_hz, to_hz)[..., start:end]


def resample_blocks(
    blocks: Iterable[Waveform], from_hz: int, to_hz: int, block_seconds: int = 8
) -> Iterator[Waveform]:
    """Resample a recording that is too long to be held; equal to ``resample`` of the whole.

    Args:
        blocks: (C, n) float32 of any sizes.
        from_hz: their sample rate.
        to_hz: the rate wanted.
        block_seconds: of the blocks given, 1 or more.

    Yields:
        (C, block_seconds * to_hz) float32; the last may be shorter. Of T samples in total,
        round(T * to_hz / from_hz) are made.
    """
    pieces = reblock(blocks, block_seconds * from_hz)
    if from_hz == to_hz:
        yield from pieces
        return
    num_read = num_given = 0
    before = piece = None
    for after in chain(pieces, (None,)):
        if piece is not None:
            num_read += piece.shape[1]
            # Counted from the start, as halves round to even numbers.
            num_samples = round(num_read * to_hz / from_hz) - num_given
            out = resample(_with_margins(before, piece, after, from_hz), from_hz, to_hz)
            if num_samples:
                yield out[:, to_hz : to_hz + num_samples]
            num_given += num_samples
        before, piece = piece, after


def _with_margins(
    before: Waveform | None, piece: Waveform, after: Waveform | None, num_samples: int
) -> Waveform:
    """Join a piece, (C, n), with the samples beside it, zeros where there are none."""
    margins = np.zeros((2, len(piece), num_samples), np.float32)
    if before is not None:
        margins[0] = before[:, -num_samples:]
    if after is not None:
        margins[1, :, : after.shape[1]] = after[:, :num_samples]
    return np.concatenate([margins[0], piece, margins[1]], axis=1)
