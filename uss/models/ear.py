"""What a tagger hears in a mixture, as input of a separator.

A network that was taught to name sounds tells them apart better than one that only ever separated a
few hours of clips. Its feature maps join the separator's (as in CLAPSep, Ma et al. 2024, which uses
those of CLAP); it stays as the tagger left it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.hearing.mel import LogMel
from uss.hearing.mobilenet import feature_channels, mobilenet_features

_TAPS = (12, 16)
"""Entries of the features that are passed on: time divided by 16, and by 32."""

_HEIGHTS = (8, 4)
_LEVEL = 0.05
_TINY = 1e-6
_TOP_HZ = 15_000.0
_MIN_SAMPLES = 2_048
"""What a log-mel frame needs; less is padded with silence."""


class Heard(NamedTuple):
    """What the ear passes on.

    Attributes:
        fine: (B, channels[0], 8, F / 16), mel bands by log-mel frames.
        coarse: (B, channels[1], 4, F / 32).
    """

    fine: Tensor
    coarse: Tensor


class EarImage(nn.Module):
    """The log-mel image that an ear looks at, which does not depend on a mixture's level.

    Nothing of it is trained or stored.
    """

    def __init__(self) -> None:
        super().__init__()
        self.logmel = LogMel()

    def forward(self, waveform: Tensor) -> Tensor:
        """Map (B, T) waveforms at 32 kHz to (B, 128, F)."""
        level = waveform.square().mean(dim=1, keepdim=True).sqrt()
        waveform = F.pad(waveform, (0, max(0, _MIN_SAMPLES - waveform.shape[1])))
        with torch.autocast(waveform.device.type, enabled=False):
            image: Tensor = self.logmel(_LEVEL * waveform / (level + _TINY))
        return image


class Ear(nn.Module):
    """The convolutions of an EfficientAT tagger, which are not trained here.

    Args:
        width: of the tagger.

    Attributes:
        channels: of the two maps that are passed on.
        image: makes the images of waveforms that it looks at.
    """

    def __init__(self, width: float) -> None:
        super().__init__()
        every = feature_channels(width)
        self.channels = (every[_TAPS[0]], every[_TAPS[1]])
        self.image = EarImage()
        self.features = mobilenet_features(width).requires_grad_(False)
        # Lightning leaves modules in the mode in which it finds them.
        self.eval()

    def train(self, mode: bool = True) -> Ear:
        """Stay in evaluation mode, with the statistics that the tagger was trained with."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Heard:
        """Hear mixtures by their (B, 128, F) images, from ``image``."""
        taps = []
        # Its convolutions are mostly depthwise, which lower precision makes no faster.
        with torch.autocast(image.device.type, enabled=False):
            image = image[:, None].contiguous(memory_format=torch.channels_last)
            for number, block in enumerate(self.features):
                image = block(image)
                if number in _TAPS:
                    taps.append(image)
        return Heard(*taps)


class Joined(NamedTuple):
    """What is heard, as a separator takes it.

    Attributes:
        fine, coarse: to be added to its images of an eighth and a 32nd of the positions.
        tokens: (B, M, D) to attend to.
    """

    fine: Tensor
    coarse: Tensor
    tokens: Tensor


class JoinEar(nn.Module):
    """Brings what an ear hears to the shapes of a separator.

    Args:
        ear_channels: of the ear's two maps.
        widths: channels of the separator's two images.
        positions: their rows.
        token_size: D.
        sample_rate: in Hz.
    """

    def __init__(
        self,
        ear_channels: Sequence[int],
        widths: Sequence[int],
        positions: Sequence[int],
        token_size: int,
        sample_rate: int,
    ) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.BatchNorm2d(size) for size in ear_channels)
        self.moves = nn.ModuleList(
            MelToBins(*sizes, sample_rate) for sizes in zip(_HEIGHTS, positions, strict=True)
        )
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 1) for before, after in zip(ear_channels, widths, strict=True)
        )
        self.tokens = Tokens(ear_channels[1], _HEIGHTS[1], token_size)

    def forward(self, heard: Heard, num_columns: int, share: float) -> Joined:
        """Bring maps to images of which the mixture fills a share of the columns.

        Args:
            heard: by the ear.
            num_columns: of the separator's image at full resolution.
            share: of them that stand for frames of the mixture.
        """
        fine, coarse = (norm(image) for norm, image in zip(self.norms, heard, strict=True))
        images = []
        for number, (image, stride) in enumerate(((fine, 8), (coarse, 32))):
            columns = num_columns // stride
            moved = self.moves[number](image, columns, max(1, round(columns * share)))
            images.append(self.convs[number](moved.to(self.convs[number].weight.dtype)))
        return Joined(images[0], images[1], self.tokens(coarse))


class Tokens(nn.Module):
    """Makes tokens of the places of an image, which know their row.

    Args:
        channels: of the image.
        height: its rows.
        size: D.
    """

    def __init__(self, channels: int, height: int, size: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, size)
        self.row = nn.Parameter(0.02 * torch.randn(height, size))

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, C, height, F) to (B, height * F, D)."""
        places: Tensor = self.linear(image.permute(0, 2, 3, 1).to(self.linear.weight.dtype))
        return (places + self.row[:, None]).flatten(1, 2)


class MelToBins(nn.Module):
    """Brings a map from mel bands to the positions of a folded spectrogram, linearly in between.

    Args:
        num_bands: rows of the map, from 0 Hz to ``top_hz``.
        num_positions: rows wanted, equally spaced from 0 Hz to half the sample rate.
        sample_rate: in Hz.
        top_hz: of the mel bands.
    """

    weights: Tensor

    def __init__(
        self, num_bands: int, num_positions: int, sample_rate: int, top_hz: float = _TOP_HZ
    ) -> None:
        super().__init__()
        centres = (torch.arange(num_positions) + 0.5) / num_positions * sample_rate / 2
        mels = torch.log1p(centres / 700.0) / math.log1p(top_hz / 700.0)
        place = (mels.clamp(max=1.0) * num_bands - 0.5).clamp(0.0, num_bands - 1.0)
        bands = torch.arange(num_bands)
        weights = (1.0 - (place[:, None] - bands).abs()).clamp(min=0.0)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, image: Tensor, num_columns: int, num_heard: int) -> Tensor:
        """Map (B, C, bands, F) to (B, C, positions, num_columns).

        Args:
            image: of which the columns cover the first ``num_heard`` of those wanted.
            num_columns: how many are wanted.
            num_heard: those behind them are 0; if it is more, the last of them are left out.
        """
        moved = torch.einsum("pm,bcmf->bcpf", self.weights.to(image.dtype), image)
        size = (len(self.weights), num_heard)
        moved = F.interpolate(moved, size=size, mode="bilinear", align_corners=False)
        return F.pad(moved, (0, num_columns - num_heard))
