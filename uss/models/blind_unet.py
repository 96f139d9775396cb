"""A UNet that is asked nothing: it gives the M sources that it finds in a mixture.

What MixIT trains (Wisdom et al. 2020). Its encoder, bottleneck and decoder are those of ``ResUNet``
and ``QueryUNet``, under the same names, so that its weights are a beginning for theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.models.base import blind_space
from uss.models.folding import change_biases
from uss.models.masking import (
    MaskNetwork,
    fold_bins,
    power_below_top,
    relative_log_magnitude,
)
from uss.models.stages import StagedNetwork, check_stages

Consistency = Literal["energy", "uniform"]

_TINY = 1e-8
_MAX_STEMS = 16


class BlindUNet(StagedNetwork, MaskNetwork):
    """One mask for each of M stems, which add up to the mixture in every bin.

    A stem is asked for by its number: conditions are of M numbers, in the space ``blind-M``, and
    the answer is the sum of the stems that they weight. Masks are real; together they are 1, so
    that stems always add up to the mixture (mixture consistency, Wisdom et al. 2019). Which stem is
    which, is up to the network, and may change from segment to segment.

    Args:
        num_stems: M, 2 to 16.
        consistency: who gets what the sigmoids lack to 1: ``energy``, each in proportion to the
            square of its mask; ``uniform``, all alike.
        channels: of each encoder stage; every stage halves time and frequency, the last time only.
        fold: bins per position; must divide ``n_fft // 2``.
        n_fft: also the window's length.
        hop_length: between frames, in samples.
        sample_rate: in Hz.
        segment_seconds: the length it is trained on.

    Attributes:
        num_stems: M.

    Raises:
        ValueError: if there are too few stems or too many, the consistency is unknown, or the bins
            cannot be folded and halved that often.
    """

    looks_once = True

    def __init__(
        self,
        num_stems: int = 4,
        *,
        consistency: Consistency = "energy",
        channels: Sequence[int] = (16, 32, 64, 128, 192, 192),
        fold: int = 4,
        n_fft: int = 2048,
        hop_length: int = 1024,
        sample_rate: int = 32_000,
        segment_seconds: float = 2.0,
    ) -> None:
        super().__init__(n_fft, hop_length)
        channels = tuple(channels)
        check_stages(channels, fold, n_fft, hop_length)
        if not 2 <= num_stems <= _MAX_STEMS:
            raise InputError(f"num_stems {num_stems} is out of range; choose 2 to {_MAX_STEMS}")
        if consistency not in get_args(Consistency):
            raise InputError(
                f"consistency {consistency!r}; choose {' or '.join(get_args(Consistency))}"
            )
        self.num_stems = num_stems
        self.condition_space = blind_space(num_stems)
        self.condition_size = num_stems
        self.consistency = consistency
        self.sample_rate = sample_rate
        self.segment_seconds = segment_seconds
        self.add_stages(channels, num_stems, fold=fold, n_fft=n_fft)
        self.shift_sizes = self.bias_sizes()
        # Norms have shifts of their own; these are what the norms' shifts are folded into.
        self.shifts = nn.Parameter(torch.zeros(sum(self.shift_sizes)))

    def for_inference(self, dtype: torch.dtype) -> BlindUNet:
        """Return a copy with folded norms and convolutions in ``dtype``; see ``folding``."""
        model = super().for_inference(dtype)
        change_biases(model.shifts.data, model.fold_stages(dtype))
        return model

    def encode(self, spectrogram: Tensor) -> Tensor:
        """Find the stems.

        Args:
            spectrogram: (B, n_fft // 2 + 1, F) complex.

        Returns:
            (B, M, n_fft // 2 + 1, F) real masks, which add up to 1.
        """
        frames = spectrogram.shape[-1]
        power = power_below_top(spectrogram)
        image = fold_bins(self.bin_norm(relative_log_magnitude(power)), self.fold)
        biases = self.shifts[None, :, None, None].split(self.shift_sizes, dim=1)
        image, remaining = self.descend(image, biases)
        image = self.ascend(image, remaining)
        maps = self.after_conv(image)[..., :frames].float()
        folded = maps.unflatten(1, (self.num_stems, self.fold))
        gains = torch.sigmoid(folded.transpose(2, 3).flatten(2, 3))
        # The top bin, which the network does not see, is everybody's.
        return F.pad(self._consistent(gains), (0, 0, 0, 1), value=1.0 / self.num_stems)

    def modulate(self, condition: Tensor) -> tuple[Tensor, ...]:
        """Take (B, M) weights of the stems as they are."""
        return (condition,)

    def mask(self, encoded: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        """Weight the masks: (B, n_fft // 2 + 1, F) complex, with no imaginary part."""
        gain = self.masks(encoded, modulation[0][:, None])[:, 0]
        return torch.complex(gain, torch.zeros_like(gain))

    def masks(self, encoded: Tensor, conditions: Tensor) -> Tensor:
        """Weight the masks for (B, Q, M) conditions: (B, Q, n_fft // 2 + 1, F) real gains."""
        # No matrix product: autocast would round it, and stems would not add up.
        return torch.stack(
            [
                (weights[:, :, None, None] * encoded).sum(dim=1)
                for weights in conditions.unbind(dim=1)
            ],
            dim=1,
        )

    def stems(self, mixture: Tensor) -> Tensor:
        """Separate (B, T) mixtures into (B, M, T) stems that add up to them."""
        spectrogram = self.spectrogram(mixture)
        masked = self.encode(spectrogram) * spectrogram[:, None]
        return self.waveform(masked, mixture.shape[-1])

    def _consistent(self, gains: Tensor) -> Tensor:
        """Make (B, M, bins, F) gains add up to 1."""
        lacking = 1.0 - gains.sum(dim=1, keepdim=True)
        if self.consistency == "uniform":
            return gains + lacking / self.num_stems
        energy = gains.square() + _TINY
        return gains + lacking * energy / energy.sum(dim=1, keepdim=True)
