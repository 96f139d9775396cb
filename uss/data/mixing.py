"""Mixing anchors into training mixtures (section 3.6, eq. 7)."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from uss.core.errors import InputError

Augmentation = Literal["match-energy", "none", "random-gain", "loudness"]

MIN_GAIN, MAX_GAIN = 0.02, 50.0
"""Of an interferer that is brought to its target's energy, in the released USS system."""

_RANDOM_GAIN_DB = 20.0
_LOUDNESS_DB = 10
_MAX_PEAK, _CLIPPED_PEAK = 1.0, 0.9


class Mixtures(NamedTuple):
    """Mixtures and what is to be separated from them.

    Attributes:
        mixture: (B, T).
        target: (B, T).
    """

    mixture: Tensor
    target: Tensor


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
    gain = torch.sqrt(target_energy / energy).clamp(MIN_GAIN, MAX_GAIN)
    return torch.where((energy == 0.0) & (target_energy == 0.0), torch.ones_like(gain), gain)


def mix_sources(
    sources: Tensor,
    num_targets: Tensor,
    augmentation: Augmentation = "match-energy",
    rng: np.random.Generator | None = None,
) -> Mixtures:
    """Mix the sources of every mixture (Algorithm 1, step 4; eq. 7; sections 4.6.6 and 4.6.7).

    With ``match-energy`` the first source stays as it is and each of the others gets its energy
    (within the bounds of ``energy_matching_gain``); with ``none`` all stay as they are; with
    ``random-gain`` every source, the first included, has a gain of its own between -20 and
    +20 dB. With ``loudness`` (AudioSep) the others are brought to the first one's energy and a
    whole number of decibels between -10 and 10 above it, first each, then their sum, and a mixture
    that would clip is brought to a peak of 0.9 with all that is in it.

    Args:
        sources: (B, J, T).
        num_targets: (B,) how many of a mixture's sources, from the first, are its target.
        augmentation: how the sources' levels are set.
        rng: draws random gains; the others need none.

    Raises:
        ValueError: if the augmentation is unknown, or random and without a generator.
    """
    if augmentation == "match-energy":
        gain = energy_matching_gain(sources[:, :1], sources[:, 1:])
        scaled = torch.cat([sources[:, :1], gain[:, :, None] * sources[:, 1:]], dim=1)
    elif augmentation == "none":
        scaled = sources
    elif augmentation == "random-gain":
        if rng is None:
            raise InputError("random gains are drawn; pass a generator")
        gain_db = rng.uniform(-_RANDOM_GAIN_DB, _RANDOM_GAIN_DB, tuple(sources.shape[:2]))
        scaled = torch.from_numpy(10.0 ** (gain_db / 20.0))[:, :, None].to(sources) * sources
    elif augmentation == "loudness":
        if rng is None:
            raise InputError("gains are drawn; pass a generator")
        scaled = _at_random_loudness(sources, rng)
    else:
        raise InputError(
            f"augmentation {augmentation!r}; choose one of {', '.join(get_args(Augmentation))}"
        )
    is_target = torch.arange(sources.shape[1], device=sources.device) < num_targets[:, None]
    return Mixtures(scaled.sum(dim=1), (is_target[:, :, None] * scaled).sum(dim=1))


def _at_random_loudness(sources: Tensor, rng: np.random.Generator) -> Tensor:
    """Set (B, J, T) sources to random levels around that of the first; see ``mix_sources``."""
    first, others = sources[:, :1], sources[:, 1:]
    drawn = rng.integers(-_LOUDNESS_DB, _LOUDNESS_DB + 1, tuple(others.shape[:2]))
    together = rng.integers(-_LOUDNESS_DB, _LOUDNESS_DB + 1, (len(sources), 1))
    others = (energy_matching_gain(first, others) * _factor(drawn, sources))[:, :, None] * others
    summed = others.sum(dim=1, keepdim=True)
    others = (energy_matching_gain(first, summed) * _factor(together, sources))[:, :, None] * others
    scaled = torch.cat([first, others], dim=1)
    peak = scaled.sum(dim=1).abs().amax(dim=1)[:, None, None]
    return torch.where(peak > _MAX_PEAK, _CLIPPED_PEAK / peak, torch.ones_like(peak)) * scaled


def _factor(gain_db: np.ndarray[Any, Any], like: Tensor) -> Tensor:
    return torch.from_numpy(10.0 ** (gain_db / 20.0)).to(like)
