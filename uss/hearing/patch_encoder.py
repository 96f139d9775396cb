"""The encoder of a masked autoencoder on spectrograms (Huang et al. 2022, Audio-MAE).

A vision transformer on patches of 16 bands and 16 frames. Entry names are those that Audio-MAE's
files use; those of ``ViTMAEModel`` in transformers are translated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.core.state_dicts import load_entries
from uss.hearing.kaldi import KaldiLogMel

_PATCH = 16
_EPS = 1e-6
# Of Audio-MAE's training data.
_MEAN, _SPREAD = -4.2677393, 2 * 4.5689974
_RENAMED = (
    (r"^vit\.", ""),
    (r"^embeddings\.cls_token$", "cls_token"),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^(encoder\.layer|layers)\.", "blocks."),
    (r"^layernorm\.", "norm."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.attention\.attention\.(q|k|v)(uery|ey|alue)\.", r".attn.\1."),
    (r"\.attention\.(q|k|v)_proj\.", r".attn.\1."),
    (r"\.attention\.(output\.dense|o_proj)\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"^(blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
)
"""What transformers, before and since its release 5, calls what Audio-MAE's files hold."""


class PatchEncoder(nn.Module):
    """Maps log-mel spectrograms of any length to embeddings of their patches.

    Longer input than positions are known for is heard in pieces.

    Args:
        width: D, of the embeddings.
        depth: blocks.
        num_heads: of each attention; must divide ``width``.
        max_frames: that positions are known for.
        trained_blocks: so many of the last blocks are trained along; the others stay as they are.

    Attributes:
        channels: D.
        sample_rate, top_hz, num_rows, column_seconds: see ``TaggerMaps``.
        constants: see ``uss.core.state_dicts.load_entries``; what only the decoder reads.

    Raises:
        ValueError: if sizes do not fit.
    """

    sample_rate = KaldiLogMel.sample_rate
    top_hz = KaldiLogMel.max_hz
    num_rows = KaldiLogMel.num_bands // _PATCH
    column_seconds = _PATCH * KaldiLogMel.hop_length / KaldiLogMel.sample_rate
    constants = ("decoder*", "mask_token", "head.*", "fc_norm.*")

    def __init__(
        self,
        width: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        max_frames: int = 1024,
        trained_blocks: int = 0,
    ) -> None:
        super().__init__()
        sizes = (width, depth, num_heads, max_frames)
        if min(sizes) < 1 or width % num_heads or max_frames % _PATCH:
            raise InputError(
                f"width {width}, num_heads {num_heads}, depth {depth}, max_frames {max_frames}: "
                f"heads must divide the width, {_PATCH} the frames, and all be positive"
            )
        if not 0 <= trained_blocks <= depth:
            raise InputError(f"trained_blocks {trained_blocks} of {depth}; choose 0 to {depth}")
        self.channels = width
        self.max_columns = max_frames // _PATCH
        self.logmel = KaldiLogMel()
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(1, width, _PATCH, _PATCH)})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        num_positions = 1 + self.max_columns * self.num_rows
        self.pos_embed = nn.Parameter(torch.zeros(1, num_positions, width))
        self.blocks = nn.ModuleList(_Block(width, num_heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=_EPS)
        self.requires_grad_(False)
        if trained_blocks:
            self.norm.requires_grad_(True)
            for block in self.blocks[depth - trained_blocks :]:
                block.requires_grad_(True)

    def load(self, state: Mapping[str, Any], source: str) -> None:
        """Take weights from a file of Audio-MAE, or of transformers' ``ViTMAEModel``.

        Raises:
            ValueError: if entries are missing, unknown or misshapen.
        """
        load_entries(self, _translated(state), source, self.constants)

    def forward(self, waveform: Tensor) -> Tensor:
        """Hear (B, T) waveforms at 16 kHz: (B, D, 8, F / 16), rows from low to high."""
        centred = waveform - waveform.mean(dim=1, keepdim=True)
        image = (self.logmel(centred) - _MEAN) / _SPREAD
        # What is not there is silence, as Audio-MAE pads: zeros before they are normalised.
        image = F.pad(image, (0, -image.shape[2] % _PATCH), value=-_MEAN / _SPREAD)
        longest = self.max_columns * _PATCH
        return torch.cat([self.embed(piece) for piece in image.split(longest, dim=2)], dim=3)

    def embed(self, image: Tensor) -> Tensor:
        """Embed the patches of (B, 128, F) images, F a multiple of 16: (B, D, 8, F / 16)."""
        # Audio-MAE's images have time first, and so its positions.
        patches = self.patch_embed["proj"](image.transpose(1, 2)[:, None])
        columns = patches.shape[2]
        tokens = patches.flatten(2).transpose(1, 2)
        tokens = tokens + self.pos_embed[:, 1 : 1 + tokens.shape[1]]
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        tokens = torch.cat([first, tokens], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        embedded: Tensor = self.norm(tokens)[:, 1:].transpose(1, 2)
        maps: Tensor = embedded.unflatten(2, (columns, self.num_rows)).transpose(2, 3)
        return maps


class _Block(nn.Module):
    """Attention, then two layers, each added to its input (pre-norm)."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_EPS)
        self.attn = _Attention(width, num_heads)
        self.norm2 = nn.LayerNorm(width, eps=_EPS)
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)}
        )

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        out: Tensor = tokens + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(tokens))))
        return out


class _Attention(nn.Module):
    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        split = self.qkv(tokens).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(*split)
        out: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return out


def _translated(state: Mapping[str, Any]) -> dict[str, Any]:
    """Call the entries of transformers as Audio-MAE calls them; others keep their names."""
    renamed: dict[str, Any] = {}
    for name, value in state.items():
        for theirs, ours in _RENAMED:
            name = re.sub(theirs, ours, name)
        renamed[name] = value
    for name in list(renamed):
        if ".attn.q." in name:
            three = [name.replace(".attn.q.", f".attn.{part}.") for part in "qkv"]
            if all(part in renamed for part in three):
                joined = torch.cat([renamed.pop(part) for part in three])
                renamed[name.replace(".attn.q.", ".attn.qkv.")] = joined
    return renamed
