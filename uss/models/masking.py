"""What separators share that mask spectrograms (eqs. 1, 5)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uss.core.errors import InputError
from uss.models.base import SeparatorNetwork
from uss.models.competition import compete

_MIN_POWER = 1e-10
_MAGNITUDE_FLOOR = 1e-5


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
    def encode(self, spectrogram: Tensor) -> Any:
        """Map (B, n_fft // 2 + 1, F) complex to what does not depend on the query.

        Returns:
            A tensor, or several in a tuple, of B rows each.
        """

    @abstractmethod
    def modulate(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Map (B, H) conditions to tensors (B, ...) that steer the mask."""

    @abstractmethod
    def mask(self, encoded: Any, modulation: Any) -> Tensor:
        """Return the (B, n_fft // 2 + 1, F) complex mask (eq. 1)."""

    def masks(self, encoded: Any, conditions: Tensor) -> Tensor:
        """Ask each segment for several sources.

        Args:
            encoded: of B segments, from ``encode``.
            conditions: (B, Q, H).

        Returns:
            (B, Q, n_fft // 2 + 1, F): complex masks, or real gains of networks whose stems keep
            the mixture's phases.
        """
        num_queries = conditions.shape[1]
        parts = encoded if isinstance(encoded, tuple) else (encoded,)
        repeated = tuple(part.repeat_interleave(num_queries, dim=0) for part in parts)
        modulation = self.modulate(conditions.flatten(0, 1))
        one_each = self.mask(repeated if isinstance(encoded, tuple) else repeated[0], modulation)
        return one_each.reshape(*conditions.shape[:2], *one_each.shape[1:])

    def shares(self, encoded: Any, conditions: Tensor, is_asked: Tensor) -> Tensor:
        """Ask each segment for several sources that compete (``uss.models.competition``).

        Args:
            encoded: of B segments, from ``encode``.
            conditions: (B, Q, H).
            is_asked: (B, Q) bool; the others get nothing, and take nothing from those.

        Returns:
            (B, Q, n_fft // 2 + 1, F): as of ``masks``; without the bins at the top where it is 0.
        """
        return compete(self.masks(encoded, conditions) * is_asked[:, :, None, None])

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
    return torch.complex(*mask_parts(gain, real, imaginary))


def mask_parts(gain: Tensor, real: Tensor, imaginary: Tensor) -> tuple[Tensor, Tensor]:
    """Give the real and the imaginary part of ``complex_mask``."""
    real, imaginary = torch.tanh(real), torch.tanh(imaginary)
    length = torch.sqrt((real.square() + imaginary.square()).clamp(min=_MIN_POWER))
    scale = torch.sigmoid(gain) / length
    return scale * real, scale * imaginary


def power_below_top(spectrogram: Tensor) -> Tensor:
    """Squared magnitudes of (B, bins + 1, F) complex: (B, bins, F), without the top bin."""
    return torch.view_as_real(spectrogram[:, :-1]).square().sum(dim=-1)


def relative_log_magnitude(power: Tensor) -> Tensor:
    """Logarithms of magnitudes, scaled to unit mean energy, so that levels do not matter.

    Args:
        power: (B, bins, F), from ``power_below_top``.

    Returns:
        (B, bins, F).
    """
    energy = power.mean(dim=(1, 2), keepdim=True).clamp(min=_MAGNITUDE_FLOOR**2)
    return 0.5 * torch.log(power / energy + _MAGNITUDE_FLOOR**2)


def fold_bins(image: Tensor, fold: int) -> Tensor:
    """Make channels of ``fold`` neighbouring bins: (B, bins, F) to (B, fold, bins // fold, F)."""
    batch, bins, frames = image.shape
    return image.reshape(batch, bins // fold, fold, frames).transpose(1, 2)


def standardisation(conditions: Tensor, condition_size: int) -> tuple[Tensor, Tensor]:
    """Find the mean and scale that bring conditions to unit range.

    Args:
        conditions: (N, H) a sample of the training conditions.
        condition_size: H that the model takes.

    Returns:
        (H,) means, and (H,) inverses of the standard deviations.

    Raises:
        ValueError: if they are of another size.
    """
    if conditions.shape[1] != condition_size:
        raise InputError(
            f"the model takes conditions of size {condition_size}, the data's have "
            f"{conditions.shape[1]}; set condition_size to that"
        )
    spread = conditions.std(dim=0, correction=0)
    # A dimension that hardly varies must not be blown up.
    return conditions.mean(dim=0), 1.0 / (spread + 0.1 * spread.mean() + 1e-8)
