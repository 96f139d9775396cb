"""The convolutions of wav2vec 2.0: features that were learned from speech without labels.

Baevski et al. 2020, the base models. Entry names are those of transformers' ``Wav2Vec2Model``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.core.state_dicts import load_entries

_KERNELS = (10, 3, 3, 3, 3, 2, 2)
_STRIDES = (5, 2, 2, 2, 2, 2, 2)
_MIN_SAMPLES = 400
_TINY = 1e-7


class WaveConvolutions(nn.Module):
    """Seven convolutions on the waveform, and the norm behind them; time is divided by 320.

    Args:
        width: D of the features.

    Attributes:
        channels: D.
        sample_rate, top_hz, num_rows, column_seconds: see ``TaggerMaps``; there is one row.
        constants: see ``uss.core.state_dicts.load_entries``; what lies behind the convolutions.

    Raises:
        ValueError: if the width is not positive.
    """

    sample_rate = 16_000
    top_hz = 8_000.0
    num_rows = 1
    column_seconds = 320 / 16_000
    constants = (
        "encoder.*",
        "masked_spec_embed",
        "feature_projection.projection.*",
        "adapter.*",
        "lm_head.*",
        "quantizer.*",
        "project_*",
    )

    def __init__(self, width: int = 512) -> None:
        super().__init__()
        if width < 1:
            raise InputError(f"the width {width} of features must be at least 1, such as 512")
        self.channels = width
        layers = []
        for number, (kernel, stride) in enumerate(zip(_KERNELS, _STRIDES, strict=True)):
            before = width if number else 1
            layer: dict[str, nn.Module] = {
                "conv": nn.Conv1d(before, width, kernel, stride, bias=False)
            }
            if number == 0:
                layer["layer_norm"] = nn.GroupNorm(width, width)
            layers.append(nn.ModuleDict(layer))
        self.feature_extractor = nn.ModuleDict({"conv_layers": nn.ModuleList(layers)})
        self.feature_projection = nn.ModuleDict({"layer_norm": nn.LayerNorm(width)})
        self.requires_grad_(False)

    def load(self, state: Mapping[str, Any], source: str) -> None:
        """Take weights from a ``Wav2Vec2Model`` of transformers, or one with a head.

        Raises:
            ValueError: if entries are missing, unknown or misshapen.
        """
        entries = {name.removeprefix("wav2vec2."): value for name, value in state.items()}
        load_entries(self, entries, source, self.constants)

    def forward(self, waveform: Tensor) -> Tensor:
        """Hear (B, T) waveforms at 16 kHz: (B, D, 1, F / 320)."""
        centred = waveform - waveform.mean(dim=1, keepdim=True)
        scaled = centred / torch.sqrt(centred.square().mean(dim=1, keepdim=True) + _TINY)
        hidden = F.pad(scaled, (0, max(0, _MIN_SAMPLES - scaled.shape[1])))[:, None]
        layers = self.feature_extractor["conv_layers"]
        assert isinstance(layers, nn.ModuleList)
        for layer in layers:
            assert isinstance(layer, nn.ModuleDict)
            hidden = layer["conv"](hidden)
            if "layer_norm" in layer:
                hidden = layer["layer_norm"](hidden)
            hidden = F.gelu(hidden)
        features = self.feature_projection["layer_norm"](hidden.transpose(1, 2))
        out: Tensor = features.transpose(1, 2)[:, :, None]
        return out
