"""Parts of a Swin transformer: attention within windows that shift (Liu et al. 2021, section 3).

Tokens lie on a (rows, columns) grid. Parameter names are those of the published HTS-AT files.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WINDOW = 8
"""Rows and columns of an attention window, in tokens."""

_MLP_RATIO = 4
# What published masks hold: its exponential is zero beside any real score.
_MASKED = -100.0


class PatchEmbedding(nn.Module):
    """Cuts an image into square patches and maps each to a token."""

    def __init__(self, patch: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, channels, kernel_size=patch, stride=patch)
        self.norm = nn.LayerNorm(channels)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 1, rows, columns) to (B, rows / patch, columns / patch, channels)."""
        tokens: Tensor = self.norm(self.proj(image).permute(0, 2, 3, 1))
        return tokens


class Stage(nn.Module):
    """Blocks on one grid, every second one with shifted windows, then the merging of patches.

    Args:
        channels: per token.
        depth: number of blocks.
        num_heads: of each attention.
        grid: rows (and columns) of the token grid, a multiple of the window.
        merge: halve the grid and double the channels at the end.
    """

    def __init__(
        self, channels: int, depth: int, num_heads: int, grid: int, *, merge: bool
    ) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(_Block(channels, num_heads, grid, shifted=i % 2 == 1) for i in range(depth))
        )
        self.downsample = _PatchMerging(channels) if merge else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (B, grid, grid, C) to (B, grid / 2, grid / 2, 2 C), or to its own shape."""
        merged: Tensor = self.downsample(self.blocks(tokens))
        return merged


class _Block(nn.Module):
    """Window attention and a two-layer perceptron, each normalised before and added after."""

    attn_mask: Tensor | None

    def __init__(self, channels: int, num_heads: int, grid: int, *, shifted: bool) -> None:
        super().__init__()
        # One window that fills the grid has no neighbours to mix with.
        self.shift = WINDOW // 2 if shifted and grid > WINDOW else 0
        self.norm1 = nn.LayerNorm(channels)
        self.attn = _WindowAttention(channels, num_heads)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = _Perceptron(channels)
        mask = _shift_mask(grid, self.shift) if self.shift else None
        self.register_buffer("attn_mask", mask, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        grid = tokens.shape[1]
        shifted = torch.roll(self.norm1(tokens), (-self.shift, -self.shift), dims=(1, 2))
        attended = _join_windows(self.attn(_split_windows(shifted), self.attn_mask), grid)
        tokens = tokens + torch.roll(attended, (self.shift, self.shift), dims=(1, 2))
        out: Tensor = tokens + self.mlp(self.norm2(tokens))
        return out


class _WindowAttention(nn.Module):
    """Multi-head attention within windows, with a learnt bias per relative position (eq. 4)."""

    relative_position_index: Tensor

    def __init__(self, channels: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        num_offsets = (2 * WINDOW - 1) ** 2
        self.relative_position_bias_table = nn.Parameter(torch.empty(num_offsets, num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        index = _relative_position_index()
        self.register_buffer("relative_position_index", index, persistent=False)

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """Attend within each window.

        Args:
            windows: (B, W, N, C), W windows of N tokens.
            mask: (W, N, N) added to the scores, or None.
        """
        heads = self.qkv(windows).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = heads.permute(3, 0, 1, 4, 2, 5)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)
        if mask is not None:
            bias = bias + mask[:, None]
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        out: Tensor = self.proj(mixed.transpose(2, 3).flatten(-2))
        return out


class _Perceptron(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, _MLP_RATIO * channels)
        self.fc2 = nn.Linear(_MLP_RATIO * channels, channels)

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return out


class _PatchMerging(nn.Module):
    """Joins each 2x2 tokens into one of twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        # The published order: down the rows first.
        corners = [tokens[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        merged: Tensor = self.reduction(self.norm(torch.cat(corners, dim=-1)))
        return merged


def _split_windows(tokens: Tensor) -> Tensor:
    """Cut (B, grid, grid, C) into (B, windows, tokens of a window, C), row by row."""
    blocks = tokens.unflatten(2, (-1, WINDOW)).unflatten(1, (-1, WINDOW))
    windows: Tensor = blocks.transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return windows


def _join_windows(windows: Tensor, grid: int) -> Tensor:
    """Undo ``_split_windows``."""
    per_side = grid // WINDOW
    blocks = windows.unflatten(2, (WINDOW, WINDOW)).unflatten(1, (per_side, per_side))
    tokens: Tensor = blocks.transpose(2, 3).flatten(3, 4).flatten(1, 2)
    return tokens


def _relative_position_index() -> Tensor:
    """(N, N) row of the bias table for each pair of a window's tokens."""
    rows, columns = torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij")
    row_offset = rows.flatten()[:, None] - rows.flatten() + WINDOW - 1
    column_offset = columns.flatten()[:, None] - columns.flatten() + WINDOW - 1
    return row_offset * (2 * WINDOW - 1) + column_offset


def _shift_mask(grid: int, shift: int) -> Tensor:
    """(windows, N, N), 0 between tokens that are neighbours in the image, else -100.

    Rolling the grid brings its first rows and columns behind its last; they share windows with
    them, but must not attend to them.
    """
    position = torch.arange(grid)
    band = (position >= grid - WINDOW).long() + (position >= grid - shift).long()
    region = _split_windows((3 * band[:, None] + band)[None, :, :, None])[0, :, :, 0]
    apart = region[:, :, None] != region[:, None, :]
    return apart.float() * _MASKED
