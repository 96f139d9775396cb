"""CLIP ViT-B/32's text tower (Radford et al. 2021), as CLIPSep is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from uss.conditions.text_towers import TextTower
from uss.conditions.tokenizing import Tokens, import_package
from uss.core.state_dicts import load_entries

CLIP_SPACE = "clip-512"
_CONSTANTS = ("*position_ids", "vision_model.*", "visual_projection.*", "logit_scale")
_END_ID = 49_407


class ClipText(TextTower):
    """Projected text vectors; not normalised, as CLIPSep takes them.

    Args:
        state: transformers' entries of a ``CLIPModel``, or of its text tower alone.
        source: what an error calls the file.
        tokenizer: makes CLIP's.
    """

    space = CLIP_SPACE
    size = 512

    def vectors(self, tokens: Tokens) -> Tensor:
        """Encode N tokenized texts as (N, 512)."""
        network: Any = self.network
        out: Tensor = network(input_ids=tokens.ids, attention_mask=tokens.mask).text_embeds
        return out

    def _build(self, state: Mapping[str, Tensor]) -> nn.Module:
        transformers = import_package("transformers")
        # The published configuration names an end token that its own vocabulary does not end with.
        config = transformers.CLIPTextConfig(eos_token_id=_END_ID, projection_dim=512)
        network: nn.Module = transformers.CLIPTextModelWithProjection(config)
        load_entries(network, state, self.source, _CONSTANTS)
        return network
