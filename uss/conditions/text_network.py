"""The embedded text encoder as a network of torch, for runtimes that take such."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.conditions.text_classes import TextClasses


class TextNetwork(nn.Module):
    """Computes what ``TextClasses.probabilities`` does, of rows of its word vectors.

    Args:
        encoder: whose weights it takes.
    """

    vectors: Tensor
    scales: Tensor

    def __init__(self, encoder: TextClasses) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.from_numpy(encoder.vectors))
        self.register_buffer("scales", torch.from_numpy(encoder.vector_scales)[:, None])
        size = self.vectors.shape[1]
        for name, (matrix, bias) in encoder.layers.items():
            weight = torch.from_numpy(matrix)
            if name == "convolution":
                # Its rows hold the vectors of neighbouring words one after the other.
                weight = weight.unflatten(1, (-1, size)).transpose(1, 2).contiguous()
            self.register_buffer(f"{name}_weight", weight)
            self.register_buffer(f"{name}_bias", torch.from_numpy(bias))

    def forward(self, rows: Tensor) -> Tensor:
        """Map (N,) int64 rows of a text's words, one or more, to (K,) probabilities."""
        vectors = self.vectors[rows].float() * self.scales[rows]
        weight, bias = self.get_buffer("convolution_weight"), self.get_buffer("convolution_bias")
        heard = F.relu(F.conv1d(vectors.T[None], weight, bias, padding=1)[0])
        hidden = F.relu(self._apply_layer("hidden", torch.cat([heard.mean(1), heard.amax(1)])))
        return torch.sigmoid(self._apply_layer("classes", hidden))

    def _apply_layer(self, name: str, values: Tensor) -> Tensor:
        return F.linear(values, self.get_buffer(f"{name}_weight"), self.get_buffer(f"{name}_bias"))
