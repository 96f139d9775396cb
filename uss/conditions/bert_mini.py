"""BERT-mini (Turc et al. 2019), as LASS-Net reads its queries: four layers of 256 numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from uss.conditions.text_towers import TextTower
from uss.conditions.tokenizing import Tokenize, Tokens, import_package
from uss.core.state_dicts import load_entries

BERT_MINI_SPACE = "bert-mini-256"
"""Of the network as it was published; LASS-Net's copy has learned since, and has a space of its
own."""
LASS_NET_SPACE = "lass-net-256"
_CONSTANTS = ("*position_ids", "*token_type_ids", "pooler.*", "cls.*")


class BertMini(TextTower):
    """The last hidden state of the first token, ``[CLS]``.

    Args:
        state: BERT's entries without a prefix.
        source: what an error calls the file.
        tokenizer: makes BERT's.
        space: the named space.
    """

    size = 256

    def __init__(
        self,
        state: Mapping[str, Tensor],
        source: str,
        tokenizer: Callable[[], Tokenize],
        space: str = BERT_MINI_SPACE,
    ) -> None:
        super().__init__(state, source, tokenizer)
        self.space = space

    def vectors(self, tokens: Tokens) -> Tensor:
        """Encode N tokenized texts as (N, 256)."""
        network: Any = self.network
        hidden: Tensor = network(input_ids=tokens.ids, attention_mask=tokens.mask).last_hidden_state
        return hidden[:, 0]

    def _build(self, state: Mapping[str, Tensor]) -> nn.Module:
        transformers = import_package("transformers")
        config = transformers.BertConfig(
            hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
        )
        network: nn.Module = transformers.BertModel(config, add_pooling_layer=False)
        load_entries(network, state, self.source, _CONSTANTS)
        return network
