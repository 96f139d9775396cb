"""Batch norms as inference runs them: folded into their neighbours.

In evaluation mode a batch norm is a scale and a shift per channel. Before an activation the shift
joins the bias that the condition gives (eq. 6), which is computed once per condition. The scale
joins the convolution before it; where the convolution's output also goes elsewhere, it stays.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LEAKY_SLOPE = 0.01


class Scale(nn.Module):
    """What remains of a batch norm whose shift is elsewhere.

    Args:
        scale: (C,).
    """

    scale: Tensor

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale[None, :, None, None].clone())


class Folded(nn.Module):
    """What remains of a batch norm whose scale and shift are elsewhere: nothing."""


def activate(norm: nn.Module, image: Tensor, bias: Tensor) -> Tensor:
    """Normalise, add the condition's bias, apply a leaky ReLU (eq. 6).

    Args:
        norm: a batch norm, or what folding left of it. Behind ``Folded`` the image is overwritten.
        image: (B, C, H, W).
        bias: (B, C, 1, 1).
    """
    if isinstance(norm, Scale):
        hidden = torch.addcmul(bias, image, norm.scale)
    elif isinstance(norm, Folded):
        hidden = image.add_(bias)
    else:
        hidden = norm(image) + bias
    return F.leaky_relu(hidden, LEAKY_SLOPE, inplace=True)


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return what a batch norm does in evaluation mode: (C,) scale and (C,) shift."""
    assert norm.running_var is not None and norm.running_mean is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale.detach(), (norm.bias - scale * norm.running_mean).detach()


@torch.no_grad()
def fold_shift(norm: nn.BatchNorm2d, shifts: list[Tensor]) -> Scale:
    """Replace a batch norm by its scale; its shift is appended to ``shifts``."""
    scale, shift = scale_and_shift(norm)
    shifts.append(shift)
    return Scale(scale)


@torch.no_grad()
def fold_both(norm: nn.BatchNorm2d, before: nn.Conv2d, shifts: list[Tensor]) -> Folded:
    """Fold a batch norm's scale into the convolution before it; append its shift to ``shifts``."""
    scale, shift = scale_and_shift(norm)
    before.weight.mul_(scale[:, None, None, None])
    shifts.append(shift)
    return Folded()


def convert(module: nn.Module, dtype: torch.dtype) -> None:
    """Bring convolutions to a precision and to the layout in which they run fastest."""
    module.to(dtype)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
