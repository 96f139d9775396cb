"""The published separators: ResUNet30, its deeper variant and its variant without shortcuts.

Section 3.5 of Kong et al. 2023, eqs. 1, 5 and 6. Entry names are the published ones, such as
``base.encoder_block1.conv_block1.bn1.weight`` and ``film.decoder_block1->beta1.weight``,
so the released USS and AudioSep weights load strictly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.models.masking import MaskNetwork, complex_mask, magnitude
from uss.state_dicts import load_entries

if TYPE_CHECKING:
    from typing_extensions import Self

_LEAKY_SLOPE = 0.01
_PUBLISHED_SPACES = {527: "audioset-527", 2048: "cnn14-2048", 512: "clap-512"}

Modulation = tuple[Tensor, ...]


class ResUNet30(MaskNetwork):
    """Encoder, bottleneck and decoder of residual blocks on the magnitude spectrogram.

    With the default arguments it is the released network of 34 convolutions: two in each of 13
    residual blocks (6 encoder stages, 1 bottleneck, 6 decoder stages), 6 transposed ones, and the
    1x1 convolutions before and after; the 1x1 convolutions of shortcuts are not counted. Each
    batch norm has a FiLM layer that maps the condition to one bias per channel (eq. 6). The
    published decoder stages hold a second batch norm and FiLM layer that nothing reads: they are
    here so that files load strictly, and their parameters are frozen.

    A new network starts with masks that leave the phase alone: the bias of the real map is 1.

    Args:
        condition_space: the named space of the conditions.
        condition_size: H.
        channels: of each encoder stage; every stage halves time and frequency, the last one
            frequency only.
        blocks_per_stage: residual blocks in each encoder and decoder stage and in the bottleneck.
        shortcuts: whether blocks add their input to their output.
        n_fft: also the window's length, in samples.
        hop_length: between frames, in samples.
        sample_rate: in Hz.
        segment_seconds: the length it is trained on.

    Raises:
        ValueError: if ``channels`` is empty, a size is not positive, or the bins cannot be halved
            once per stage.
    """

    def __init__(
        self,
        condition_space: str,
        condition_size: int,
        *,
        channels: Sequence[int] = (32, 64, 128, 256, 384, 384),
        blocks_per_stage: int = 1,
        shortcuts: bool = True,
        n_fft: int = 2048,
        hop_length: int = 320,
        sample_rate: int = 32_000,
        segment_seconds: float = 2.0,
    ) -> None:
        super().__init__(n_fft, hop_length)
        channels = tuple(channels)
        if not channels:
            raise ValueError("channels is empty; give one width per encoder stage")
        if min(*channels, condition_size, blocks_per_stage) < 1:
            raise ValueError(
                f"channels {list(channels)}, condition_size {condition_size}, blocks_per_stage "
                f"{blocks_per_stage}: all must be at least 1"
            )
        if n_fft % 2 or (n_fft // 2) % 2 ** len(channels):
            raise ValueError(
                f"n_fft {n_fft}: {n_fft // 2} bins cannot be halved {len(channels)} times; use "
                "fewer stages or a power of 2"
            )
        self.hyperparameters = {
            "condition_space": condition_space,
            "condition_size": condition_size,
            "channels": list(channels),
            "blocks_per_stage": blocks_per_stage,
            "shortcuts": shortcuts,
            "n_fft": n_fft,
            "hop_length": hop_length,
            "sample_rate": sample_rate,
            "segment_seconds": segment_seconds,
        }
        self.condition_space = condition_space
        self.sample_rate = sample_rate
        self.segment_seconds = segment_seconds
        self.base = _Network(channels, n_fft // 2 + 1, blocks_per_stage, shortcuts)
        self.film = _FiLM(condition_size, self.base)

    @classmethod
    def from_state_dict(
        cls, state: Mapping[str, Any], source: str, condition_space: str | None = None
    ) -> Self:
        """Load published weights strictly; the network comes in evaluation mode.

        Args:
            state: entry name -> tensor, without the prefix ``ss_model.``.
            source: what an error calls the file.
            condition_space: the named space of the conditions; without it, the condition size
                tells: 527 is ``audioset-527``, 2048 ``cnn14-2048`` and 512 ``clap-512``.

        Raises:
            ValueError: if the state holds no FiLM weight, the space of its conditions is not
                known, or entries are missing, unknown or misshapen.
        """
        sizes = [
            value.shape[1]
            for name, value in state.items()
            if name.startswith("film.") and isinstance(value, Tensor) and value.dim() == 2
        ]
        if not sizes:
            raise ValueError(
                f"{source} holds no weight film.*, so it is no conditioned separator; choose a "
                "checkpoint of a USS or AudioSep separator"
            )
        space = condition_space or _PUBLISHED_SPACES.get(sizes[0])
        if space is None:
            known = ", ".join(map(str, _PUBLISHED_SPACES))
            raise ValueError(
                f"{source} takes conditions of size {sizes[0]}, no published separator does "
                f"({known}); name their space with condition_space"
            )
        model = cls(space, sizes[0])
        load_entries(model, state, source)
        return model.eval()

    def encode(self, spectrogram: Tensor) -> Tensor:
        """Prepare the network's image.

        Args:
            spectrogram: (B, n_fft // 2 + 1, F) complex.

        Returns:
            (B, 1, F, n_fft // 2) magnitudes of at least 1e-5, batch-normalised per bin, without
            the top bin.
        """
        image: Tensor = self.base.bn0(magnitude(spectrogram))
        return image[:, :-1].transpose(1, 2)[:, None]

    def modulate(self, condition: Tensor) -> Modulation:
        """Map (B, H) conditions to (B, channels, 1, 1) biases, one for each activation in turn."""
        biases: Modulation = self.film(condition)
        return biases

    def mask(self, encoded: Tensor, modulation: Modulation) -> Tensor:
        """Run the network.

        Args:
            encoded: (B, 1, F, n_fft // 2) from ``encode``.
            modulation: from ``modulate``, for B conditions.

        Returns:
            (B, n_fft // 2 + 1, F) complex mask with magnitudes in [0, 1] (eq. 5). The top bin,
            which the network does not see, has zero maps: no direction, so the mask is 0.
        """
        frames = encoded.shape[2]
        image = F.pad(encoded, (0, 0, 0, -frames % self.base.time_stride))
        maps = self.base(image, iter(modulation))[:, :, :frames].float()
        gain, real, imaginary = F.pad(maps, (0, 1)).transpose(2, 3).unbind(dim=1)
        return complex_mask(gain, real, imaginary)


class ResUNet60(ResUNet30):
    """``ResUNet30`` with two residual blocks per encoder stage, bottleneck and decoder stage.

    60 convolutions: two in each of 26 residual blocks, 6 transposed ones, and the 1x1 convolutions
    before and after; those of shortcuts are not counted.

    Args:
        condition_space: the named space of the conditions.
        condition_size: H.
        blocks_per_stage: see ``ResUNet30``.
        options: the other options of ``ResUNet30``.
    """

    def __init__(
        self,
        condition_space: str,
        condition_size: int,
        *,
        blocks_per_stage: int = 2,
        **options: Any,
    ) -> None:
        super().__init__(
            condition_space, condition_size, blocks_per_stage=blocks_per_stage, **options
        )


class UNet(ResUNet30):
    """``ResUNet30`` without residual shortcuts: its 34 convolutions follow each other.

    Args:
        condition_space: the named space of the conditions.
        condition_size: H.
        shortcuts: see ``ResUNet30``.
        options: the other options of ``ResUNet30``.
    """

    def __init__(
        self, condition_space: str, condition_size: int, *, shortcuts: bool = False, **options: Any
    ) -> None:
        super().__init__(condition_space, condition_size, shortcuts=shortcuts, **options)


class _FiLM(nn.ModuleDict):
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

    def forward(self, condition: Tensor) -> Modulation:
        return tuple(self[name](condition)[:, :, None, None] for name in self.read_names)


class _Network(nn.Module):
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

    def forward(self, image: Tensor, biases: Iterator[Tensor]) -> Tensor:
        """Map (B, 1, F, n_fft // 2), F a multiple of ``time_stride``, to (B, 3, F, n_fft // 2)."""
        image = self.pre_conv(image)
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
        self.bn1 = nn.BatchNorm2d(before)
        # Published, but nothing reads it: frozen, so that optimisers and DDP leave it out.
        self.bn2 = nn.BatchNorm2d(before).requires_grad_(False)
        self.conv1 = nn.ConvTranspose2d(before, after, stride, stride, bias=False)
        self.block_names = _add_blocks(self, 2, (2 * after, *[after] * num_blocks), shortcuts)

    def forward(self, image: Tensor, skip: Tensor, biases: Iterator[Tensor]) -> Tensor:
        image = self.conv1(F.leaky_relu(self.bn1(image) + next(biases), _LEAKY_SLOPE))
        image = torch.cat([image, skip], dim=1)
        for name in self.block_names:
            image = self.get_submodule(name)(image, biases)
        return image


class _ResidualBlock(nn.Module):
    """Twice: batch norm, FiLM bias, leaky ReLU, 3x3 convolution; plus a shortcut, if any."""

    def __init__(self, before: int, after: int, has_shortcut: bool) -> None:
        super().__init__()
        self.has_shortcut = has_shortcut
        self.bn1 = nn.BatchNorm2d(before)
        self.bn2 = nn.BatchNorm2d(after)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.shortcut: nn.Module = nn.Identity()
        if has_shortcut and before != after:
            self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, image: Tensor, biases: Iterator[Tensor]) -> Tensor:
        hidden = self.conv1(F.leaky_relu(self.bn1(image) + next(biases), _LEAKY_SLOPE))
        hidden = self.conv2(F.leaky_relu(self.bn2(hidden) + next(biases), _LEAKY_SLOPE))
        out: Tensor = hidden + self.shortcut(image) if self.has_shortcut else hidden
        return out


def _add_blocks(
    stage: nn.Module, first: int, widths: Sequence[int], shortcuts: bool
) -> tuple[str, ...]:
    """Add residual blocks that lead from width to width, as ``conv_block<first>`` and on."""
    names = tuple(f"conv_block{first + i}" for i in range(len(widths) - 1))
    for name, before, after in zip(names, widths, widths[1:], strict=False):
        stage.add_module(name, _ResidualBlock(before, after, shortcuts))
    return names
