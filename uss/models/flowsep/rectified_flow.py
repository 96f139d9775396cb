"""Rectified flow (Liu et al. 2023; Lipman et al. 2023): straight ways from noise to data."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from uss.core.errors import InputError

LEAST_NOISE = 1e-4
"""What is left of the noise at the end of the way."""

Velocity = Callable[[Tensor, Tensor], Tensor]
"""Maps states (B, ...) and times (B,) to (B, ...)."""


def on_the_way(data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """States at times: noise at 0, nearly the data at 1.

    Args:
        data: (B, ...).
        noise: (B, ...) standard normal.
        time: (B,) in [0, 1].

    Returns:
        (B, ...).
    """
    part = time.reshape(-1, *[1] * (data.dim() - 1))
    return (1.0 - (1.0 - LEAST_NOISE) * part) * noise + part * data


def velocity_of(data: Tensor, noise: Tensor) -> Tensor:
    """The velocity of the way, the same at all times; what a network is to learn."""
    return data - (1.0 - LEAST_NOISE) * noise


def flow_loss(velocity: Velocity, data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """Mean squared error of a network's velocities on the way; see ``on_the_way``."""
    return F.mse_loss(velocity(on_the_way(data, noise, time), time), velocity_of(data, noise))


def follow(velocity: Velocity, noise: Tensor, num_steps: int) -> Tensor:
    """Go from noise to data in equal steps (Euler): at times 0, 1/n, ..., (n - 1)/n.

    Args:
        velocity: of the network.
        noise: (B, ...) to start from.
        num_steps: n.

    Returns:
        (B, ...).

    Raises:
        ValueError: if there are no steps.
    """
    check_steps(num_steps)
    state = noise
    for step in range(num_steps):
        time = torch.full((len(noise),), step / num_steps, device=noise.device)
        state = state + velocity(state, time) / num_steps
    return state


def check_steps(num_steps: int) -> None:
    """Refuse a number of steps that there cannot be.

    Raises:
        ValueError: naming it.
    """
    if num_steps < 1:
        raise InputError(f"{num_steps} steps lead nowhere; choose at least 1, such as 10")
