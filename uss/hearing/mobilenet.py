"""The convolutions of EfficientAT: MobileNetV3 on log-mel images (Schmid et al., ICASSP 2023).

The entry names are the published ones, so files load strictly.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_BATCH_NORM_EPS = 1e-3
TIME_STRIDE = 32
"""Log-mel frames per step of the last feature map."""


class _BlockShape(NamedTuple):
    """One inverted residual block at width 1.0."""

    kernel: int
    expanded: int
    out: int
    squeeze: bool
    hard_swish: bool
    stride: int


_STEM_CHANNELS = 16
_BLOCKS = (
    _BlockShape(3, 16, 16, False, False, 1),
    _BlockShape(3, 64, 24, False, False, 2),
    _BlockShape(3, 72, 24, False, False, 1),
    _BlockShape(5, 72, 40, True, False, 2),
    _BlockShape(5, 120, 40, True, False, 1),
    _BlockShape(5, 120, 40, True, False, 1),
    _BlockShape(3, 240, 80, False, True, 2),
    _BlockShape(3, 200, 80, False, True, 1),
    _BlockShape(3, 184, 80, False, True, 1),
    _BlockShape(3, 184, 80, False, True, 1),
    _BlockShape(3, 480, 112, True, True, 1),
    _BlockShape(3, 672, 112, True, True, 1),
    _BlockShape(5, 672, 160, True, True, 2),
    _BlockShape(5, 960, 160, True, True, 1),
    _BlockShape(5, 960, 160, True, True, 1),
)
_LAST_EXPANSION = 6


class _SqueezeExcite(nn.Module):
    """Scales channels by a gate computed from their means over frequency and time."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, image: Tensor) -> Tensor:
        gate = torch.sigmoid(self.fc2(F.relu(self.fc1(image.mean(dim=(2, 3))))))
        return image * gate[:, :, None, None]


class _ChannelGates(nn.Module):
    """The published files nest the gate in a list of one."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.conc_se_layers = nn.ModuleList([_SqueezeExcite(channels, hidden)])

    def forward(self, image: Tensor) -> Tensor:
        gated: Tensor = self.conc_se_layers[0](image)
        return gated


class _InvertedResidual(nn.Module):
    """Expand, depthwise convolution, gate, project; added to the input where shapes allow."""

    def __init__(self, in_channels: int, shape: _BlockShape, width: float) -> None:
        super().__init__()
        expanded, out_channels = _scaled(shape.expanded, width), _scaled(shape.out, width)
        activation: type[nn.Module] = nn.Hardswish if shape.hard_swish else nn.ReLU
        layers: list[nn.Module] = []
        if expanded != in_channels:
            layers.append(_convolution(in_channels, expanded, 1, activation=activation))
        layers.append(
            _convolution(
                expanded, expanded, shape.kernel, shape.stride, expanded, activation=activation
            )
        )
        if shape.squeeze:
            layers.append(_ChannelGates(expanded, _multiple_of_8(expanded / 4)))
        layers.append(_convolution(expanded, out_channels, 1))
        self.block = nn.Sequential(*layers)
        self.is_residual = shape.stride == 1 and in_channels == out_channels

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.block(image)
        return out + image if self.is_residual else out


def mobilenet_features(width: float) -> nn.Sequential:
    """Build the convolutions: a stem, fifteen inverted residual blocks, a last expansion.

    Args:
        width: scales every channel count; 0.4 for ``mn04_as``, 1.0 for ``mn10_as``.

    Returns:
        A network from (B, 1, 128, F) log-mel images to (B, H, 4, ceil(F / 32)) features.
    """
    channels = _scaled(_STEM_CHANNELS, width)
    layers: list[nn.Module] = [_convolution(1, channels, 3, 2, activation=nn.Hardswish)]
    for shape in _BLOCKS:
        layers.append(_InvertedResidual(channels, shape, width))
        channels = _scaled(shape.out, width)
    layers.append(_convolution(channels, channels * _LAST_EXPANSION, 1, activation=nn.Hardswish))
    return nn.Sequential(*layers)


def folded(features: nn.Sequential) -> nn.Sequential:
    """Copy the convolutions for inference alone, in which they take two thirds of the time.

    Batch norms are folded into the convolutions before them, activations are in place, and the
    layout is the one that depthwise convolutions like. The output differs by rounding.

    Args:
        features: what ``mobilenet_features`` built, in evaluation mode.
    """
    copied = copy.deepcopy(features)
    for layer in list(copied.modules()):
        if isinstance(layer, nn.Sequential) and isinstance(layer[0], nn.Conv2d):
            norm = layer[1]
            assert isinstance(norm, nn.BatchNorm2d)
            layer[0] = fuse_conv_bn_eval(layer[0], norm)
            layer[1] = nn.Identity()
            for activation in list(layer)[2:]:
                activation.inplace = True  # type: ignore[assignment]
    return copied.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _convolution(
    in_channels: int,
    out_channels: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    *,
    activation: type[nn.Module] | None = None,
) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            stride,
            (kernel - 1) // 2,
            groups=groups,
            bias=False,
        ),
        nn.BatchNorm2d(out_channels, eps=_BATCH_NORM_EPS, momentum=0.01),
    ]
    if activation is not None:
        layers.append(activation())
    return nn.Sequential(*layers)


def feature_channels(width: float) -> list[int]:
    """Channels of what each entry of ``mobilenet_features`` gives; the last is H."""
    blocks = [_scaled(shape.out, width) for shape in _BLOCKS]
    return [_scaled(_STEM_CHANNELS, width), *blocks, blocks[-1] * _LAST_EXPANSION]


def _scaled(channels: int, width: float) -> int:
    return _multiple_of_8(channels * width)


def _multiple_of_8(channels: float) -> int:
    """Nearest multiple of 8, one step up where that would lose more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
