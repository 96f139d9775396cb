"""A text as CLAP reads it, word by word: how Mahmud et al. (2024) ask their separator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.conditions.clap import SIZE, Clap
from uss.conditions.class_queries import WORDS_SPACE
from uss.conditions.text_towers import TextTower
from uss.conditions.tokenizing import Tokens

NUM_WORDS = 77
WORD_SIZE = 768
_PADDING = 1


class ClapWords(TextTower):
    """The normalised vector of a text, RoBERTa's hidden states, and where a token stands.

    Texts are padded to 77 tokens, begin and end included, and longer ones cut. RoBERTa attends to
    no padding, but has hidden states there as well, which the released separator was trained with.

    Args:
        clap: whose text tower reads; its tokenizer cuts at 77 tokens.
    """

    space = WORDS_SPACE
    # 59,725 numbers.
    size = SIZE + NUM_WORDS * (WORD_SIZE + 1)

    def __init__(self, clap: Clap) -> None:
        super().__init__({}, clap.source, lambda: clap.tokenize)
        self.clap = clap

    def vectors(self, tokens: Tokens) -> Tensor:
        """Encode N tokenized texts, of at most 77 tokens, as (N, 59725)."""
        network: Any = self.network
        missing = NUM_WORDS - tokens.ids.shape[1]
        ids = F.pad(tokens.ids, (0, missing), value=_PADDING)
        mask = F.pad(tokens.mask, (0, missing))
        out = network.text_model(input_ids=ids, attention_mask=mask)
        vector = F.normalize(network.text_projection(out.pooler_output), dim=-1)
        hidden = out.last_hidden_state.flatten(1)
        return torch.cat([vector, hidden, mask.to(hidden.dtype)], dim=1)

    def _build(self, state: Mapping[str, Tensor]) -> nn.Module:
        return self.clap.network
