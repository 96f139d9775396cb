"""The U-Net that FlowSep's velocities come from: latent diffusion's, with two transformers a place.

Entry names are the published ones, such as ``input_blocks.1.0.in_layers.0.weight``. After each
residual block below the first stage stand a transformer of the image alone and one that reads the
text; the first stage has neither.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.models.flowsep.latent_attention import SpatialTransformer, mask_bias

_GROUPS = 32
_SLOWEST = 10_000.0


class LatentUNet(nn.Module):
    """Maps a noisy latent, beside that of the mixture, to a velocity.

    Args:
        in_channels: of the noisy latent and the mixture's together.
        out_channels: of what comes out.
        base: channels of the first stage.
        multiples: of ``base``, one per stage; each but the last halves time and frequency.
        num_blocks: residual blocks per stage on the way down; one more on the way up.
        head_size: channels of an attention head.
        text_size: H of the text's tokens.

    Raises:
        ValueError: if the channels of a stage are no multiple of 32.
    """

    def __init__(
        self,
        in_channels: int = 16,
        out_channels: int = 16,
        *,
        base: int = 128,
        multiples: Sequence[int] = (1, 2, 3, 5),
        num_blocks: int = 2,
        head_size: int = 32,
        text_size: int = 1024,
    ) -> None:
        super().__init__()
        if base < 1 or base % _GROUPS:
            raise InputError(f"a U-Net of {base} channels cannot be normed in 32 groups; use 32 n")
        self.base = base
        self.stride = 2 ** (len(multiples) - 1)
        time_size = 4 * base
        self.time_embed = nn.Sequential(
            nn.Linear(base, time_size), nn.SiLU(), nn.Linear(time_size, time_size)
        )

        def block(before: int, after: int, stage: int) -> list[nn.Module]:
            return [
                _ResBlock(before, after, time_size),
                *([] if stage == 0 else transformers(after)),
            ]

        def transformers(channels: int) -> list[nn.Module]:
            return [SpatialTransformer(channels, head_size, each) for each in (None, text_size)]

        now, skips = base, [base]
        down: list[_Stage] = [_Stage([nn.Conv2d(in_channels, base, 3, padding=1)])]
        for stage, multiple in enumerate(multiples):
            for _ in range(num_blocks):
                down.append(_Stage(block(now, multiple * base, stage)))
                now = multiple * base
                skips.append(now)
            if stage < len(multiples) - 1:
                down.append(_Stage([_Downsample(now)]))
                skips.append(now)
        self.input_blocks = nn.ModuleList(down)
        self.middle_block = _Stage(
            [_ResBlock(now, now, time_size), *transformers(now), _ResBlock(now, now, time_size)]
        )
        up: list[_Stage] = []
        for stage, multiple in reversed(list(enumerate(multiples))):
            for place in range(num_blocks + 1):
                layers = block(now + skips.pop(), multiple * base, stage)
                now = multiple * base
                if stage and place == num_blocks:
                    layers.append(_Upsample(now))
                up.append(_Stage(layers))
        self.output_blocks = nn.ModuleList(up)
        self.out = nn.Sequential(
            nn.GroupNorm(_GROUPS, now), nn.SiLU(), nn.Conv2d(now, out_channels, 3, padding=1)
        )

    def forward(self, latents: Tensor, time: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Run the network.

        Args:
            latents: (B, in_channels, F, bins); ``stride`` divides both axes.
            time: (B,) in [0, 1], unscaled.
            text: (B, L, H) tokens.
            mask: (B, L) 1 where a token counts.

        Returns:
            (B, out_channels, F, bins).
        """
        embedded = self.time_embed(sinusoid(time, self.base))
        bias = mask_bias(mask)
        skips = []
        image = latents
        for stage in self.input_blocks:
            image = stage(image, embedded, text, bias)
            skips.append(image)
        image = self.middle_block(image, embedded, text, bias)
        for stage in self.output_blocks:
            image = stage(torch.cat([image, skips.pop()], dim=1), embedded, text, bias)
        out: Tensor = self.out(image)
        return out


def sinusoid(time: Tensor, size: int) -> Tensor:
    """(B, size) of (B,) times: cosines of falling frequencies, then their sines."""
    half = size // 2
    steps = torch.arange(half, dtype=torch.float32, device=time.device)
    angles = time.float()[:, None] * torch.exp(-math.log(_SLOWEST) * steps / half)
    return torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)


class _Stage(nn.Sequential):
    """Layers in turn, each with what it takes."""

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__(*layers)

    def forward(self, image: Tensor, time: Tensor, text: Tensor, bias: Tensor) -> Tensor:  # type: ignore[override]
        for layer in self:
            if isinstance(layer, _ResBlock):
                image = layer(image, time)
            elif isinstance(layer, SpatialTransformer):
                image = layer(image, text, bias)
            else:
                image = layer(image)
        return image


class _ResBlock(nn.Module):
    def __init__(self, before: int, after: int, time_size: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(_GROUPS, before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time_size, after))
        # The third place was a dropout's.
        self.out_layers = nn.Sequential(
            nn.GroupNorm(_GROUPS, after),
            nn.SiLU(),
            nn.Identity(),
            nn.Conv2d(after, after, 3, padding=1),
        )
        is_wider = before != after
        self.skip_connection = nn.Conv2d(before, after, 1) if is_wider else nn.Identity()

    def forward(self, image: Tensor, time: Tensor) -> Tensor:
        inner = self.in_layers(image) + self.emb_layers(time)[:, :, None, None]
        out: Tensor = self.skip_connection(image) + self.out_layers(inner)
        return out


class _Downsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.op(image)
        return out


class _Upsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.conv(F.interpolate(image, scale_factor=2.0, mode="nearest"))
        return out
