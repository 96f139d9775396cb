"""Resampling that gradients flow through: a windowed sinc, as torchaudio's default.

``uss.audio.resample`` is better for files; this is for what networks hear of each other.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from uss.core.errors import InputError

_ZEROS = 6
"""Zero crossings of the sinc on each side."""
_ROLLOFF = 0.99
"""Of the lower rate's band."""


def sinc_resample(waveform: Tensor, from_hz: int, to_hz: int) -> Tensor:
    """Change the sample rate.

    Args:
        waveform: (..., T) float32.
        from_hz: its sample rate.
        to_hz: the rate wanted.

    Returns:
        (..., ceil(T * to_hz / from_hz)); the input itself where the rates are equal.

    Raises:
        ValueError: if a rate is no whole number of 1 Hz or more.
    """
    for rate in (from_hz, to_hz):
        if rate != int(rate) or rate < 1:
            raise InputError(f"a sample rate of {rate} Hz; rates are whole numbers from 1 on")
    if from_hz == to_hz:
        return waveform
    divisor = math.gcd(int(from_hz), int(to_hz))
    before, after = int(from_hz) // divisor, int(to_hz) // divisor
    kernels = _kernels(before, after).to(waveform)
    reach = (kernels.shape[-1] - before) // 2
    flat = waveform.reshape(-1, 1, waveform.shape[-1])
    made = F.conv1d(F.pad(flat, (reach, reach + before)), kernels, stride=before)
    num_samples = math.ceil(waveform.shape[-1] * after / before)
    out = made.transpose(1, 2).reshape(len(flat), -1)[:, :num_samples]
    return out.reshape(*waveform.shape[:-1], num_samples)


@lru_cache(maxsize=8)
def _kernels(before: int, after: int) -> Tensor:
    """One filter for each place that a new sample may have between the old ones.

    Returns:
        (after, 1, taps).
    """
    band = min(before, after) * _ROLLOFF
    reach = math.ceil(_ZEROS * before / band)
    old = torch.arange(-reach, reach + before, dtype=torch.float64) / before
    new = -torch.arange(after, dtype=torch.float64)[:, None] / after
    place = ((new + old) * band).clamp(-_ZEROS, _ZEROS)
    window = torch.cos(place * math.pi / _ZEROS / 2).square()
    return (torch.sinc(place) * window * band / before).float()[:, None]
