"""Attention over the places of a latent, as the U-Nets of latent diffusion have it.

Rombach et al. 2022, with the entry names of their code, such as
``transformer_blocks.0.attn1.to_q.weight``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_TRANSFORMER_EPS = 1e-6
_GROUPS = 32


class SpatialTransformer(nn.Module):
    """Every place of an image attends to all places, then to a text if it is given one.

    Args:
        channels: of the image.
        head_size: channels of a head; it divides them.
        text_size: H of the tokens that are attended to; None attends to the image once more.
    """

    def __init__(self, channels: int, head_size: int, text_size: int | None) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_GROUPS, channels, eps=_TRANSFORMER_EPS)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        block = _TransformerBlock(channels, head_size, text_size)
        self.transformer_blocks = nn.ModuleList([block])
        self.proj_out = nn.Conv2d(channels, channels, 1)
        self.takes_text = text_size is not None

    def forward(self, image: Tensor, text: Tensor, bias: Tensor) -> Tensor:
        """Map (B, channels, F, bins).

        Args:
            image: (B, channels, F, bins).
            text: (B, L, H) tokens; not read without a ``text_size``.
            bias: (B, 1, 1, L) that their scores get, from ``mask_bias``; likewise.

        Returns:
            (B, channels, F, bins).
        """
        inner = self.proj_in(self.norm(image))
        places = inner.flatten(2).transpose(1, 2)
        for block in self.transformer_blocks:
            places = block(places, text, bias) if self.takes_text else block(places, None, None)
        inner = places.transpose(1, 2).reshape(image.shape)
        out: Tensor = self.proj_out(inner) + image
        return out


def mask_bias(mask: Tensor) -> Tensor:
    """(B, 1, 1, L) to be added to scores: the lowest number where the (B, L) mask is not 1.

    Not minus infinity: where nothing is left, all places count alike, as released.
    """
    lowest = torch.finfo(torch.float32).min
    return torch.where(mask == 1.0, 0.0, lowest).to(torch.float32)[:, None, None]


class _TransformerBlock(nn.Module):
    """Attention to the places, to the text, and two layers (pre-norm)."""

    def __init__(self, channels: int, head_size: int, text_size: int | None) -> None:
        super().__init__()
        self.attn1 = _Attention(channels, head_size, channels)
        self.ff = _FeedForward(channels)
        self.attn2 = _Attention(channels, head_size, text_size or channels)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))

    def forward(self, places: Tensor, text: Tensor | None, bias: Tensor | None) -> Tensor:
        places = self.attn1(self.norm1(places)) + places
        places = self.attn2(self.norm2(places), text, bias) + places
        out: Tensor = self.ff(self.norm3(places)) + places
        return out


class _Attention(nn.Module):
    def __init__(self, channels: int, head_size: int, context_size: int) -> None:
        super().__init__()
        self.head_size = head_size
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(context_size, channels, bias=False)
        self.to_v = nn.Linear(context_size, channels, bias=False)
        self.to_out = nn.Sequential(nn.Linear(channels, channels))

    def forward(
        self, places: Tensor, text: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        context = places if text is None else text
        query, key, value = (
            part.unflatten(-1, (-1, self.head_size)).transpose(1, 2)
            for part in (self.to_q(places), self.to_k(context), self.to_v(context))
        )
        if bias is not None:
            # Of a smaller type it would be minus infinity.
            bias = bias.clamp(min=torch.finfo(query.dtype).min).to(query.dtype)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        out: Tensor = self.to_out(found.transpose(1, 2).flatten(2))
        return out


class _FeedForward(nn.Module):
    """A gated layer (GEGLU) of four times the width, and one back."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # The place between them was a dropout's.
        self.net = nn.Sequential(
            _Gated(channels, 4 * channels), nn.Identity(), nn.Linear(4 * channels, channels)
        )

    def forward(self, places: Tensor) -> Tensor:
        out: Tensor = self.net(places)
        return out


class _Gated(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.proj = nn.Linear(before, 2 * after)

    def forward(self, places: Tensor) -> Tensor:
        value, gate = self.proj(places).chunk(2, dim=-1)
        out: Tensor = value * F.gelu(gate)
        return out
