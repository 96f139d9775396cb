"""What checkpoints of FlowSep hold: averaged weights, parts, sizes."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from uss.core.errors import InputError
from uss.models.flowsep.bigvgan import without_weight_norms
from uss.models.flowsep.latent_unet import LatentUNet

logger = logging.getLogger(__name__)

RELEASED_SPACE = "flan-t5-large-50"
RELEASED_TOKENS = 50
_UNET, _AVERAGED = "model.diffusion_model.", "model_ema.diffusion_model"
_SCALE = "scale_factor"
_VAE, _VOCODER = "first_stage_model.", "first_stage_model.vocoder."
_PARTS = {
    f"{_VAE}encoder.": "autoencoder",
    f"{_VAE}decoder.": "autoencoder",
    _VOCODER: "vocoder",
}
OF_TRAINING = (
    "betas",
    "alphas_*",
    "sqrt_*",
    "log_*",
    "posterior_*",
    "lvlb_weights",
    "logvar",
    "model_ema.decay",
    "model_ema.num_updates",
    f"{_VAE}loss.*",
    "cond_stage_models.*",
    "*.filter",
)
"""Patterns of entries that training needs, that other networks own, or that are constructed."""


def released_weights(state: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Bring the entries of a checkpoint to the names of a ``FlowSep``'s.

    Args:
        state: entry name -> tensor, as in the checkpoint.
        source: what an error calls the file.

    Raises:
        ValueError: if a part is missing; it says which.
    """
    for prefix, part in _PARTS.items():
        if not any(name.startswith(prefix) for name in state):
            raise InputError(
                f"{source} holds no {part} ({prefix}*); put the file that does into one folder "
                "with it, and name the folder"
            )
    own = without_weight_norms(averaged(state, source), source)
    if _SCALE in own:
        own[_SCALE] = _scale_of(own[_SCALE], source)
    else:
        logger.warning("%s: no %s is stored; latents are taken as they are", source, _SCALE)
        own[_SCALE] = torch.ones(())
    return own


def released_sizes(own: Mapping[str, Any], source: str) -> dict[str, int]:
    """Tell the sizes of a ``FlowSep`` from the shapes of its entries.

    Args:
        own: from ``released_weights``.
        source: what an error calls the file.

    Returns:
        Arguments of its constructor.

    Raises:
        ValueError: if one of those entries is missing.
    """
    reads_text = f"{_UNET}input_blocks.4.2.transformer_blocks.0.attn2.to_k.weight"
    text_size = _length(own, reads_text, source, axis=1)
    return {
        "condition_size": RELEASED_TOKENS * (text_size + 1),
        "num_tokens": RELEASED_TOKENS,
        "unet_base": _length(own, f"{_UNET}input_blocks.0.0.weight", source),
        "vae_base": _length(own, f"{_VAE}encoder.conv_in.weight", source),
        "vocoder_channels": _length(own, f"{_VOCODER}conv_pre.weight", source),
    }


def averaged(state: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Take the averaged weights for the U-Net's; where there are none, those of the last step.

    The names of the averages are those of the weights without their dots, so they are made from
    these, or from those of a U-Net; they could not be taken apart again.

    Args:
        state: entry name -> tensor, as in the checkpoint.
        source: what a warning calls the file.

    Returns:
        The same without ``model_ema``.
    """
    left = {n: v for n, v in state.items() if not n.startswith(_AVERAGED)}
    averages = {n: v for n, v in state.items() if n.startswith(_AVERAGED)}
    if not averages:
        logger.warning("%s: no averaged weights are stored; the last step's are taken", source)
        return left
    with torch.device("meta"):
        names = LatentUNet().state_dict().keys()
    # What is no weight of a U-Net stays, lest another network pass for one.
    replaced = {_UNET + name for name in names}
    own = {n: v for n, v in left.items() if n not in replaced}
    for name in names:
        value = averages.pop(_AVERAGED + name.replace(".", ""), None)
        if value is not None:
            own[_UNET + name] = value
    return own | averages


def is_flowsep(state: Mapping[str, Any]) -> bool:
    """Whether entries are those of a checkpoint of FlowSep, or a part of one."""
    return any(name.startswith((_UNET, _AVERAGED)) for name in state)


def _scale_of(value: Any, source: str) -> Tensor:
    """Check the scale of latents, by which stems are divided."""
    if isinstance(value, Tensor) and value.numel() == 1:
        scale = value.reshape(())
        if scale.is_meta or 0.0 < float(scale) < math.inf:
            return scale
    raise InputError(
        f"{source}: the entry {_SCALE} is no positive number; it is damaged, download it again"
    )


def _length(state: Mapping[str, Any], name: str, source: str, axis: int = 0) -> int:
    value = state.get(name)
    if not isinstance(value, Tensor) or value.dim() <= axis:
        raise InputError(f"{source} lacks the entry {name}; it is damaged, download it again")
    return int(value.shape[axis])
