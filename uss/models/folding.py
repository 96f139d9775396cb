"""Batch norms as inference runs them: folded into their neighbours.

In evaluation mode a batch norm is a scale and a shift per channel. Before an activation the shift
joins the bias that the condition gives (eq. 6), which is computed once per condition. The scale
joins the convolution before it. Where that convolution's output also goes elsewhere, the scale s
joins the convolution after the activation: leaky ReLU passes positive factors on, so
leaky(s x + b) = s leaky(x + b / s).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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
    """What remains of a batch norm whose scale and shift are elsewhere: nothing.

    Args:
        in_place: whether nothing else reads the image, so that it may be overwritten.
    """

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.in_place = in_place


class BiasChange(NamedTuple):
    """What folding does to the bias b of an activation: it becomes (b + shift) * factor.

    Attributes:
        shift: (C,).
        factor: (C,).
    """

    shift: Tensor
    factor: Tensor


def activate(norm: nn.Module, image: Tensor, bias: Tensor) -> Tensor:
    """Normalise, add the condition's bias, apply a leaky ReLU (eq. 6).

    Args:
        norm: a batch norm, or what folding left of it.
        image: (B, C, H, W).
        bias: (B, C, 1, 1).
    """
    if isinstance(norm, Scale):
        hidden = torch.addcmul(bias, image, norm.scale)
    elif isinstance(norm, Folded):
        hidden = image.add_(bias) if norm.in_place else image + bias
    else:
        hidden = norm(image) + bias
    return F.leaky_relu(hidden, LEAKY_SLOPE, inplace=True)


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return what a batch norm does in evaluation mode: (C,) scale and (C,) shift."""
    assert norm.running_var is not None and norm.running_mean is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale.detach(), (norm.bias - scale * norm.running_mean).detach()


@torch.no_grad()
def fold_before(norm: nn.BatchNorm2d, before: nn.Conv2d, changes: list[BiasChange]) -> Folded:
    """Fold a batch norm into the convolution before it, whose output nothing else reads.

    The change of the activation's bias is appended to ``changes``.
    """
    scale, shift = scale_and_shift(norm)
    before.weight.mul_(scale[:, None, None, None])
    changes.append(BiasChange(shift, torch.ones_like(shift)))
    return Folded(in_place=True)


@torch.no_grad()
def fold_after(
    norm: nn.BatchNorm2d,
    after: nn.Conv2d | nn.ConvTranspose2d,
    changes: list[BiasChange],
    *,
    in_place: bool = False,
) -> Folded | Scale:
    """Fold a batch norm into the convolution after its activation.

    A scale that is not positive in every channel stays behind.

    Args:
        norm: the batch norm.
        after: the convolution.
        changes: the change of the activation's bias is appended here.
        in_place: whether nothing but the norm reads its input.
    """
    scale, shift = scale_and_shift(norm)
    if not bool((scale > 0.0).all()):
        changes.append(BiasChange(shift, torch.ones_like(shift)))
        return Scale(scale)
    is_transposed = isinstance(after, nn.ConvTranspose2d)
    after.weight.mul_(scale[:, None, None, None] if is_transposed else scale[:, None, None])
    changes.append(BiasChange(shift, 1.0 / scale))
    return Folded(in_place)


@torch.no_grad()
def change_biases(
    bias: Tensor, changes: Sequence[BiasChange], weight: Tensor | None = None
) -> None:
    """Bring about the changes of all biases in turn, in place.

    Args:
        bias: (sum of C,).
        changes: of each place.
        weight: (sum of C, H) of a layer that adds to the bias what a condition asks for.
    """
    factor = torch.cat([change.factor for change in changes])
    bias.add_(torch.cat([change.shift for change in changes])).mul_(factor)
    if weight is not None:
        weight.mul_(factor[:, None])


def convert(module: nn.Module, dtype: torch.dtype) -> None:
    """Bring convolutions to a precision and to the layout in which they run fastest."""
    module.to(dtype)
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
