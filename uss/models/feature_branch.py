"""What another network hears in the mixture, beside a separator's spectrogram.

As in arXiv 2407.11745 (EUSIPCO 2024), where embeddings of a masked autoencoder are concatenated
with the spectrogram at the input of a ResUNet; what is asked for stays a condition of its own. A
1x1 convolution of concatenated channels is the sum of one for each part, so the branch adds to what
the network's first convolution gives, and the network without it is as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.hearing.feature_maps import build_feature_maps
from uss.models.ear import MelToBins

_LEVEL = 0.05
_TINY = 1e-6


class FeatureBranch(nn.Module):
    """Hears mixtures, and brings what is heard to the shape of a separator's image.

    Args:
        features: ``kind``, and options of it; see ``uss.hearing.feature_maps``.
        out_channels: of the separator's image.
        n_fft: of its spectrogram.
        hop_length: in samples.
        sample_rate: in Hz.

    Attributes:
        encoder: what hears.

    Raises:
        ValueError: if there are no such features, or their rate is no whole fraction of the
            separator's.
    """

    window: Tensor

    def __init__(
        self,
        features: Mapping[str, Any],
        out_channels: int,
        *,
        n_fft: int,
        hop_length: int,
        sample_rate: int,
    ) -> None:
        super().__init__()
        self.encoder = build_feature_maps(features)
        step = sample_rate // self.encoder.sample_rate
        if (
            step * self.encoder.sample_rate != sample_rate
            or hop_length % step
            or n_fft % (2 * step)
        ):
            raise InputError(
                f"features of {self.encoder.sample_rate} Hz: {sample_rate} Hz with n_fft {n_fft} "
                f"and hop_length {hop_length} cannot be brought to that; choose multiples"
            )
        self.n_fft, self.hop_length = n_fft // step, hop_length // step
        self.columns_per_frame = hop_length / sample_rate / self.encoder.column_seconds
        self.norm = nn.BatchNorm2d(self.encoder.channels)
        self.conv = nn.Conv2d(self.encoder.channels, out_channels, 1, bias=False)
        self.move = MelToBins(
            self.encoder.num_rows,
            n_fft // 2,
            sample_rate,
            self.encoder.top_hz,
        )
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Hear mixtures.

        Args:
            spectrogram: (B, n_fft // 2 + 1, F) complex.

        Returns:
            (B, out_channels, rows, F'), rows from low to high.
        """
        waveform = self._waveform(spectrogram)
        level = waveform.square().mean(dim=1, keepdim=True).sqrt()
        heard = self.encoder(_LEVEL * waveform / (level + _TINY))
        joined: Tensor = self.conv(self.norm(heard))
        return joined

    def image(self, heard: Tensor, num_frames: int) -> Tensor:
        """Bring what was heard to (B, out_channels, num_frames, n_fft // 2)."""
        num_heard = max(1, round(heard.shape[3] / self.columns_per_frame))
        moved: Tensor = self.move(heard, num_frames, num_heard)
        return moved.transpose(2, 3)

    def _waveform(self, spectrogram: Tensor) -> Tensor:
        """(B, T) at the encoder's rate: the bins above it are left out of the inverse."""
        bins = self.n_fft // 2 + 1
        step = (spectrogram.shape[1] - 1) / (bins - 1)
        return torch.istft(
            spectrogram[:, :bins] / step,
            self.n_fft,
            self.hop_length,
            window=self.window,
            length=(spectrogram.shape[2] - 1) * self.hop_length,
        )
