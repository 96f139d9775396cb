"""Mixing anchors into training mixtures (section 3.6, eq. 7)."""

from __future__ import annotations

import torch
from torch import Tensor

_MIN_GAIN, _MAX_GAIN = 0.02, 50.0


def energy_matching_gain(target: Tensor, interferer: Tensor) -> Tensor:
    """Gain that gives the interferer the target's energy, sqrt(E_i / E_{i+1}) in [0.02, 50].

    Args:
        target: (..., T).
        interferer: (..., T).

    Returns:
        (...); 1 where both are silent.
    """
    target_energy = target.square().sum(dim=-1)
    energy = interferer.square().sum(dim=-1)
    gain = torch.sqrt(target_energy / energy).clamp(_MIN_GAIN, _MAX_GAIN)
    return torch.where((energy == 0.0) & (target_energy == 0.0), torch.ones_like(gain), gain)


def mix_neighbours(segments: Tensor) -> Tensor:
    """Mix every segment with the next one of the batch (Algorithm 1, step 4; eq. 7).

    Args:
        segments: (B, T) anchors.

    Returns:
        (B, T) mixtures; row i holds segment i as it is plus segment i + 1 at equal energy.
    """
    following = segments.roll(-1, dims=0)
    return segments + energy_matching_gain(segments, following)[:, None] * following
