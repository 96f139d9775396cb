"""BigVGAN (Lee et al., ICLR 2023): log-mels to waveforms.

Entry names are the published ones, such as ``resblocks.0.convs1.0.weight``, weight norms removed;
``without_weight_norms`` removes them from a generator's file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.models.flowsep.anti_aliased import AntiAliased

_GAIN, _DIRECTION = "_g", "_v"


class BigVGAN(nn.Module):
    """Raises the rate of a mel's frames, in stages, to that of samples.

    Attributes:
        hop_samples: samples per frame.

    Args:
        num_bands: of the log-mels.
        channels: before the first stage; each stage halves them.
        rates: by what each stage raises the rate.
        kernels: of its transposed convolution.
        block_kernels: of the residual blocks, whose outputs are averaged.
        dilations: of the convolutions of each.

    Raises:
        ValueError: if the channels cannot be halved that often.
    """

    def __init__(
        self,
        num_bands: int = 64,
        *,
        channels: int = 512,
        rates: Sequence[int] = (5, 4, 2, 2, 2),
        kernels: Sequence[int] = (16, 16, 8, 4, 4),
        block_kernels: Sequence[int] = (3, 7, 11),
        dilations: Sequence[int] = (1, 3, 5),
    ) -> None:
        super().__init__()
        if channels < 1 or channels % 2 ** len(rates):
            raise InputError(f"{channels} channels cannot be halved {len(rates)} times")
        self.hop_samples = 1
        self.conv_pre = nn.Conv1d(num_bands, channels, 7, padding=3)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()
        for rate, kernel in zip(rates, kernels, strict=True):
            half = channels // 2
            padding = (kernel - rate) // 2
            up = nn.ConvTranspose1d(channels, half, kernel, rate, padding)
            self.ups.append(nn.Sequential(up))
            self.resblocks.extend(_Block(half, size, dilations) for size in block_kernels)
            self.hop_samples *= rate
            channels = half
        self.num_kernels = len(block_kernels)
        self.activation_post = AntiAliased(channels)
        self.conv_post = nn.Conv1d(channels, 1, 7, padding=3)

    def forward(self, mel: Tensor) -> Tensor:
        """Make (B, T) samples in [-1, 1] of (B, num_bands, F) log-mels.

        T is a little more than ``hop_samples`` F where a kernel and its rate differ by an odd
        number: 160 F + 32 as published.
        """
        signal = self.conv_pre(mel)
        for stage, ups in enumerate(self.ups):
            signal = ups(signal)
            first = stage * self.num_kernels
            blocks = self.resblocks[first : first + self.num_kernels]
            summed = blocks[0](signal)
            for block in blocks[1:]:
                summed = summed + block(signal)
            signal = summed / self.num_kernels
        samples: Tensor = torch.tanh(self.conv_post(self.activation_post(signal)))
        return samples[:, 0]


class _Block(nn.Module):
    """Pairs of convolutions, the first of each dilated, with an activation before every one."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()

        def convolution(dilation: int) -> nn.Module:
            padding = dilation * (kernel - 1) // 2
            return nn.Conv1d(channels, channels, kernel, padding=padding, dilation=dilation)

        self.convs1 = nn.ModuleList(convolution(dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(convolution(1) for _ in dilations)
        self.activations = nn.ModuleList(AntiAliased(channels) for _ in range(2 * len(dilations)))

    def forward(self, signal: Tensor) -> Tensor:
        pairs = zip(
            self.activations[::2], self.convs1, self.activations[1::2], self.convs2, strict=True
        )
        for first, dilated, second, plain in pairs:
            signal = signal + plain(second(dilated(first(signal))))
        return signal


def without_weight_norms(state: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Multiply out weight norms: a gain for each first index, a direction for the rest.

    Args:
        state: entry name -> tensor, of which ``*.weight_g`` and ``*.weight_v`` are pairs.
        source: what an error calls the file.

    Returns:
        The same with ``*.weight`` for each pair.

    Raises:
        ValueError: if one of a pair is missing, or they do not fit each other.
    """
    plain = {}
    for name, value in state.items():
        if name.endswith(f".weight{_GAIN}"):
            continue
        if not name.endswith(f".weight{_DIRECTION}"):
            plain[name] = value
            continue
        stem = name.removesuffix(_DIRECTION)
        gain = state.get(stem + _GAIN)
        if gain is None or gain.shape != (len(value), *[1] * (value.dim() - 1)):
            raise InputError(f"{source}: {stem}{_GAIN} is missing or misshapen; download it again")
        others = tuple(range(1, value.dim()))
        plain[stem] = gain * value / value.norm(dim=others, keepdim=True)
    alone = [
        name
        for name in state
        if name.endswith(f".weight{_GAIN}") and name.removesuffix(_GAIN) not in plain
    ]
    if alone:
        raise InputError(f"{source} lacks what belongs to {alone[0]}; download it again")
    return plain
