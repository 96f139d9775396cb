"""Periodic activations that do not alias (Lee et al., BigVGAN, ICLR 2023).

A signal is brought to twice its rate, bent there, and brought back; both ways through a
Kaiser-windowed sinc, of which the files hold copies.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_TAPS = 12
_RATIO = 2
_CUTOFF = 0.5 / _RATIO
_TRANSITION = 0.6 / _RATIO
_TINY = 1e-9


class AntiAliased(nn.Module):
    """A ``SnakeBeta`` at twice the rate of (B, channels, T) signals."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.act = SnakeBeta(channels)
        self.upsample = _Doubling()
        self.downsample = _Halving()

    def forward(self, signal: Tensor) -> Tensor:
        """Map (B, channels, T) to the same shape."""
        out: Tensor = self.downsample(self.act(self.upsample(signal)))
        return out


class SnakeBeta(nn.Module):
    """x + sin²(alpha x) / beta, with logarithms of alpha and beta for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, signal: Tensor) -> Tensor:
        """Map (B, channels, T) to the same shape."""
        alpha, beta = self.alpha.exp()[:, None], self.beta.exp()[:, None]
        return signal + torch.sin(signal * alpha).square() / (beta + _TINY)


class _Doubling(nn.Module):
    filter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", kaiser_sinc(_TAPS, _CUTOFF, _TRANSITION)[None, None])

    def forward(self, signal: Tensor) -> Tensor:
        channels, beyond = signal.shape[1], _TAPS // _RATIO - 1
        padded = F.pad(signal, (beyond, beyond), mode="replicate")
        kernel = self.filter.expand(channels, 1, _TAPS)
        doubled = _RATIO * F.conv_transpose1d(padded, kernel, stride=_RATIO, groups=channels)
        cut = beyond * _RATIO + (_TAPS - _RATIO) // 2
        return doubled[..., cut:-cut]


class _LowPass(nn.Module):
    filter: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filter", kaiser_sinc(_TAPS, _CUTOFF, _TRANSITION)[None, None])

    def forward(self, signal: Tensor) -> Tensor:
        channels = signal.shape[1]
        padded = F.pad(signal, (_TAPS // 2 - 1, _TAPS // 2), mode="replicate")
        kernel = self.filter.expand(channels, 1, _TAPS)
        return F.conv1d(padded, kernel, stride=_RATIO, groups=channels)


class _Halving(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lowpass = _LowPass()

    def forward(self, signal: Tensor) -> Tensor:
        out: Tensor = self.lowpass(signal)
        return out


def kaiser_sinc(num_taps: int, cutoff: float, transition: float) -> Tensor:
    """Taps of a low-pass filter that add up to 1; an even number of them.

    Args:
        num_taps: even.
        cutoff: in cycles per sample.
        transition: half the width of its slope, likewise.

    Returns:
        (num_taps,), symmetric.
    """
    half = num_taps // 2
    # Kaiser's formulas: attenuation of the stop band, then the shape of the window.
    attenuation = 2.285 * (half - 1) * math.pi * 4.0 * transition + 7.95
    if attenuation > 50.0:
        beta = 0.1102 * (attenuation - 8.7)
    elif attenuation >= 21.0:
        beta = 0.5842 * (attenuation - 21.0) ** 0.4 + 0.07886 * (attenuation - 21.0)
    else:
        beta = 0.0
    window = torch.kaiser_window(num_taps, periodic=False, beta=beta)
    time = torch.arange(-half, half) + 0.5
    taps = 2.0 * cutoff * window * torch.sinc(2.0 * cutoff * time)
    return taps / taps.sum()
