"""What the UNets of our own are built of: stages of an encoder and of a decoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.models.folding import BiasChange, activate, fold_after
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


def encoder_and_decoder(
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


def bias_sizes(
    encoder: Sequence[EncoderStage], bottleneck: ResidualBlock, decoder: Sequence[DecoderStage]
) -> list[int]:
    """Channels of every bias that the stages take, in the order in which they take them."""
    stages: list[EncoderStage | ResidualBlock | DecoderStage] = [*encoder, bottleneck, *decoder]
    return [size for stage in stages for size in stage.biases]


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
