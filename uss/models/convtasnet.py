"""ConvTasNet, conditioned: temporal convolutions on learned filters (Luo & Mesgarani 2019)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.models.base import SeparatorNetwork
from uss.models.film import FiLM

# That of the paper, far below the energy of quiet audio after the encoder.
_NORM_EPSILON = 1e-8


class ConvTasNet(SeparatorNetwork):
    """Masks the output of a learned encoder, with one output source and no spectrogram.

    Linear encoder and decoder, global layer norm, repeats of blocks with dilations 1, 2, 4, ...,
    whose skip outputs are summed, and a sigmoid mask: the best variant of the paper, not causal.
    The condition enters as one bias per channel before each PReLU (eq. 6); the mask's sigmoid,
    like that of ``ResUNet30``, takes none.

    Lengths in time are those of the paper. Its windows of 16 samples at 8 kHz last 2 ms, which at
    32 kHz is 64 samples; so the default network sees the paper's 1.53 s around each frame. With 16
    samples it would see a quarter of that, at four times the cost.

    Args:
        condition_space: the named space of the conditions.
        condition_size: H.
        num_filters: of encoder and decoder (the paper's N).
        window_samples: length of the filters (L), even; frames are half of it apart.
        bottleneck_channels: between blocks (the paper's B).
        hidden_channels: within blocks (the paper's H).
        skip_channels: of the blocks' summed outputs (Sc).
        kernel_size: of the dilated convolutions (P), odd.
        blocks_per_repeat: blocks of doubling dilation (X).
        num_repeats: how often they are repeated (R).
        sample_rate: in Hz.
        segment_seconds: the length it is trained on.

    Raises:
        ValueError: if a size is not positive, ``window_samples`` is odd or ``kernel_size`` even.
    """

    def __init__(
        self,
        condition_space: str,
        condition_size: int,
        *,
        num_filters: int = 512,
        window_samples: int = 64,
        bottleneck_channels: int = 128,
        hidden_channels: int = 512,
        skip_channels: int = 128,
        kernel_size: int = 3,
        blocks_per_repeat: int = 8,
        num_repeats: int = 3,
        sample_rate: int = 32_000,
        segment_seconds: float = 2.0,
    ) -> None:
        super().__init__()
        _check({n: size for n, size in self.hyperparameters.items() if isinstance(size, int)})
        self.condition_space = condition_space
        self.condition_size = condition_size
        self.sample_rate = sample_rate
        self.segment_seconds = segment_seconds
        self.hop_samples = window_samples // 2
        self.encoder = nn.Conv1d(1, num_filters, window_samples, self.hop_samples, bias=False)
        self.masker = _Masker(
            num_filters,
            (bottleneck_channels, hidden_channels, skip_channels),
            kernel_size,
            dilations=[2**i for i in range(blocks_per_repeat)] * num_repeats,
        )
        self.decoder = nn.ConvTranspose1d(
            num_filters, 1, window_samples, self.hop_samples, bias=False
        )
        num_blocks = num_repeats * blocks_per_repeat
        self.film = FiLM(condition_size, [hidden_channels] * (2 * num_blocks) + [skip_channels])

    def forward(
        self, mixture: Tensor, condition: Tensor, rng: np.random.Generator | None = None
    ) -> Tensor:
        """Separate one source per row; see ``SeparationModel``.

        Every channel is separated by itself. Silence stays silent.

        Args:
            mixture: (B, C, T) float32, T > 0.
            condition: (B, H).
            rng: not used.

        Returns:
            (B, C, T) float32.
        """
        batch, channels, num_samples = mixture.shape
        biases = iter(self.film(condition.repeat_interleave(channels, dim=0)))
        hop = self.hop_samples
        # A hop on both sides, so that every sample is in two windows.
        padded = F.pad(mixture.flatten(0, 1)[:, None], (hop, hop + -num_samples % hop))
        encoded = self.encoder(padded)
        decoded: Tensor = self.decoder(encoded * self.masker(encoded, biases)).float()
        return decoded[..., hop : hop + num_samples].reshape(batch, channels, num_samples)


class _Masker(nn.Module):
    """What the paper calls the separator: from filter outputs to gains, one source.

    Args:
        num_filters: the paper's N.
        channels: the paper's B, H and Sc.
        kernel_size: the paper's P.
        dilations: of the blocks, in frames.
    """

    def __init__(
        self,
        num_filters: int,
        channels: tuple[int, int, int],
        kernel_size: int,
        *,
        dilations: Sequence[int],
    ) -> None:
        super().__init__()
        self.norm = _global_norm(num_filters)
        self.bottleneck = nn.Conv1d(num_filters, channels[0], 1)
        last = len(dilations) - 1
        self.blocks = nn.ModuleList(
            _Block(channels, kernel_size, dilation=dilation, is_last=i == last)
            for i, dilation in enumerate(dilations)
        )
        self.activation = nn.PReLU()
        self.mask_conv = nn.Conv1d(channels[2], num_filters, 1)

    def forward(self, encoded: Tensor, biases: Iterator[Tensor]) -> Tensor:
        """Map (B, N, F) filter outputs to (B, N, F) gains in [0, 1]."""
        image = self.bottleneck(self.norm(encoded))
        total: Tensor | float = 0.0
        for block in self.blocks:
            image, skip = block(image, biases)
            total = total + skip
        hidden = self.activation(total + next(biases)[..., 0])
        return torch.sigmoid(self.mask_conv(hidden))


class _Block(nn.Module):
    """1x1 convolution, dilated depthwise convolution, and 1x1 convolutions to the two outputs.

    Nothing reads the residual output of the last block, so it has none.
    """

    def __init__(
        self, channels: tuple[int, int, int], kernel_size: int, *, dilation: int, is_last: bool
    ) -> None:
        super().__init__()
        bottleneck, hidden, skip = channels
        self.conv = nn.Conv1d(bottleneck, hidden, 1)
        self.activation1 = nn.PReLU()
        self.norm1 = _global_norm(hidden)
        self.depthwise = nn.Conv1d(
            hidden,
            hidden,
            kernel_size,
            padding=dilation * (kernel_size // 2),
            dilation=dilation,
            groups=hidden,
        )
        self.activation2 = nn.PReLU()
        self.norm2 = _global_norm(hidden)
        self.residual = None if is_last else nn.Conv1d(hidden, bottleneck, 1)
        self.skip = nn.Conv1d(hidden, skip, 1)

    def forward(self, image: Tensor, biases: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
        hidden = self.norm1(self.activation1(self.conv(image) + next(biases)[..., 0]))
        hidden = self.norm2(self.activation2(self.depthwise(hidden) + next(biases)[..., 0]))
        if self.residual is not None:
            image = image + self.residual(hidden)
        return image, self.skip(hidden)


def _global_norm(channels: int) -> nn.GroupNorm:
    """Normalise over channels and time together, then scale and shift each channel."""
    return nn.GroupNorm(1, channels, eps=_NORM_EPSILON)


def _check(sizes: Mapping[str, int]) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise InputError(f"{name} {size} must be at least 1")
    if sizes["window_samples"] % 2:
        raise InputError(
            f"window_samples {sizes['window_samples']} is odd, but windows overlap by half; use "
            "an even number"
        )
    if sizes["kernel_size"] % 2 == 0:
        raise InputError(
            f"kernel_size {sizes['kernel_size']} is even, so it has no centre; use an odd one"
        )
