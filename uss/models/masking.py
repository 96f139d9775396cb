"""What separators share that mask spectrograms (eqs. 1, 5)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uss.core.errors import InputError
from uss.models.base import SeparatorNetwork

_MIN_POWER = 1e-10


class MaskNetwork(SeparatorNetwork, ABC):
    """The transforms, and separation by one mask for all channels; a ``MaskModel``.

    Args:
        n_fft: also the length of the window (Hann, periodic).
        hop_length: between frames, in samples.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop_length: int) -> None:
        super().__init__()
        if min(n_fft, hop_length) < 1:
            raise InputError(f"n_fft {n_fft}, hop_length {hop_length}: both must be at least 1")
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def spectrogram(self, waveform: Tensor) -> Tensor:
        """Map (..., T) samples to (..., n_fft // 2 + 1, F) complex, centred and reflected."""
        flat = waveform.reshape(-1, waveform.shape[-1])
        out = torch.stft(flat, self.n_fft, self.hop_length, window=self.window, return_complex=True)
        return out.reshape(*waveform.shape[:-1], *out.shape[1:])

    def waveform(self, spectrogram: Tensor, num_samples: int) -> Tensor:
        """Map (..., n_fft // 2 + 1, F) complex back to (..., num_samples)."""
        flat = spectrogram.reshape(-1, *spectrogram.shape[-2:])
        out: Tensor = torch.istft(
            flat, self.n_fft, self.hop_length, window=self.window, length=num_samples
        )
        return out.reshape(*spectrogram.shape[:-2], num_samples)

    @abstractmethod
    def encode(self, spectrogram: Tensor) -> Tensor:
        """Map (B, n_fft // 2 + 1, F) complex to what does not depend on the query."""

    @abstractmethod
    def modulate(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Map (B, H) conditions to tensors (B, ...) that steer the mask."""

    @abstractmethod
    def mask(self, encoded: Tensor, modulation: Any) -> Tensor:
        """Return the (B, n_fft // 2 + 1, F) complex mask (eq. 1)."""

    def forward(
        self, mixture: Tensor, condition: Tensor, rng: np.random.Generator | None = None
    ) -> Tensor:
        """Separate one source per row; see ``SeparationModel``.

        One mask, estimated on the mean of the channels, serves them all.

        Args:
            mixture: (B, C, T) float32, T > n_fft // 2.
            condition: (B, H).
            rng: not used.

        Returns:
            (B, C, T) float32.
        """
        spectrogram = self.spectrogram(mixture)
        mask = self.mask(self.encode(spectrogram.mean(dim=1)), self.modulate(condition))
        return self.waveform(spectrogram * mask[:, None], mixture.shape[-1])


def magnitude(spectrogram: Tensor) -> Tensor:
    """Magnitudes of a complex spectrogram, not below 1e-5."""
    power = torch.view_as_real(spectrogram).square().sum(dim=-1)
    return torch.sqrt(power.clamp(min=_MIN_POWER))


def complex_mask(gain: Tensor, real: Tensor, imaginary: Tensor) -> Tensor:
    """Combine three unbounded maps into sigmoid(gain) e^{j angle} (eq. 5).

    The angle is that of tanh(real) + j tanh(imaginary).
    """
    real, imaginary = torch.tanh(real), torch.tanh(imaginary)
    length = torch.sqrt((real.square() + imaginary.square()).clamp(min=_MIN_POWER))
    scale = torch.sigmoid(gain) / length
    return torch.complex(scale * real, scale * imaginary)
