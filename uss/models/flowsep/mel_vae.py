"""The variational autoencoder whose latents FlowSep moves: log-mels in, log-mels out.

Latent diffusion's (Rombach et al. 2022), with the entry names of its code, such as
``encoder.down.0.block.0.conv1.weight``. Images are (B, 1, F, bands): time before frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError

_GROUPS = 32
_EPS = 1e-6
_LOGVAR_RANGE = (-30.0, 20.0)


class Posterior(NamedTuple):
    """A Gaussian for each number of a latent.

    Attributes:
        mean, logvar: (B, latent_channels, F, bins).
    """

    mean: Tensor
    logvar: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Draw from it with (B, latent_channels, F, bins) standard normal numbers."""
        return self.mean + torch.exp(0.5 * self.logvar) * noise


class MelVAE(nn.Module):
    """Encodes log-mels, halving time and frequency between stages, and decodes them.

    Args:
        base: channels of the first stage.
        multiples: of ``base``, one per stage.
        num_blocks: residual blocks per stage of the encoder; the decoder has one more.
        latent_channels: of a latent.

    Raises:
        ValueError: if the channels of a stage are no multiple of 32.
    """

    def __init__(
        self,
        *,
        base: int = 128,
        multiples: Sequence[int] = (1, 2, 4),
        num_blocks: int = 2,
        latent_channels: int = 8,
    ) -> None:
        super().__init__()
        if base < 1 or base % _GROUPS:
            raise InputError(f"a VAE of {base} channels cannot be normed in 32 groups; use 32 n")
        widths = [multiple * base for multiple in multiples]
        self.stride = 2 ** (len(widths) - 1)
        self.encoder = _Encoder(widths, num_blocks, 2 * latent_channels)
        self.decoder = _Decoder(widths, num_blocks, latent_channels)
        self.quant_conv = nn.Conv2d(2 * latent_channels, 2 * latent_channels, 1)
        self.post_quant_conv = nn.Conv2d(latent_channels, latent_channels, 1)

    def encode(self, mel: Tensor) -> Posterior:
        """Encode (B, 1, F, bands) log-mels, of both of which ``stride`` is a divisor.

        Returns:
            Of (B, latent_channels, F / stride, bands / stride).
        """
        mean, logvar = self.quant_conv(self.encoder(mel)).chunk(2, dim=1)
        return Posterior(mean, logvar.clamp(*_LOGVAR_RANGE))

    def decode(self, latent: Tensor) -> Tensor:
        """Decode (B, latent_channels, F, bins) to (B, 1, stride F, stride bins) log-mels."""
        mel: Tensor = self.decoder(self.post_quant_conv(latent))
        return mel


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(_GROUPS, channels, eps=_EPS)


class _Block(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(before), _norm(after)
        self.conv1 = nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1)
        self.is_wider = before != after
        if self.is_wider:
            self.nin_shortcut = nn.Conv2d(before, after, 1)

    def forward(self, image: Tensor) -> Tensor:
        inner = self.conv1(F.silu(self.norm1(image)))
        inner = self.conv2(F.silu(self.norm2(inner)))
        out: Tensor = (self.nin_shortcut(image) if self.is_wider else image) + inner
        return out


class _Attention(nn.Module):
    """One head over all places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, image: Tensor) -> Tensor:
        normed = self.norm(image)
        query, key, value = (
            part(normed).flatten(2).transpose(1, 2)[:, None] for part in (self.q, self.k, self.v)
        )
        found = F.scaled_dot_product_attention(query, key, value)[:, 0]
        out: Tensor = image + self.proj_out(found.transpose(1, 2).reshape(image.shape))
        return out


class _Middle(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1, self.block_2 = _Block(channels, channels), _Block(channels, channels)
        self.attn_1 = _Attention(channels)

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.block_2(self.attn_1(self.block_1(image)))
        return out


class _Halving(nn.Module):
    """Pads right and below alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.conv(F.pad(image, (0, 1, 0, 1)))
        return out


class _Doubling(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.conv(F.interpolate(image, scale_factor=2.0, mode="nearest"))
        return out


class _Stage(nn.Module):
    """Blocks, then a change of size; the last stage on either way has none."""

    def __init__(self, blocks: Sequence[_Block], resize: tuple[str, nn.Module] | None) -> None:
        super().__init__()
        self.block = nn.ModuleList(blocks)
        self.resize = None
        if resize is not None:
            self.resize, module = resize
            self.add_module(self.resize, module)

    def forward(self, image: Tensor) -> Tensor:
        for block in self.block:
            image = block(image)
        return image if self.resize is None else self.get_submodule(self.resize)(image)


class _Encoder(nn.Module):
    def __init__(self, widths: Sequence[int], num_blocks: int, out_channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(1, widths[0], 3, padding=1)
        stages, before = [], widths[0]
        for place, width in enumerate(widths):
            blocks = [_Block(before if first == 0 else width, width) for first in range(num_blocks)]
            is_last = place == len(widths) - 1
            stages.append(_Stage(blocks, None if is_last else ("downsample", _Halving(width))))
            before = width
        self.down = nn.ModuleList(stages)
        self.mid = _Middle(before)
        self.norm_out = _norm(before)
        self.conv_out = nn.Conv2d(before, out_channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        image = self.conv_in(image)
        for stage in self.down:
            image = stage(image)
        out: Tensor = self.conv_out(F.silu(self.norm_out(self.mid(image))))
        return out


class _Decoder(nn.Module):
    """Its stages are numbered as the encoder's, and so used from the last to the first."""

    def __init__(self, widths: Sequence[int], num_blocks: int, in_channels: int) -> None:
        super().__init__()
        before = widths[-1]
        self.conv_in = nn.Conv2d(in_channels, before, 3, padding=1)
        self.mid = _Middle(before)
        stages: list[_Stage] = []
        for place, width in reversed(list(enumerate(widths))):
            blocks = [
                _Block(before if first == 0 else width, width) for first in range(num_blocks + 1)
            ]
            stages.insert(0, _Stage(blocks, ("upsample", _Doubling(width)) if place else None))
            before = width
        self.up = nn.ModuleList(stages)
        self.norm_out = _norm(before)
        self.conv_out = nn.Conv2d(before, 1, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        image = self.mid(self.conv_in(latent))
        for stage in reversed(self.up):
            image = stage(image)
        out: Tensor = self.conv_out(F.silu(self.norm_out(image)))
        return out
