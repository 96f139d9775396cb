"""What a generative separator is asked with: a text's tokens, or one vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.models.masking import standardisation


class TokenConditions(nn.Module):
    """Takes conditions apart into tokens.

    Where there are several, each is a row of its numbers and, last, whether it counts (1) or not
    (0). A single one always counts, and is brought to unit range first.

    Args:
        condition_size: H.
        num_tokens: L.

    Attributes:
        token_size: numbers of a token.

    Raises:
        ValueError: if a condition cannot be divided so.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, condition_size: int, num_tokens: int) -> None:
        super().__init__()
        if num_tokens < 1 or condition_size < 1 or condition_size % num_tokens:
            raise InputError(
                f"{num_tokens} tokens cannot share a condition of {condition_size} numbers"
            )
        self.condition_size = condition_size
        self.num_tokens = num_tokens
        self.token_size = condition_size // num_tokens - (1 if num_tokens > 1 else 0)
        if num_tokens == 1:
            self.register_buffer("mean", torch.zeros(condition_size))
            self.register_buffer("scale", torch.ones(condition_size))

    def forward(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, H) conditions to (B, L, token_size) tokens, and the (B, L) mask of them."""
        if self.num_tokens == 1:
            rows = ((condition - self.mean) * self.scale)[:, None]
            return rows, torch.ones_like(rows[..., 0])
        rows = condition.reshape(len(condition), self.num_tokens, -1)
        return rows[..., :-1], rows[..., -1]

    def unasked(self, condition: Tensor) -> Tensor:
        """Give (B, H) conditions that ask for nothing: without tokens, or the mean of vectors."""
        if self.num_tokens == 1:
            return self.mean.expand_as(condition)
        return torch.zeros_like(condition)

    def standardise(self, conditions: Tensor) -> None:
        """Fix the mean and scale of single vectors by (N, H) of the training; tokens stay.

        Raises:
            ValueError: if they are of another size.
        """
        if self.num_tokens > 1:
            return
        mean, scale = standardisation(conditions, self.condition_size)
        self.mean.copy_(mean)
        self.scale.copy_(scale)
