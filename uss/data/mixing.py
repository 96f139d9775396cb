"""Mixing anchors into training mixtures (section 3.6, eq. 7)."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from uss.core.arrays import Float32
from uss.core.errors import InputError

Augmentation = Literal["match-energy", "none", "random-gain", "random-snr", "loudness"]

MIN_GAIN, MAX_GAIN = 0.02, 50.0
"""Of an interferer that is brought to its target's energy, in the released USS system."""

_RANDOM_GAIN_DB = 20.0
_RANDOM_SNR_DB = 15.0
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


def draw_gains(
    augmentation: Augmentation, num_mixtures: int, num_sources: int, rng: np.random.Generator
) -> Float32:
    """Draw what is random about the levels of sources.

    With ``random-gain`` every source has a gain of its own between -20 and +20 dB; with
    ``random-snr`` every one but the first has one between -15 and +15 dB. With
    ``loudness`` every source but the first has one of a whole number of decibels between -10 and
    10, and what stands in the place of the first is another such gain, of the others' sum.

    Args:
        augmentation: how the sources' levels are set; most draw nothing.
        num_mixtures: B.
        num_sources: J.
        rng: draws.

    Returns:
        (B, J) factors, for ``mix_sources``; 1 where nothing is drawn.
    """
    gain_db = np.zeros((num_mixtures, num_sources))
    if augmentation == "random-gain":
        gain_db = rng.uniform(-_RANDOM_GAIN_DB, _RANDOM_GAIN_DB, gain_db.shape)
    elif augmentation == "random-snr":
        shape = (num_mixtures, num_sources - 1)
        gain_db[:, 1:] = rng.uniform(-_RANDOM_SNR_DB, _RANDOM_SNR_DB, shape)
    elif augmentation == "loudness":
        bounds = (-_LOUDNESS_DB, _LOUDNESS_DB + 1)
        gain_db[:, 1:] = rng.integers(*bounds, (num_mixtures, num_sources - 1))
        gain_db[:, :1] = rng.integers(*bounds, (num_mixtures, 1))
    factors: Float32 = (10.0 ** (gain_db / 20.0)).astype(np.float32)
    return factors


def mix_sources(
    sources: Tensor,
    num_targets: Tensor,
    augmentation: Augmentation = "match-energy",
    gains: Tensor | None = None,
) -> Mixtures:
    """Mix the sources of every mixture (Algorithm 1, step 4; eq. 7; sections 4.6.6 and 4.6.7).

    With ``match-energy`` the first source stays as it is and each of the others gets its energy
    (within the bounds of ``energy_matching_gain``); with ``none`` all stay as they are; with
    ``random-gain`` every source, the first included, has its drawn gain; with ``random-snr``
    (FlowSep) the others have theirs on top of the first one's energy. With ``loudness``
    (AudioSep) the others are brought to their drawn gain above the first one's energy, first each,
    then their sum, and a mixture that would clip is brought to a peak of 0.9 with all that is in
    it.

    Args:
        sources: (B, J, T), where they are to be mixed.
        num_targets: (B,) how many of a mixture's sources, from the first, are its target.
        augmentation: how the sources' levels are set.
        gains: (B, J) from ``draw_gains``, for ``random-gain``, ``random-snr`` and ``loudness``; the
            others need none.

    Raises:
        ValueError: if the augmentation is unknown, or lacks its gains.
    """
    if augmentation == "match-energy":
        scaled = _at_energy(sources, torch.ones_like(sources[:, :, 0]))
    elif augmentation == "none":
        scaled = sources
    elif augmentation not in get_args(Augmentation):
        raise InputError(
            f"augmentation {augmentation!r}; choose one of {', '.join(get_args(Augmentation))}"
        )
    elif gains is None:
        raise InputError(f"the gains of {augmentation} are drawn; pass those of draw_gains")
    elif augmentation == "random-gain":
        scaled = gains[:, :, None].to(sources) * sources
    elif augmentation == "random-snr":
        scaled = _at_energy(sources, gains.to(sources))
    else:
        scaled = _at_loudness(sources, gains.to(sources))
    is_target = torch.arange(sources.shape[1], device=sources.device) < num_targets[:, None]
    return Mixtures(scaled.sum(dim=1), (is_target[:, :, None] * scaled).sum(dim=1))


def _at_energy(sources: Tensor, gains: Tensor) -> Tensor:
    """Set all but the first of (B, J, T) sources to (B, J) gains above its energy."""
    gain = energy_matching_gain(sources[:, :1], sources[:, 1:]) * gains[:, 1:]
    return torch.cat([sources[:, :1], gain[:, :, None] * sources[:, 1:]], dim=1)


def _at_loudness(sources: Tensor, gains: Tensor) -> Tensor:
    """Set (B, J, T) sources to the (B, J) gains around the level of the first."""
    first, others = sources[:, :1], sources[:, 1:]
    others = (energy_matching_gain(first, others) * gains[:, 1:])[:, :, None] * others
    summed = others.sum(dim=1, keepdim=True)
    others = (energy_matching_gain(first, summed) * gains[:, :1])[:, :, None] * others
    scaled = torch.cat([first, others], dim=1)
    peak = scaled.sum(dim=1).abs().amax(dim=1)[:, None, None]
    return torch.where(peak > _MAX_PEAK, _CLIPPED_PEAK / peak, torch.ones_like(peak)) * scaled
