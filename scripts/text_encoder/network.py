"""The embedded text encoder while it learns; ``uss.conditions.text_classes`` runs it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uss.taggers import NUM_CLASSES


class TextNetwork(nn.Module):
    """Word vectors, one convolution over words, mean and maximum, two layers.

    A word's vector is what it came with, plus what was learned of it: words that no text of the
    training holds keep a place among words like them.

    Args:
        vectors: (V, H) of words, as they come.
        width: of the convolution.
        hidden: of the layer before the classes.
    """

    def __init__(self, vectors: NDArray, width: int = 320, hidden: int = 512) -> None:
        super().__init__()
        size = vectors.shape[1]
        self.register_buffer("given", torch.from_numpy(vectors))
        self.learned = nn.Embedding(len(vectors), size)
        nn.init.zeros_(self.learned.weight)
        self.convolution = nn.Conv1d(size, width, 3, padding=1)
        self.hidden = nn.Linear(2 * width, hidden)
        self.classes = nn.Linear(hidden, NUM_CLASSES)
        self.dropout = nn.Dropout(0.3)
        nn.init.constant_(self.classes.bias, -5.0)

    def word_vectors(self) -> Tensor:
        """(V, H)."""
        return self.given + self.learned.weight

    def forward(self, indexes: Tensor, mask: Tensor) -> Tensor:
        """Map (B, W) word indexes, where (B, W) ``mask`` is 1, to (B, K) logits."""
        vectors = self.given[indexes] + self.learned(indexes)
        vectors = vectors * mask[..., None]
        heard = torch.relu(self.convolution(vectors.transpose(1, 2))) * mask[:, None]
        mean = heard.sum(dim=2) / mask.sum(dim=1, keepdim=True).clamp(min=1.0)
        pooled = torch.cat([mean, heard.amax(dim=2)], dim=1)
        hidden = torch.relu(self.hidden(self.dropout(pooled)))
        return self.classes(self.dropout(hidden))


def padded(rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Put rows of word indexes side by side: (B, W) indexes and their mask."""
    width = max(1, max(len(row) for row in rows))
    indexes = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width)
    for at, row in enumerate(rows):
        indexes[at, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[at, : len(row)] = 1.0
    return indexes, mask
