"""EfficientAT taggers: MobileNetV3 on log-mel images (Schmid et al., ICASSP 2023).

One family at several widths; ``mn04_as`` (width 0.4, mAP 0.432) and ``mn10_as`` (width 1.0) are
published, the student inside the embedded default has the same shape. The entry names are the
published ones, so files load strictly.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.core.state_dicts import COUNTERS, check_entries
from uss.taggers.base import NUM_CLASSES, TaggerNetwork, TaggerOutput
from uss.taggers.mel import LogMel

_BATCH_NORM_EPS = 1e-3
_CLASSIFIER_CHANNELS = 1280


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
_TIME_STRIDE = 32
_LAST_EXPANSION = 6


class EfficientAT(TaggerNetwork):
    """The tagger: log-mel image, MobileNetV3 features, two-layer classifier.

    Args:
        width: scales every channel count; 0.4 for ``mn04_as``, 1.0 for ``mn10_as``.
        name: what reports call this tagger.
        dropout: before the last layer, in training only.

    Attributes:
        constants: see ``uss.core.state_dicts.load_entries``.

    Raises:
        ValueError: if the width is not positive.
    """

    sample_rate = LogMel.sample_rate
    frames_per_second = LogMel.sample_rate / LogMel.hop_length / _TIME_STRIDE
    head = "classifier"
    constants = (COUNTERS,)
    not_kept = frozenset({"dropout"})

    def __init__(self, width: float = 0.4, name: str = "efficientat", dropout: float = 0.2) -> None:
        super().__init__()
        if not width > 0.0:
            raise InputError(f"width must be positive, not {width}")
        self.name = name
        self.width = width
        self.logmel = LogMel()
        self.features = _features(width)
        self.embedding_size = _scaled(_BLOCKS[-1].out, width) * _LAST_EXPANSION
        hidden = round(_CLASSIFIER_CHANNELS * width)
        # The published file numbers these layers after a pooling and a flattening.
        self.classifier = nn.Sequential(
            OrderedDict(
                [
                    ("2", nn.Linear(self.embedding_size, hidden)),
                    ("3", nn.Hardswish()),
                    ("4", nn.Dropout(dropout)),
                    ("5", nn.Linear(hidden, NUM_CLASSES)),
                ]
            )
        )

    @classmethod
    def from_state_dict(
        cls, state: Mapping[str, Tensor], name: str, source: str | None = None
    ) -> EfficientAT:
        """Build the network whose width the entries show, and load them strictly.

        Args:
            state: entry name -> tensor.
            name: what reports call the tagger.
            source: what an error calls the file; the name, if none is given.

        Raises:
            ValueError: if entries are missing, unknown or of another shape; it names them.
        """
        key = "classifier.2.weight"
        weight = state.get(key)
        source = source or name
        if not isinstance(weight, Tensor) or weight.dim() != 2 or not weight.shape[0]:
            raise InputError(
                f"{source} is not an EfficientAT state dict: it has no matrix {key!r}; it is "
                "damaged or of another model, download it again"
            )
        model = cls(width=weight.shape[0] / _CLASSIFIER_CHANNELS, name=name)
        check_entries(model, state, source, cls.constants)
        # With the counters of batches, which load_entries leaves out: weight hashes count them.
        own = {entry: value for entry, value in state.items() if entry in model.state_dict()}
        model.load_state_dict(own, strict=True)
        return model.eval()

    def feature_map(self, logmel: Tensor) -> Tensor:
        """Run the convolutions.

        Args:
            logmel: (B, 128, F) image from ``self.logmel``.

        Returns:
            (B, F', H), averaged over frequency, 3.125 frames per second.
        """
        image: Tensor = self.features(logmel[:, None])
        return image.mean(dim=2).transpose(1, 2)

    def forward(self, waveform: Tensor) -> TaggerOutput:
        """Tag waveforms; see ``uss.taggers.base.Tagger``.

        Framewise probabilities are the clip classifier applied to each time step of the last
        feature map instead of to their mean.

        Args:
            waveform: (B, T) float32 in [-1, 1] at 32 kHz; less than 1 s is zero-padded to 1 s.
        """
        missing = self.sample_rate - waveform.shape[-1]
        if missing > 0:
            waveform = F.pad(waveform, (0, missing))
        steps = self.feature_map(self.logmel(waveform))
        embedding = steps.mean(dim=1)
        return TaggerOutput(
            clipwise=torch.sigmoid(self.classifier(embedding)),
            framewise=torch.sigmoid(self.classifier(steps)),
            embedding=embedding,
        )


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


def _features(width: float) -> nn.Sequential:
    channels = _scaled(_STEM_CHANNELS, width)
    layers: list[nn.Module] = [_convolution(1, channels, 3, 2, activation=nn.Hardswish)]
    for shape in _BLOCKS:
        layers.append(_InvertedResidual(channels, shape, width))
        channels = _scaled(shape.out, width)
    layers.append(_convolution(channels, channels * _LAST_EXPANSION, 1, activation=nn.Hardswish))
    return nn.Sequential(*layers)


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


def _scaled(channels: int, width: float) -> int:
    return _multiple_of_8(channels * width)


def _multiple_of_8(channels: float) -> int:
    """Nearest multiple of 8, one step up where that would lose more than a tenth."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
