"""Which parameters are trained, and which of them weight decay draws towards zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

_NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
)


def train_only(module: nn.Module, parts: Sequence[nn.Module]) -> None:
    """Let the parts of a module learn, and nothing else of it."""
    module.requires_grad_(False)
    for part in parts:
        part.requires_grad_(True)


def parameter_groups(
    module: nn.Module, weight_decay: float, *, decay_norms_and_biases: bool = False
) -> list[dict[str, Any]]:
    """Sort what is trained into groups for an optimiser: with weight decay and without.

    Decay is meant for the weights of products, whose scale makes a function less smooth. A norm's
    weight is a scale that was asked for, and a bias only a place, so both stay out: every parameter
    of at most one dimension, all of norms, and all called a bias, among them Swin's tables of
    relative positions, which are added to the attention's logits. So do embeddings, of which most
    rows have no gradient in most steps and would vanish.

    Args:
        module: whose parameters; those without a gradient are left out.
        weight_decay: of the first group.
        decay_norms_and_biases: give it to all parameters, in one group.

    Returns:
        Groups that are not empty, for ``torch.optim``.
    """
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    seen: set[nn.Parameter] = set()
    for owner in module.modules():
        for name, parameter in owner.named_parameters(recurse=False):
            if parameter in seen or not parameter.requires_grad:
                continue
            seen.add(parameter)
            is_decayed = decay_norms_and_biases or not (
                parameter.ndim <= 1 or "bias" in name or isinstance(owner, (*_NORMS, nn.Embedding))
            )
            (decayed if is_decayed else others).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
