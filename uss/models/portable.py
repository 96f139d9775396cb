"""Mask networks whose transforms can be told from what was learned.

Other runtimes than torch run the learned part, on real numbers alone; Fourier transforms stay with
the program around it, which has better ones.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from torch import Tensor

from uss.models.masking import MaskNetwork, power_below_top


class PortableNetwork(MaskNetwork):
    """A ``MaskNetwork`` in three parts: transforms, an encoder, and masks for many queries."""

    @property
    def has_ear(self) -> bool:
        """Whether the encoder also takes the image of an ear (``uss.models.ear``)."""
        return False

    def transformed(self, spectrogram: Tensor) -> tuple[Tensor, ...]:
        """Give what the encoder takes of (B, n_fft // 2 + 1, F) complex spectrograms.

        Returns:
            (B, n_fft // 2, F) powers; with an ear also (B, 128, F') log-mel images.
        """
        return (power_below_top(spectrogram),)

    def heard_waveform(self, spectrogram: Tensor) -> Tensor:
        """(B, T) waveforms that an ear hears, T from the first frame's centre to the last one's."""
        return self.waveform(spectrogram, (spectrogram.shape[-1] - 1) * self.hop_length)

    @abstractmethod
    def encode_transformed(self, power: Tensor, ear_image: Tensor | None = None) -> Any:
        """Encode what ``transformed`` gives; returns what ``encode`` does."""

    def encode(self, spectrogram: Tensor) -> Any:
        """Encode (B, n_fft // 2 + 1, F) complex spectrograms; see ``MaskNetwork``."""
        return self.encode_transformed(*self.transformed(spectrogram))

    @abstractmethod
    def planes(self, encoded: Any, conditions: Tensor) -> Tensor:
        """Ask one segment for several sources.

        Args:
            encoded: of one segment, from ``encode``.
            conditions: (Q, H).

        Returns:
            (Q, P, n_fft // 2 + 1, F) float32: gains where P is 1, the real and the imaginary
            parts of complex masks where it is 2.
        """


def parts_of(encoded: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Take an encoding for a tuple, also where it is one tensor."""
    return encoded if isinstance(encoded, tuple) else (encoded,)
