"""Bringing what was generated to the level of the mixture, and masks of it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_N_FFT = 1024
_HOP_LENGTH = 256
_MAX_GAIN = 4.0
_TINY = 1e-12
_SMOOTHED_BINS, _SMOOTHED_FRAMES = 3, 5


def fitted_gain(stem: Tensor, mixture: Tensor) -> Tensor:
    """Find the gain that brings a generated stem closest to the mixture (least squares).

    A vocoder makes phases of its own, with which samples would hardly agree, so magnitudes of
    spectra are compared: the gain is sum |X||S| / sum |S|², and never negative. It is at most 4
    (12 dB), lest a stem that is nearly silent, because its sound is not there, be blown up to the
    level of the rest.

    Args:
        stem: (B, T).
        mixture: (B, T).

    Returns:
        (B,) gains; 0 where the stem or the mixture is silent.
    """
    own, whole = _magnitude(stem), _magnitude(mixture)
    products = (own * whole).sum(dim=(1, 2))
    return (products / (own.square().sum(dim=(1, 2)) + _TINY)).clamp(max=_MAX_GAIN)


def guided(stem: Tensor, mixture: Tensor) -> Tensor:
    """Mask a mixture so that it keeps what a generated stem says is the stem's (Wiener).

    The gain of a bin is the stem's share of the power, |S|² / max(|S|², |X|²), of powers that are
    smoothed over neighbouring bins and frames, as phases, and so beats, of the two differ.

    Args:
        stem: (B, T), at the level of the mixture.
        mixture: (B, T).

    Returns:
        (B, T) with the mixture's phases; it and the rest add up to the mixture.
    """
    spectrum = _spectrum(mixture)
    own, whole = _power(_spectrum(stem)), _power(spectrum)
    gain = own / torch.maximum(own, whole).clamp(min=_TINY)
    return torch.istft(
        spectrum * gain, _N_FFT, _HOP_LENGTH, window=_window(stem), length=mixture.shape[-1]
    )


def _window(like: Tensor) -> Tensor:
    return torch.hann_window(_N_FFT, device=like.device)


def _spectrum(waveform: Tensor) -> Tensor:
    return torch.stft(
        waveform,
        _N_FFT,
        _HOP_LENGTH,
        window=_window(waveform),
        pad_mode="constant",
        return_complex=True,
    )


def _magnitude(waveform: Tensor) -> Tensor:
    return _spectrum(waveform).abs()


def _power(spectrum: Tensor) -> Tensor:
    power = torch.view_as_real(spectrum).square().sum(dim=-1)
    return F.avg_pool2d(
        power[:, None],
        (_SMOOTHED_BINS, _SMOOTHED_FRAMES),
        stride=1,
        padding=(_SMOOTHED_BINS // 2, _SMOOTHED_FRAMES // 2),
        count_include_pad=False,
    )[:, 0]
