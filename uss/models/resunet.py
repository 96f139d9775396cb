"""A FiLM-conditioned residual UNet that masks spectrograms (section 3.5; eqs. 1, 5, 6)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from uss.core.errors import InputError
from uss.models.film import FiLM
from uss.models.folding import change_biases
from uss.models.masking import fold_bins, mask_parts, relative_log_magnitude, standardisation
from uss.models.portable import PortableNetwork
from uss.models.stages import StagedNetwork, check_stages

Modulation = tuple[Tensor, ...]


class ResUNet(StagedNetwork, PortableNetwork):
    """Encoder, bottleneck and decoder of residual blocks on the log-magnitude spectrogram.

    ``fold`` neighbouring frequency bins share one position and become channels, which makes the
    images ``fold`` times smaller; ``channels`` sets width and depth. The spectrogram is scaled to
    unit energy before the network, so the mask does not depend on the recording's level.

    Args:
        condition_space: the named space of the conditions.
        condition_size: H.
        channels: of each encoder stage; every stage halves time and frequency, the last time only.
        fold: bins per position; must divide ``n_fft // 2``.
        n_fft: also the window's length.
        hop_length: between frames, in samples.
        sample_rate: in Hz.
        segment_seconds: the length it is trained on.
        min_gain: outside training, the share g of the mixture that is blended in: the mask m
            becomes g + (1 - g) m, so the output is g times the mixture plus 1 - g times what m
            gives. A model that takes the wrong source then still passes the right one faintly,
            which bounds the damage. It is no floor: where m is 0, g of the mixture passes with the
            mixture's phase; where m has a phase, that is turned towards the mixture's; and where m
            turns the phase by half a circle, the parts cancel, to nothing at |m| = g / (1 - g). The
            top bin, which the network does not see, stays 0.
        joint: see ``SeparatorNetwork``.

    Raises:
        ValueError: if ``channels`` is empty, a size is not positive, ``min_gain`` is not in [0, 1),
            or the bins cannot be folded and halved that often.
    """

    condition_mean: Tensor
    condition_scale: Tensor

    def __init__(
        self,
        condition_space: str,
        condition_size: int,
        *,
        channels: Sequence[int] = (16, 32, 64, 128, 192, 192),
        fold: int = 4,
        n_fft: int = 2048,
        hop_length: int = 512,
        sample_rate: int = 32_000,
        segment_seconds: float = 2.0,
        min_gain: float = 0.0,
        joint: bool = False,
    ) -> None:
        super().__init__(n_fft, hop_length)
        channels = tuple(channels)
        check_stages(channels, fold, n_fft, hop_length)
        if not 0.0 <= min_gain < 1.0:
            raise InputError(f"min_gain {min_gain} is out of range; choose 0 to less than 1")
        self.condition_space = condition_space
        self.condition_size = condition_size
        self.sample_rate = sample_rate
        self.segment_seconds = segment_seconds
        self.min_gain = min_gain
        self.joint = joint
        self.register_buffer("condition_mean", torch.zeros(condition_size))
        self.register_buffer("condition_scale", torch.ones(condition_size))

        self.add_stages(channels, 3, fold=fold, n_fft=n_fft)
        with torch.no_grad():
            # Start with masks that leave the phase alone, instead of turning it at random.
            self.after_conv.bias[fold : 2 * fold] = 1.0  # type: ignore[index]
        self.film = FiLM(condition_size, self.bias_sizes())

    def standardise_conditions(self, conditions: Tensor) -> None:
        """Fix the mean and scale that conditions are brought to unit range with.

        Args:
            conditions: (N, H) a sample of the training conditions.

        Raises:
            ValueError: if they are of another size.
        """
        mean, scale = standardisation(conditions, self.condition_size)
        self.condition_mean.copy_(mean)
        self.condition_scale.copy_(scale)

    def for_inference(self, dtype: torch.dtype) -> ResUNet:
        """Return a copy with folded norms and convolutions in ``dtype``; see ``folding``."""
        model = super().for_inference(dtype)
        changes = model.fold_stages(dtype)
        change_biases(model.film.linear.bias, changes, model.film.linear.weight)
        return model

    def encode_transformed(self, power: Tensor, ear_image: Tensor | None = None) -> Tensor:
        """Prepare the network's image.

        Args:
            power: (B, n_fft // 2, F).
            ear_image: None; it has no ear.

        Returns:
            (B, fold, n_fft // 2 // fold, F) standardised log magnitudes, without the top bin.
        """
        return fold_bins(self.bin_norm(relative_log_magnitude(power)), self.fold)

    def modulate(self, condition: Tensor) -> Modulation:
        """Map (B, H) conditions to the biases of every layer."""
        biases: Modulation = self.film((condition - self.condition_mean) * self.condition_scale)
        return biases

    def mask(self, encoded: Tensor, modulation: Modulation) -> Tensor:
        """Run the network.

        Args:
            encoded: (B, fold, bins // fold, F) from ``encode``.
            modulation: from ``modulate``, for B conditions.

        Returns:
            (B, n_fft // 2 + 1, F) complex mask with magnitudes in [0, 1] (eq. 5), outside training
            blended with the mixture (``min_gain``); the top bin, which the network does not see,
            is 0.
        """
        return F.pad(torch.complex(*self._parts(encoded, modulation)), (0, 0, 0, 1))

    def planes(self, encoded: Tensor, conditions: Tensor) -> Tensor:
        """Ask one segment for several sources; see ``PortableNetwork``. Masks are complex."""
        # Not its len, which an export would take for a constant.
        repeated = encoded.expand(conditions.shape[0], -1, -1, -1)
        parts = self._parts(repeated, self.modulate(conditions))
        return F.pad(torch.stack(parts, dim=1), (0, 0, 0, 1))

    def _parts(self, encoded: Tensor, modulation: Modulation) -> tuple[Tensor, Tensor]:
        """(B, n_fft // 2, F) real and imaginary parts of the mask."""
        frames = encoded.shape[-1]
        image, remaining = self.descend(encoded, modulation)
        image = self.ascend(image, remaining)
        maps = self.after_conv(image)[..., :frames].float()
        batch, _, positions, _ = maps.shape
        maps = maps.reshape(batch, 3, self.fold, positions, frames).transpose(2, 3)
        magnitude, real, imaginary = maps.reshape(batch, 3, -1, frames).unbind(dim=1)
        real, imaginary = mask_parts(magnitude, real, imaginary)
        if not self.training:
            share = 1.0 - self.min_gain
            real, imaginary = self.min_gain + share * real, share * imaginary
        return real, imaginary
