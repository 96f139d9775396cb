"""What lies below hearing: offsets and rumble, measured and taken away.

Masks let an offset of the recording through, and a stem would begin and end with a step; a few
hertz of wind or of a lorry make a stem loud that nobody hears.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from uss.audio.sources import reblock
from uss.core.arrays import Float32, Float64, Waveform

EDGE_HZ = 20.0
"""Half of the amplitude is left here."""
_TRANSITION_HZ = 20.0
# 0.001, or 60 dB, in both bands; Kaiser's estimates (Oppenheim and Schafer 2010, section 7.5.3).
_RIPPLE_DB = 60.0
_BETA = 0.1102 * (_RIPPLE_DB - 8.7)
_WINDOW_SECONDS = 4
# Of less nobody can tell an offset from a part of a slow wave; of a rest something came before.
_SHORTEST_SECONDS = 0.2
_SHORTEST_REST_SECONDS = 1.0
_MIN_SHARE = 0.01
_MIN_RMS = 1e-3


class InfrasoundMeter:
    """Tells whether a recording holds enough below 20 Hz to be taken away.

    That is so if in four seconds of one channel it is more than a hundredth of the energy and
    above -60 dBFS. Recordings shorter than 0.2 s are left alone.

    Args:
        sample_rate: in Hz.
        num_channels: C.
    """

    def __init__(self, sample_rate: int, num_channels: int) -> None:
        self._sample_rate = sample_rate
        self._found = False
        self._num_windows = 0
        self._waiting: list[Waveform] = []
        self._num_waiting = 0

    def add(self, block: Waveform) -> None:
        """Append (C, n) samples."""
        if self._found:
            return
        self._waiting.append(block)
        self._num_waiting += block.shape[1]
        if self._num_waiting >= _WINDOW_SECONDS * self._sample_rate:
            self._judge()

    @property
    def found(self) -> bool:
        """Whether that is so of what came; asked at the end."""
        shortest = _SHORTEST_REST_SECONDS if self._num_windows else _SHORTEST_SECONDS
        if not self._found and self._num_waiting >= shortest * self._sample_rate:
            self._judge()
        return self._found

    def _judge(self) -> None:
        samples = np.concatenate(self._waiting, axis=1).astype(np.float64)
        self._waiting, self._num_waiting = [], 0
        self._num_windows += 1
        num_samples = samples.shape[1]
        window = np.hanning(num_samples + 2)[1:-1]
        spectrum = np.square(np.abs(np.fft.rfft(samples * window)))
        # All but the constant, and at even lengths the last, stand for a pair.
        spectrum[:, 1 : (num_samples + 1) // 2] *= 2.0
        spectrum /= num_samples * np.square(window).sum()
        num_bins = int(np.ceil(EDGE_HZ * num_samples / self._sample_rate))
        low = spectrum[:, : max(1, num_bins)].sum(axis=1)
        is_much = (low > _MIN_SHARE * spectrum.sum(axis=1)) & (low > _MIN_RMS**2)
        self._found = bool(is_much.any())


def without_infrasound(
    blocks: Iterable[Waveform],
    sample_rate: int,
    meter: InfrasoundMeter | None = None,
    block_seconds: int = 8,
) -> Iterator[Waveform]:
    """Take away what lies below 20 Hz, without shifting anything: at 30 Hz 0.01 dB are missing.

    A symmetric filter of 0.18 s; beyond its ends the recording is mirrored, so an offset is gone
    there too. However it is cut into blocks, the outcome is the same.

    Args:
        blocks: (C, n) float32 of any sizes, one recording.
        sample_rate: in Hz.
        meter: is told of the recording, which stays as it is until enough was found; None where
            that is known.
        block_seconds: how much is filtered at a time, 1 or more.

    Yields:
        (C, n) float32, as many samples in all as came.
    """
    low_pass = _low_pass(sample_rate)
    reach = len(low_pass) // 2

    def high(samples: Waveform) -> Waveform:
        if meter is None or meter.found:
            return _filtered(samples, low_pass)
        return samples[:, reach : samples.shape[1] - reach]

    # From ``reach`` samples before what is given next.
    known: Waveform | None = None
    for block in reblock(blocks, block_seconds * sample_rate):
        if meter is not None:
            meter.add(block)
        if known is not None:
            known = np.concatenate([known, block], axis=1)
        elif block.shape[1] > reach:
            known = np.pad(block, ((0, 0), (reach, 0)), mode="symmetric")
        else:
            yield high(np.pad(block, ((0, 0), (reach, reach)), mode="symmetric"))
            return
        num_ready = known.shape[1] - 2 * reach
        yield high(known)
        known = known[:, num_ready:]
    if known is not None:
        yield high(np.pad(known, ((0, 0), (0, reach)), mode="symmetric"))


def _low_pass(sample_rate: int) -> Float64:
    """(2 R + 1,) samples of a filter that lets a constant pass as it is."""
    width = 2.0 * np.pi * _TRANSITION_HZ / sample_rate
    reach = int(np.ceil((_RIPPLE_DB - 7.95) / (2.285 * width) / 2.0))
    times = np.arange(-reach, reach + 1) / sample_rate
    taps: Float64 = np.sinc(2.0 * EDGE_HZ * times) * np.kaiser(2 * reach + 1, _BETA)
    taps /= taps.sum()
    return taps


def _filtered(samples: Waveform, low_pass: Float64) -> Float32:
    """Filter (C, R + n + R) samples; returns the n between."""
    num_samples, reach = samples.shape[1], len(low_pass) // 2
    size = 1 << (num_samples - 1).bit_length()
    spectrum = np.fft.rfft(samples.astype(np.float64), size) * np.fft.rfft(low_pass, size)
    # Circular: the first 2 R of the outcome are wrong, and not used.
    low = np.fft.irfft(spectrum, size)[:, 2 * reach : num_samples]
    middle = samples[:, reach : num_samples - reach]
    return (middle - low).astype(np.float32)
