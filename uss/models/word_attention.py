"""Attention of an image's positions to each other, and to the words of a query.

Blocks of the conditional U-Net (Mahmud et al. 2024), norms first. Entry names are the published
ones.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError


class SelfThenCross(nn.Module):
    """Positions attend to each other, then to the words.

    Args:
        size: of a position; the heads must divide it.
        word_size: of a word.
        num_heads: of each attention.

    Raises:
        ValueError: if the heads do not divide a position.
    """

    def __init__(self, size: int, word_size: int, num_heads: int) -> None:
        super().__init__()
        if num_heads < 1 or size % num_heads:
            raise InputError(f"{num_heads} heads do not divide {size} channels; use others")
        # In the published file, and read by nothing.
        self.norm1 = nn.LayerNorm(size).requires_grad_(False)
        self.sa_block = _Block(size, _SelfAttention(size, num_heads))
        self.ca_block = _Block(size, _CrossAttention(size, word_size, num_heads))

    def among(self, image: Tensor) -> Tensor:
        """Let the positions of a (B, C, rows, F) image attend to each other."""
        out: Tensor = self.sa_block(image)
        return out

    def to_words(self, image: Tensor, words: Tensor, is_word: Tensor | None) -> Tensor:
        """Let the positions attend to words.

        Args:
            image: (B, C, rows, F).
            words: (B, L, word_size).
            is_word: (B, L) bool; the others are padding, which nothing attends to. None attends to
                all.
        """
        mask = None if is_word is None else is_word[:, None, None, :]
        out: Tensor = self.ca_block(image, words, mask)
        return out


class _Block(nn.Module):
    """Attention and two layers, each added to what they read."""

    def __init__(self, size: int, attention: nn.Module) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.attn = attention
        self.mlp = _Layers(size)

    def forward(self, image: Tensor, *asked: Tensor | None) -> Tensor:
        positions = image.flatten(2).transpose(1, 2)
        positions = positions + self.attn(self.norm1(positions), *asked)
        positions = positions + self.mlp(self.norm2(positions))
        out: Tensor = positions.transpose(1, 2).reshape(image.shape)
        return out


class _Layers(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(size, 2 * size), nn.Linear(2 * size, size)

    def forward(self, positions: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(positions)))
        return out


class _SelfAttention(nn.Module):
    def __init__(self, size: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(size, 3 * size)
        self.proj = nn.Linear(size, size)

    def forward(self, positions: Tensor) -> Tensor:
        queries, keys, values = _heads(self.qkv(positions), 3, self.num_heads)
        found = F.scaled_dot_product_attention(queries, keys, values)
        out: Tensor = self.proj(found.transpose(1, 2).flatten(2))
        return out


class _CrossAttention(nn.Module):
    def __init__(self, size: int, word_size: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(size, size)
        self.kv = nn.Linear(word_size, 2 * size)
        self.proj = nn.Linear(size, size)

    def forward(self, positions: Tensor, words: Tensor, mask: Tensor | None) -> Tensor:
        (queries,) = _heads(self.q(positions), 1, self.num_heads)
        keys, values = _heads(self.kv(words), 2, self.num_heads)
        found = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        out: Tensor = self.proj(found.transpose(1, 2).flatten(2))
        return out


def _heads(projected: Tensor, count: int, num_heads: int) -> tuple[Tensor, ...]:
    """Split (B, N, count * C) into ``count`` of (B, heads, N, C / heads)."""
    parts = projected.unflatten(2, (count, num_heads, -1)).permute(2, 0, 3, 1, 4)
    return tuple(parts.unbind(0))
