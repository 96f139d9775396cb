"""The layers of the published separator, under their published names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.models.folding import BiasChange, activate, fold_after
from uss.models.residual import ResidualBlock


class FiLMPerNorm(nn.ModuleDict):
    """One linear layer per batch norm of the network, under the norm's name with -> for dots."""

    def __init__(self, condition_size: int, network: nn.Module) -> None:
        super().__init__()
        self.read_names: list[str] = []
        for path, norm in network.named_modules():
            if not isinstance(norm, nn.BatchNorm2d):
                continue
            name = path.replace(".bn", ".beta").replace(".", "->")
            self[name] = nn.Linear(condition_size, norm.num_features)
            if norm.weight.requires_grad:
                self.read_names.append(name)
            else:
                # Nothing reads that norm (see _DecoderStage), nor its bias.
                self[name].requires_grad_(False)

    def forward(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Map (B, H) conditions to (B, channels, 1, 1) biases, in the order of their use."""
        return tuple(self[name](condition)[:, :, None, None] for name in self.read_names)


class Network(nn.Module):
    """What the files call ``base``: all but the transforms and the FiLM layers.

    Batch norms are registered in the order in which they, and their FiLM biases, are used.
    """

    def __init__(
        self, channels: tuple[int, ...], num_bins: int, blocks_per_stage: int, shortcuts: bool
    ) -> None:
        super().__init__()
        depth = len(channels)
        blocks = (blocks_per_stage, shortcuts)
        self.time_stride = 2 ** (depth - 1)
        # (time, frequency)
        self.strides = [(2, 2)] * (depth - 1) + [(1, 2)]
        self.encoder_names = [f"encoder_block{i + 1}" for i in range(depth)]
        self.bottleneck_name = f"conv_block{depth + 1}a"
        self.decoder_names = [f"decoder_block{i + 1}" for i in range(depth)]
        self.bn0 = nn.BatchNorm1d(num_bins)
        self.pre_conv = nn.Conv2d(1, channels[0], 1)
        before = channels[0]
        for name, after in zip(self.encoder_names, channels, strict=True):
            self.add_module(name, _Stage(before, after, *blocks))
            before = after
        self.add_module(self.bottleneck_name, _Stage(before, before, *blocks))
        ways_up = zip(self.decoder_names, channels[::-1], self.strides[::-1], strict=True)
        for name, after, stride in ways_up:
            self.add_module(name, _DecoderStage(before, after, stride, *blocks))
            before = after
        self.after_conv = nn.Conv2d(before, 3, 1)
        with torch.no_grad():
            # Start with masks that leave the phase alone, instead of turning it at random.
            self.after_conv.bias[1] = 1.0  # type: ignore[index]

    def fold(self) -> list[BiasChange]:
        """Fold all norms; returns what becomes of the biases, in their order."""
        changes: list[BiasChange] = []
        for name in (*self.encoder_names, self.bottleneck_name, *self.decoder_names):
            getattr(self, name).fold(changes)
        return changes

    def forward(
        self, image: Tensor, biases: Iterator[Tensor], joining: Tensor | None = None
    ) -> Tensor:
        """Map (B, 1, F, n_fft // 2), F a multiple of ``time_stride``, to (B, 3, F, n_fft // 2).

        What is ``joining`` (B, channels, F, n_fft // 2), is added to the first convolution's image.
        """
        image = self.pre_conv(image)
        if joining is not None:
            image = image + joining
        skips = []
        for name, stride in zip(self.encoder_names, self.strides, strict=True):
            skips.append(self.get_submodule(name)(image, biases))
            image = F.avg_pool2d(skips[-1], stride)
        image = self.get_submodule(self.bottleneck_name)(image, biases)
        for name in self.decoder_names:
            image = self.get_submodule(name)(image, skips.pop(), biases)
        maps: Tensor = self.after_conv(image)
        return maps


class _Stage(nn.Module):
    """Residual blocks in a row: an encoder stage before its pooling, or the bottleneck."""

    def __init__(self, before: int, after: int, num_blocks: int, shortcuts: bool) -> None:
        super().__init__()
        self.block_names = _add_blocks(self, 1, (before, *[after] * num_blocks), shortcuts)

    def fold(self, changes: list[BiasChange]) -> None:
        """See ``ResidualBlock.fold``."""
        for name in self.block_names:
            getattr(self, name).fold(changes)

    def forward(self, image: Tensor, biases: Iterator[Tensor]) -> Tensor:
        for name in self.block_names:
            image = self.get_submodule(name)(image, biases)
        return image


class _DecoderStage(nn.Module):
    """Upsampling, concatenation with the encoder's image, residual blocks."""

    def __init__(
        self, before: int, after: int, stride: tuple[int, int], num_blocks: int, shortcuts: bool
    ) -> None:
        super().__init__()
        self.bn1: nn.Module = nn.BatchNorm2d(before)
        # Published, but nothing reads it: frozen, so that optimisers and DDP leave it out.
        self.bn2 = nn.BatchNorm2d(before).requires_grad_(False)
        self.conv1 = nn.ConvTranspose2d(before, after, stride, stride, bias=False)
        self.block_names = _add_blocks(self, 2, (2 * after, *[after] * num_blocks), shortcuts)

    def fold(self, changes: list[BiasChange]) -> None:
        """See ``ResidualBlock.fold``."""
        assert isinstance(self.bn1, nn.BatchNorm2d)
        self.bn1 = fold_after(self.bn1, self.conv1, changes, in_place=True)
        for name in self.block_names:
            getattr(self, name).fold(changes)

    def forward(self, image: Tensor, skip: Tensor, biases: Iterator[Tensor]) -> Tensor:
        image = self.conv1(activate(self.bn1, image, next(biases)))
        image = torch.cat([image, skip], dim=1)
        for name in self.block_names:
            image = self.get_submodule(name)(image, biases)
        return image


def _add_blocks(
    stage: nn.Module, first: int, widths: Sequence[int], shortcuts: bool
) -> tuple[str, ...]:
    """Add residual blocks that lead from width to width, as ``conv_block<first>`` and on."""
    names = tuple(f"conv_block{first + i}" for i in range(len(widths) - 1))
    for name, before, after in zip(names, widths, widths[1:], strict=False):
        block = ResidualBlock(before, after, norm_names=("bn1", "bn2"), has_shortcut=shortcuts)
        stage.add_module(name, block)
    return names
