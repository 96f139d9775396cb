"""Separation metrics (eqs. 12, 13), in decibels.

A silent reference has no defined ratio: those entries are NaN, never infinite in a mean.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Ratios are capped where float32 audio has no more precision.
_MAX_RATIO = 1e10

ALONE_DB = 60.0
"""Of a source in a mixture: what is beside it is no louder than the rounding of a 10-bit file."""


def sdr(reference: Tensor, estimate: Tensor) -> Tensor:
    """Signal-to-distortion ratio (eq. 12).

    Args:
        reference: (..., T) the true source.
        estimate: (..., T).

    Returns:
        (...) dB, within ±100; NaN where the reference is silent.
    """
    reference, estimate = reference.double(), estimate.double()
    energy = _energy(reference)
    ratio = _decibels(energy, _energy(reference - estimate))
    return torch.where(energy > 0.0, ratio, torch.full_like(ratio, torch.nan))


def si_sdr(reference: Tensor, estimate: Tensor) -> Tensor:
    """Scale-invariant SDR (Le Roux et al., ICASSP 2019), without removing the mean.

    Args:
        reference: (..., T) the true source.
        estimate: (..., T).

    Returns:
        (...) dB, within ±100; NaN where the reference is silent.
    """
    reference, estimate = reference.double(), estimate.double()
    energy = _energy(reference)
    scale = (reference * estimate).sum(dim=-1) / energy.clamp(min=torch.finfo(energy.dtype).tiny)
    target = scale[..., None] * reference
    ratio = _decibels(_energy(target), _energy(estimate - target))
    ratio = torch.where(_energy(target) > 0.0, ratio, torch.full_like(ratio, -100.0))
    return torch.where(energy > 0.0, ratio, torch.full_like(ratio, torch.nan))


def sdr_improvement(reference: Tensor, estimate: Tensor, mixture: Tensor) -> Tensor:
    """SDRi (eq. 13): how much better the estimate is than the mixture; shapes as ``sdr``."""
    return sdr(reference, estimate) - sdr(reference, mixture)


def si_sdr_improvement(reference: Tensor, estimate: Tensor, mixture: Tensor) -> Tensor:
    """SI-SDRi: as ``sdr_improvement`` with the scale-invariant ratio."""
    return si_sdr(reference, estimate) - si_sdr(reference, mixture)


def is_alone(reference: Tensor, mixture: Tensor) -> bool:
    """Whether a mixture holds so little beside a source that nothing can improve on it; (T,)."""
    return float(sdr(reference, mixture)) > ALONE_DB


def _energy(waveform: Tensor) -> Tensor:
    return waveform.square().sum(dim=-1)


def _decibels(signal: Tensor, noise: Tensor) -> Tensor:
    ratio = signal / torch.maximum(noise, signal / _MAX_RATIO)
    return 10.0 * torch.log10(ratio.clamp(min=1.0 / _MAX_RATIO))
