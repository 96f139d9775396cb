"""What text encoders share that are networks of transformers: they are built when first asked."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from uss.conditions.tokenizing import Tokenize, Tokens
from uss.core.arrays import Float32
from uss.core.initialisation import without_random_numbers

logger = logging.getLogger(__name__)

_BATCH_SIZE = 32


class TextTower(ABC):
    """A ``TextEncoder`` whose network and tokenizer are made when it is first asked.

    Attributes:
        space: see ``TextEncoder``.
        size: H.

    Args:
        state: entry name -> tensor; may be mapped from a file.
        source: what an error calls the file.
        tokenizer: makes the tokenizer, fetching its files if need be.
    """

    space: str
    size: int

    def __init__(
        self, state: Mapping[str, Tensor], source: str, tokenizer: Callable[[], Tokenize]
    ) -> None:
        self._state = state
        self.source = source
        self._make_tokenizer = tokenizer

    @cached_property
    def network(self) -> nn.Module:
        """The text network, in evaluation mode."""
        with without_random_numbers():
            network = self._build(self._state)
        return network.eval()

    @cached_property
    def tokenize(self) -> Tokenize:
        """Maps texts to tokens."""
        return self._make_tokenizer()

    def encode(self, texts: Sequence[str]) -> Float32:
        """Encode N texts as (N, H) float32; see ``TextEncoder``."""
        rows: list[Float32] = [np.zeros((0, self.size), np.float32)]
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            for start in range(0, len(texts), _BATCH_SIZE):
                ids, mask = self.tokenize(texts[start : start + _BATCH_SIZE])
                made = self.vectors(Tokens(ids.to(device), mask.to(device)))
                rows.append(made.float().cpu().numpy())
        return np.concatenate(rows)

    @abstractmethod
    def vectors(self, tokens: Tokens) -> Tensor:
        """Encode N tokenized texts as (N, H)."""

    @abstractmethod
    def _build(self, state: Mapping[str, Tensor]) -> nn.Module:
        """Build the network and load its entries strictly.

        Raises:
            ValueError: if transformers is not installed, or entries are missing, unknown or
                misshapen.
        """
