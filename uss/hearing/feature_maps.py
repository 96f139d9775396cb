"""Networks that were taught elsewhere, as ears of a separator: maps of what they hear in a mixture.

They stay as they were taught. Which there are, ``FEATURE_MAPS`` says by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.hearing.mel import LogMel
from uss.hearing.mobilenet import feature_channels, mobilenet_features
from uss.hearing.patch_encoder import PatchEncoder
from uss.hearing.wave_convolutions import WaveConvolutions

_TAP = 12
_COLUMN_FRAMES = 16
_MIN_SAMPLES = 2_048


class TaggerMaps(nn.Module):
    """Feature maps of an EfficientAT tagger, where time is divided by 16.

    Args:
        width: of the tagger, a factor.

    Attributes:
        channels: D of the maps.
        sample_rate: of waveforms, in Hz.
        top_hz: up to which the rows of the maps reach, on the mel scale.
        num_rows: of the maps.
        column_seconds: what a column stands for.

    Raises:
        ValueError: if the width is not positive.
    """

    sample_rate = 32_000
    top_hz = LogMel.max_hz
    num_rows = 8
    column_seconds = _COLUMN_FRAMES * LogMel.hop_length / LogMel.sample_rate

    def __init__(self, width: float = 0.4) -> None:
        super().__init__()
        if not 0.0 < width < math.inf:
            raise InputError(f"the width {width} of a tagger must be positive, such as 0.4")
        self.channels = feature_channels(width)[_TAP]
        self.logmel = LogMel()
        self.features = mobilenet_features(width)[: _TAP + 1].requires_grad_(False)
        # Lightning trains modules in the mode that they come in.
        self.eval()

    def train(self, mode: bool = True) -> TaggerMaps:
        """Stay in evaluation mode, with the statistics that the tagger was trained with."""
        return super().train(False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Hear (B, T) waveforms: (B, D, 8, F / 16), rows from low to high."""
        padded = F.pad(waveform, (0, max(0, _MIN_SAMPLES - waveform.shape[1])))
        maps: Tensor = self.features(self.logmel(padded)[:, None])
        return maps


FeatureMaps = TaggerMaps | PatchEncoder | WaveConvolutions

FEATURE_MAPS: Mapping[str, type[FeatureMaps]] = {
    "tagger": TaggerMaps,
    "masked-autoencoder": PatchEncoder,
    "wav2vec2": WaveConvolutions,
}
"""Name -> what maps mixtures."""


def build_feature_maps(described: Mapping[str, Any]) -> FeatureMaps:
    """Build what a configuration describes: its ``kind``, and options of that.

    Raises:
        ValueError: if there is no such kind, it has no such option, or that has another value.
    """
    options = dict(described)
    kind = options.pop("kind", None)
    if kind not in FEATURE_MAPS:
        raise InputError(f"features of the kind {kind!r}; choose one of {', '.join(FEATURE_MAPS)}")
    for name, value in options.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"features of the kind {kind!r}: {name} {value!r} is no number")
    try:
        return FEATURE_MAPS[kind](**options)
    except TypeError as error:
        raise InputError(f"features of the kind {kind!r}: {error}; leave it out") from error
