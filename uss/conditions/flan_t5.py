"""FLAN-T5 (Chung et al. 2022), as FlowSep reads its queries: a vector for each of 50 tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from uss.conditions.class_queries import FLAN_T5_SPACE
from uss.conditions.text_checks import shown
from uss.conditions.text_towers import TextTower
from uss.conditions.tokenizing import Tokenize, Tokens, import_package
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.core.memory import check_memory
from uss.core.state_dicts import load_entries

MAX_TOKENS = 50
_SHARED, _EMBEDDED = "shared.weight", "encoder.embed_tokens.weight"
_BLOCK = "encoder.block.0.layer.0.SelfAttention."
_CONSTANTS = ("decoder.*", "lm_head.*")


class FlanT5(TextTower):
    """The last hidden states of T5's encoder, and which of them count.

    A condition is a row for each of 50 tokens, padded at the end: the token's hidden state and,
    last, 1 where there is a token, else 0.

    Args:
        state: transformers' entries of a ``T5EncoderModel``; those of a decoder are left aside.
        source: what an error calls the file.
        tokenizer: makes T5's, without padding.
    """

    space = FLAN_T5_SPACE

    def __init__(
        self, state: Mapping[str, Tensor], source: str, tokenizer: Callable[[], Tokenize]
    ) -> None:
        super().__init__(state, source, tokenizer)
        # Files hold one table of tokens under one name, or under two.
        table = state.get(_SHARED, state.get(_EMBEDDED))
        if table is None or table.dim() != 2:
            raise InputError(f"{source} lacks {_SHARED}; it is damaged, download it again")
        self._state = {**state, _SHARED: table, _EMBEDDED: table}
        self.size = MAX_TOKENS * (table.shape[1] + 1)

    def encode(self, texts: Sequence[str]) -> Float32:
        """Encode N texts as (N, H) float32; see ``TextEncoder``.

        Raises:
            ValueError: also if a text has more tokens than FlowSep was trained to read.
        """
        for text in texts:
            num_tokens = int(self.tokenize([text]).mask.sum())
            if num_tokens > MAX_TOKENS:
                raise InputError(
                    f"the text {shown(text)} has {num_tokens} tokens, and the model reads "
                    f"{MAX_TOKENS}; say it in fewer words"
                )
        return super().encode(texts)

    def vectors(self, tokens: Tokens) -> Tensor:
        """Encode N tokenized texts, of at most 50 tokens, as (N, H)."""
        missing = (0, MAX_TOKENS - tokens.ids.shape[1])
        # T5's padding has the number 0.
        ids, mask = (nn.functional.pad(part, missing) for part in tokens)
        network: Any = self.network
        hidden: Tensor = network(input_ids=ids, attention_mask=mask).last_hidden_state
        return torch.cat([hidden, mask[..., None].to(hidden.dtype)], dim=-1).flatten(1)

    def _build(self, state: Mapping[str, Tensor]) -> nn.Module:
        own = {name: value for name, value in state.items() if not name.startswith("decoder.")}
        check_memory(sum(4 * value.numel() for value in own.values()), "the text encoder")
        transformers = import_package("transformers")
        network: nn.Module = transformers.T5EncoderModel(_config(transformers, own, self.source))
        load_entries(network, own, self.source, _CONSTANTS)
        return network


def _config(transformers: Any, state: Mapping[str, Tensor], source: str) -> Any:
    """Tell the sizes from the shapes of entries."""
    try:
        relative = state[f"{_BLOCK}relative_attention_bias.weight"].shape
        inner = state[f"{_BLOCK}q.weight"].shape[0]
        gated = state["encoder.block.0.layer.1.DenseReluDense.wi_0.weight"].shape[0]
    except KeyError as error:
        raise InputError(
            f"{source} lacks {error.args[0]} of a FLAN-T5; it is damaged, download it again"
        ) from error
    blocks = {name.split(".")[2] for name in state if name.startswith("encoder.block.")}
    num_tokens, size = state[_SHARED].shape
    return transformers.T5Config(
        vocab_size=num_tokens,
        d_model=size,
        d_kv=inner // relative[1],
        d_ff=gated,
        num_layers=len(blocks),
        num_heads=relative[1],
        relative_attention_num_buckets=relative[0],
        feed_forward_proj="gated-gelu",
    )
