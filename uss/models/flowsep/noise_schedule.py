"""Diffusion (Ho et al. 2020): data with more and more noise, and the way back (DDIM).

The noises are those of latent diffusion (Rombach et al. 2022), with the ends of FlowSep's
configuration.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from uss.core.arrays import Float64
from uss.core.errors import InputError
from uss.models.flowsep.rectified_flow import check_steps

NUM_NOISES = 1000
_LEAST, _MOST = 0.0015, 0.0195

Noise = Callable[[Tensor, Tensor], Tensor]
"""Maps noisy states (B, ...) and the numbers of their noises (B,), 0 to 999, to (B, ...)."""


@functools.cache
def kept_power() -> Float64:
    """(1000,) of the data's power, what is left beside each noise.

    The square roots of what each adds, the betas, are evenly spaced.
    """
    betas = np.linspace(_LEAST**0.5, _MOST**0.5, NUM_NOISES) ** 2
    kept: Float64 = np.cumprod(1.0 - betas, dtype=np.float64)
    return kept


def noised(data: Tensor, noise: Tensor, number: Tensor) -> Tensor:
    """Add noise to data.

    Args:
        data: (B, ...).
        noise: (B, ...) standard normal.
        number: (B,) int64 in [0, 1000), which noise.

    Returns:
        (B, ...).
    """
    kept = torch.from_numpy(kept_power()).to(data.device)[number].to(data.dtype)
    kept = kept.reshape(-1, *[1] * (data.dim() - 1))
    return kept.sqrt() * data + (1.0 - kept).sqrt() * noise


def noise_loss(predict: Noise, data: Tensor, noise: Tensor, number: Tensor) -> Tensor:
    """Mean squared error of a network that says which noise is in the data; see ``noised``."""
    return F.mse_loss(predict(noised(data, noise, number), number.to(data.dtype)), noise)


def denoise(predict: Noise, noise: Tensor, num_steps: int) -> Tensor:
    """Go from noise to data (Song et al. 2021, without new noise).

    Of the 1000 noises every (1000 / n)-th is looked at, the largest first.

    Args:
        predict: the network.
        noise: (B, ...) to start from.
        num_steps: n.

    Returns:
        (B, ...).

    Raises:
        ValueError: if there are no steps, or more than noises.
    """
    check_steps(num_steps)
    if num_steps > NUM_NOISES:
        raise InputError(f"{num_steps} steps for {NUM_NOISES} noises; choose at most as many")
    numbers = [NUM_NOISES * step // num_steps - 1 for step in range(num_steps, 0, -1)]
    state = noise
    for number, following in zip(numbers, [*numbers[1:], None], strict=True):
        time = torch.full((len(noise),), float(number), device=noise.device)
        found = predict(state, time)
        kept = kept_power()[number]
        data = (state - (1.0 - kept) ** 0.5 * found) / kept**0.5
        left = 1.0 if following is None else kept_power()[following]
        state = left**0.5 * data + (1.0 - left) ** 0.5 * found
    return state
