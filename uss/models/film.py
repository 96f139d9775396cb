"""Feature-wise modulation by a condition, with shift only (eq. 6)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FiLM(nn.Module):
    """Maps a condition to one bias per channel for every place that asks for one.

    All places share one linear layer whose output is cut into pieces, so that a condition costs
    one matrix product.

    Args:
        condition_size: H.
        channels: the number of biases of each place, in the order in which they are used.
    """

    def __init__(self, condition_size: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.linear = nn.Linear(condition_size, sum(self.channels))

    def forward(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Compute the biases.

        Args:
            condition: (B, H).

        Returns:
            One (B, channels, 1, 1) tensor per place.
        """
        biases = self.linear(condition)[:, :, None, None]
        return torch.split(biases, list(self.channels), dim=1)
