"""What the UNets of our own are built of: stages of an encoder and of a decoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.models.folding import BiasChange, activate, convert, fold_after
from uss.models.residual import ResidualBlock


def check_stages(channels: Sequence[int], fold: int, n_fft: int, hop_length: int) -> None:
    """See whether a spectrogram's bins can be folded and halved as wanted.

    Raises:
        ValueError: if ``channels`` is empty, a size is not positive, or the bins cannot be folded
            and halved that often.
    """
    if not channels:
        raise InputError("channels is empty; give one width per encoder stage")
    if min(*channels, fold, hop_length) < 1:
        raise InputError(
            f"channels {list(channels)}, fold {fold}, hop_length {hop_length}: all must be "
            "at least 1"
        )
    if (n_fft // 2) % (fold * 2 ** (len(channels) - 1)):
        raise InputError(
            f"{n_fft // 2} bins cannot be folded by {fold} and halved {len(channels) - 1} "
            "times; use fewer stages or a smaller fold"
        )


def _encoder_and_decoder(
    channels: Sequence[int],
) -> tuple[list[EncoderStage], ResidualBlock, list[DecoderStage]]:
    """Build the stages of a UNet: every one halves time and frequency, the last time only."""
    strides = [(2, 2)] * (len(channels) - 1) + [(1, 2)]
    encoder = [
        EncoderStage(before, after, stride)
        for before, after, stride in zip(
            (channels[0], *channels[:-1]), channels, strides, strict=True
        )
    ]
    decoder = [
        DecoderStage(before, after, stride)
        for before, after, stride in zip(
            (channels[-1], *channels[:0:-1]), channels[::-1], strides[::-1], strict=True
        )
    ]
    return encoder, ResidualBlock(channels[-1], channels[-1]), decoder


class EncoderStage(nn.Module):
    """A residual block whose output is kept for the decoder and pooled for the next stage."""

    def __init__(self, in_channels: int, out_channels: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.block = ResidualBlock(in_channels, out_channels)
        self.biases: tuple[int, ...] = self.block.biases
        self.stride = stride

    def fold(self, changes: list[BiasChange]) -> None:
        """See ``ResidualBlock.fold``."""
        self.block.fold(changes)

    def forward(
        self, image: Tensor, biases: Iterator[Tensor], joining: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return what the decoder gets, to which ``joining`` is added, and the next image."""
        skip = self.block(image, biases)
        if joining is not None:
            skip = skip + joining
        return skip, F.avg_pool2d(skip, self.stride)


class DecoderStage(nn.Module):
    """Upsampling, concatenation with the encoder's image, a residual block."""

    def __init__(self, in_channels: int, out_channels: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.norm: nn.Module = nn.BatchNorm2d(in_channels)
        self.upsample = nn.ConvTranspose2d(in_channels, out_channels, stride, stride, bias=False)
        self.block = ResidualBlock(2 * out_channels, out_channels)
        self.biases: tuple[int, ...] = (in_channels, *self.block.biases)

    def fold(self, changes: list[BiasChange]) -> None:
        """See ``ResidualBlock.fold``."""
        assert isinstance(self.norm, nn.BatchNorm2d)
        self.norm = fold_after(self.norm, self.upsample, changes, in_place=True)
        self.block.fold(changes)

    def forward(self, image: Tensor, skip: Tensor, biases: Iterator[Tensor]) -> Tensor:
        """Return the next image, twice as large."""
        image = self.upsample(activate(self.norm, image, next(biases)))
        out: Tensor = self.block(torch.cat([image, skip], dim=1), biases)
        return out


class Remaining(NamedTuple):
    """What the decoder takes besides the bottleneck's image.

    Attributes:
        skips: images of the encoder's stages, the last one first to be taken.
        biases: of the decoder's stages.
    """

    skips: list[Tensor]
    biases: Iterator[Tensor]


class StagedNetwork(nn.Module):
    """The layers that our UNets share, under the names that their checkpoints have.

    Attributes:
        fold: bins per position.
        time_stride: frames per column of the bottleneck.
    """

    def add_stages(self, channels: Sequence[int], num_maps: int, *, fold: int, n_fft: int) -> None:
        """Make the layers.

        Args:
            channels: of each encoder stage.
            num_maps: that the last convolution gives, each of ``fold`` channels.
            fold: bins per position.
            n_fft: of the spectrograms.
        """
        self.fold = fold
        self.time_stride: int = 2 ** len(channels)
        self.bin_norm = nn.BatchNorm1d(n_fft // 2)
        self.pre_conv = nn.Conv2d(fold, channels[0], 1)
        encoder, self.bottleneck, decoder = _encoder_and_decoder(channels)
        self.encoder, self.decoder = nn.ModuleList(encoder), nn.ModuleList(decoder)
        self.after_conv = nn.Conv2d(channels[0], num_maps * fold, 1)

    def bias_sizes(self) -> list[int]:
        """Channels of every bias that the stages take, in the order in which they take them."""
        return [size for stage in self._stages() for size in stage.biases]

    def fold_stages(self, dtype: torch.dtype) -> list[BiasChange]:
        """Fold norms, bring all convolutions to ``dtype``, and tell what becomes of the biases."""
        changes: list[BiasChange] = []
        for stage in self._stages():
            stage.fold(changes)
            convert(stage, dtype)
        for layer in (self.pre_conv, self.after_conv):
            convert(layer, dtype)
        return changes

    def descend(
        self,
        image: Tensor,
        biases: Sequence[Tensor],
        joining: Mapping[int, Tensor] | None = None,
    ) -> tuple[Tensor, Remaining]:
        """Run all before the decoder, in the type of the layers.

        Args:
            image: (B, fold, positions, F).
            biases: of all stages, (B or 1, C, 1, 1) each.
            joining: what is added to what a stage gives, by the stage's number.

        Returns:
            The bottleneck's image, and what ``ascend`` takes besides.
        """
        frames = image.shape[-1]
        image = F.pad(image, (0, -frames % self.time_stride)).to(self.pre_conv.weight.dtype)
        image = self.pre_conv(image.contiguous(memory_format=torch.channels_last))
        following = iter([bias.to(image.dtype) for bias in biases])
        skips = []
        for number, stage in enumerate(self.encoder):
            added = None if joining is None else joining.get(number)
            added = None if added is None else added.to(image.dtype)
            skip, image = stage(image, following, added)
            skips.append(skip)
        return self.bottleneck(image, following), Remaining(skips, following)

    def ascend(self, image: Tensor, remaining: Remaining) -> Tensor:
        """Run the decoder, which overwrites the bottleneck's image and lets go of the others."""
        for stage in self.decoder:
            image = stage(image, remaining.skips.pop(), remaining.biases)
        return image

    def _stages(self) -> list[EncoderStage | ResidualBlock | DecoderStage]:
        stages: list[Any] = [*self.encoder, self.bottleneck, *self.decoder]
        return stages
