"""Queries that weight the maps of a trunk: the half of a network that knows what is asked for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.models.masking import standardisation
from uss.models.portable import PortableNetwork

Encoded = tuple[Tensor, Tensor]
"""(B, num_maps, fold, bins // fold, F) maps, and (B, M, D) that queries attend to."""

Modulation = tuple[Tensor, ...]

_START_SCALE = 0.3
_NOTHING = -1e4
"""The logit of a query that is not asked."""


class MapQueries(PortableNetwork):
    """A ``PortableNetwork`` whose ``encode`` gives maps, and whose masks are weighted sums of them.

    Subclasses call ``add_queries`` when they are built.
    """

    condition_mean: Tensor
    condition_scale: Tensor
    looks_once = True

    def add_queries(self, num_maps: int, query_size: int, num_layers: int, num_heads: int) -> None:
        """Build what makes weights of conditions.

        Args:
            num_maps: of the trunk.
            query_size: D.
            num_layers: how often queries attend to the mixture.
            num_heads: of each attention.

        Raises:
            ValueError: if the heads do not divide a query.
        """
        if query_size % num_heads:
            raise InputError(f"{num_heads} heads do not divide a query of {query_size}; use others")
        self.register_buffer("condition_mean", torch.zeros(self.condition_size))
        self.register_buffer("condition_scale", torch.ones(self.condition_size))
        self.query = nn.Sequential(
            nn.Linear(self.condition_size, query_size), nn.GELU(), nn.Linear(query_size, query_size)
        )
        self.layers = nn.ModuleList(_Attention(query_size, num_heads) for _ in range(num_layers))
        self.last_norm = nn.LayerNorm(query_size)
        self.weigh = nn.Linear(query_size, num_maps + 1)
        with torch.no_grad():
            self.weigh.weight.mul_(_START_SCALE)

    def standardise_conditions(self, conditions: Tensor) -> None:
        """Fix the mean and scale that conditions are brought to unit range with.

        Args:
            conditions: (N, H) a sample of the training conditions.

        Raises:
            ValueError: if they are of another size.
        """
        mean, scale = standardisation(conditions, self.condition_size)
        self.condition_mean.copy_(mean)
        self.condition_scale.copy_(scale)

    def modulate(self, condition: Tensor) -> Modulation:
        """Map (B, H) conditions to (B, D) queries that have not looked at a mixture yet."""
        return (self.query((condition - self.condition_mean) * self.condition_scale),)

    def mask(self, encoded: Encoded, modulation: Modulation) -> Tensor:
        """Ask.

        Args:
            encoded: of B segments, from ``encode``.
            modulation: from ``modulate``, for B conditions.

        Returns:
            (B, n_fft // 2 + 1, F) complex mask, real and in [0, 1]; the top bin is 0.
        """
        gain = torch.sigmoid(self._logits(encoded, modulation[0][:, None])[:, 0])
        gain = F.pad(gain, (0, 0, 0, 1))
        return torch.complex(gain, torch.zeros_like(gain))

    def masks(self, encoded: Encoded, conditions: Tensor) -> Tensor:
        """Ask each segment for all sources at once; see ``MaskNetwork``.

        Returns:
            (B, Q, n_fft // 2 + 1, F) real gains.
        """
        batch, num_queries, _ = conditions.shape
        (queries,) = self.modulate(conditions.flatten(0, 1))
        logits = self._logits(encoded, queries.reshape(batch, num_queries, -1))
        return F.pad(torch.sigmoid(logits), (0, 0, 0, 1))

    def planes(self, encoded: Encoded, conditions: Tensor) -> Tensor:
        """Ask one segment for several sources; see ``PortableNetwork``. Masks are real."""
        return self.masks(encoded, conditions[None])[0][:, None]

    def shares(self, encoded: Encoded, conditions: Tensor, is_asked: Tensor) -> Tensor:
        """Ask each segment for several sources that compete; see ``MaskNetwork``.

        The same as ``compete`` makes of ``masks``, by one softmax of their logits, but without the
        top bin, which is 0.
        """
        batch, num_queries, _ = conditions.shape
        (queries,) = self.modulate(conditions.flatten(0, 1))
        weights, bias = self._weights(queries.reshape(batch, num_queries, -1), encoded[1])
        bias = bias.masked_fill(~is_asked[:, :, None], _NOTHING)
        # The residual's logit is 0.
        maps = encoded[0]
        weights, bias = F.pad(weights, (0, 0, 0, 1)), F.pad(bias, (0, 0, 0, 1))
        logits = torch.baddbmm(bias.to(maps.dtype), weights.to(maps.dtype), maps.flatten(2))
        shares = torch.softmax(logits, dim=1, dtype=torch.float32)[:, :-1]
        return _unfolded(shares, maps)

    def _weights(self, queries: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Let (B, Q, D) queries look at the mixture: (B, Q, num_maps) weights, (B, Q, 1) biases."""
        for layer in self.layers:
            queries = layer(queries, memory)
        weights = self.weigh(self.last_norm(queries))
        return weights[..., :-1], weights[..., -1:]

    def _logits(self, encoded: Encoded, queries: Tensor) -> Tensor:
        """(B, Q, n_fft // 2, F) of (B, Q, D) queries."""
        maps, memory = encoded
        weights, bias = self._weights(queries, memory)
        products = torch.baddbmm(bias.to(maps.dtype), weights.to(maps.dtype), maps.flatten(2))
        return _unfolded(products.float(), maps)


def _unfolded(sums: Tensor, maps: Tensor) -> Tensor:
    """Put the bins of weighted sums of maps in order: (B, Q, ...) to (B, Q, bins, F)."""
    folded: Tensor = sums.reshape(*sums.shape[:2], *maps.shape[2:])
    return folded.transpose(2, 3).flatten(2, 3)


class _Attention(nn.Module):
    """Queries attend to a mixture, each by itself; then two layers (pre-norm)."""

    def __init__(self, size: int, num_heads: int) -> None:
        super().__init__()
        self.query_norm, self.memory_norm = nn.LayerNorm(size), nn.LayerNorm(size)
        self.attention = nn.MultiheadAttention(size, num_heads, batch_first=True)
        self.norm = nn.LayerNorm(size)
        self.layers = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        """Map (B, Q, D) queries and (B, M, D) memory to (B, Q, D)."""
        memory = self.memory_norm(memory)
        found, _ = self.attention(self.query_norm(queries), memory, memory, need_weights=False)
        queries = queries + found
        out: Tensor = queries + self.layers(self.norm(queries))
        return out
