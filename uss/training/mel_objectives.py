"""What the autoencoder and the vocoder of a generative separator learn from: mels and waveforms.

Both learn without adversaries. The published autoencoder gets one after 50,000 steps, and BigVGAN
has several; docs/generative.md says what is missing so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.data.validation_mixtures import ValidationBatch
from uss.models import DiffusionSep, FlowSep, LatentSeparator, SeparationModel
from uss.models.flowsep.magnitude_mel import levelled
from uss.models.flowsep.mel_vae import Posterior
from uss.training.latent_objectives import checked_batch, checked_model

_FLOOR = 1e-3
"""Of magnitudes, lest the depths of silence matter most; a sine of amplitude 1 has 64 and more."""
_QUIET = 1e-2


class _MelObjective(ABC):
    """Learns from mixtures and targets alike, at the levels that separation meets them with."""

    def __call__(self, model: SeparationModel, batch: Any) -> dict[str, Tensor]:
        """Make something of every waveform, and compare.

        Returns:
            ``loss``, and its parts. Scalars.

        Raises:
            ValueError: if model or batch are of another kind.
        """
        batch = checked_batch(batch)
        assert batch.seeds is not None, "TrainingBatches draws them"
        waveform = _both(batch.mixture[:, 0], batch.target[:, 0])
        return self._errors(self._checked(model), waveform, batch.seeds)

    def measured(
        self, model: SeparationModel, batch: ValidationBatch, seeds: Tensor
    ) -> dict[str, Tensor]:
        """Compute the same of validation mixtures; see ``Measuring``."""
        waveform = _both(batch.mixture[:, 0], batch.target[:, 0])
        return self._errors(self._checked(model), waveform, seeds)

    @abstractmethod
    def _errors(self, model: LatentSeparator, waveform: Tensor, seeds: Tensor) -> dict[str, Tensor]:
        """Compute errors of (2 B, T) waveforms, drawing from (B,) seeds."""

    def _checked(self, model: SeparationModel) -> LatentSeparator:
        return checked_model(model, (FlowSep, DiffusionSep), type(self).__name__)


class AutoencoderError(_MelObjective):
    """How far a log-mel is from what the autoencoder makes of it, and how much its latents tell.

    ``mel`` is the mean absolute error of log-mels (natural logarithms), ``kl`` the latents'
    divergence from standard normal numbers, in nats per number of a latent.

    Args:
        kl_weight: of the divergence.

    Raises:
        ValueError: if it is negative.
    """

    def __init__(self, kl_weight: float = 0.01) -> None:
        if kl_weight < 0.0:
            raise InputError(f"kl_weight {kl_weight} is negative; choose 0 or more, such as 0.01")
        self.kl_weight = kl_weight

    def trained(self, model: SeparationModel) -> list[nn.Module]:
        """Encoder and decoder; see ``PartOnly``."""
        vae = self._checked(model).first_stage_model
        return [vae.encoder, vae.quant_conv, vae.post_quant_conv, vae.decoder]

    def _errors(self, model: LatentSeparator, waveform: Tensor, seeds: Tensor) -> dict[str, Tensor]:
        mel = model.mel(waveform)[:, None]
        # What autocast has rounded is compared in float32.
        mean, logvar = (each.float() for each in model.first_stage_model.encode(mel))
        drawn = Posterior(mean, logvar).sample(_noise(seeds, mean))
        error = (model.first_stage_model.decode(drawn) - mel).abs().mean()
        kl = 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).mean()
        return {"loss": error + self.kl_weight * kl, "mel": error.detach(), "kl": kl.detach()}


class VocoderError(_MelObjective):
    """How far a waveform's spectra are from those of what the vocoder makes of its mel.

    ``mel`` is the mean absolute error of log-mels, as in HiFi-GAN and BigVGAN, ``spectra`` that of
    spectra in several resolutions: of magnitudes, relative to all of an excerpt, and of their
    logarithms (Yamamoto et al. 2020).

    Args:
        excerpt_seconds: of every segment so much is learned from, anywhere in it.
        resolutions: window lengths, in samples; frames are a quarter of that apart.
        mel_weight: of the error of log-mels.

    Raises:
        ValueError: if there are no resolutions, or something is not positive.
    """

    def __init__(
        self,
        excerpt_seconds: float = 0.64,
        resolutions: Sequence[int] = (256, 512, 1024, 2048),
        mel_weight: float = 1.0,
    ) -> None:
        if not resolutions or min(excerpt_seconds, mel_weight, *resolutions) <= 0.0:
            raise InputError(
                f"excerpt_seconds {excerpt_seconds}, mel_weight {mel_weight}, resolutions "
                f"{list(resolutions)}: all must be positive, and there must be a resolution"
            )
        self.excerpt_seconds = excerpt_seconds
        self.resolutions = tuple(resolutions)
        self.mel_weight = mel_weight

    def trained(self, model: SeparationModel) -> list[nn.Module]:
        """The vocoder; see ``PartOnly``."""
        return [self._checked(model).vocoder]

    def _errors(self, model: LatentSeparator, waveform: Tensor, seeds: Tensor) -> dict[str, Tensor]:
        hop = model.mel.hop_length
        frames = waveform.shape[1] // hop
        length = min(frames, round(self.excerpt_seconds * model.sample_rate / hop))
        self._check_excerpt(length * hop, model)
        starts = 2 * [
            int(np.random.default_rng(int(seed)).integers(frames - length + 1))
            for seed in seeds.cpu()
        ]
        mel = torch.stack(
            [
                row[start : start + length]
                for row, start in zip(model.mel(waveform), starts, strict=True)
            ]
        )
        wanted = torch.stack(
            [
                row[start * hop : (start + length) * hop]
                for row, start in zip(waveform, starts, strict=True)
            ]
        )
        made = model.vocoder(mel.transpose(1, 2))[:, : length * hop].float()
        mels = (model.mel(made) - model.mel(wanted)).abs().mean()
        each = [_spectral_error(made, wanted, size) for size in self.resolutions]
        spectra = torch.stack(each).mean()
        return {
            "loss": self.mel_weight * mels + spectra,
            "mel": mels.detach(),
            "spectra": spectra.detach(),
        }

    def _check_excerpt(self, num_samples: int, model: LatentSeparator) -> None:
        """Refuse excerpts that are too short for the longest window, which reaches beyond ends."""
        window = max(*self.resolutions, model.mel.n_fft)
        if num_samples <= window // 2:
            raise InputError(
                f"excerpts of {num_samples / model.sample_rate:g} s are too short for windows of "
                f"{window} samples; choose excerpt_seconds, and segments, of more than "
                f"{window // 2 / model.sample_rate:g} s, or shorter resolutions"
            )


def _spectral_error(made: Tensor, wanted: Tensor, n_fft: int) -> Tensor:
    """The errors of (B, T) waveforms' magnitudes, and of their logarithms; mean over B."""
    window = torch.hann_window(n_fft, device=made.device)
    own, whole = (
        torch.stft(each, n_fft, n_fft // 4, window=window, return_complex=True)
        .abs()
        .clamp(min=_FLOOR)
        .flatten(1)
        for each in (made, wanted)
    )
    # What is as good as silent must not outweigh the rest.
    level = whole.norm(dim=1) + _QUIET * whole.shape[1] ** 0.5
    relative = (own - whole).norm(dim=1) / level
    error: Tensor = (relative + (own.log() - whole.log()).abs().mean(dim=1)).mean()
    return error


def _both(mixture: Tensor, target: Tensor) -> Tensor:
    """(2 B, T): (B, T) mixtures at the model's level, and their targets by the same gain."""
    level, gain = levelled(mixture)
    return torch.cat([level, target * gain[:, None]])


def _noise(seeds: Tensor, like: Tensor) -> Tensor:
    """Standard normal numbers for 2 B rows, of each seed those of rows b and B + b."""
    shape = (2, *like.shape[1:])
    drawn = [
        np.random.default_rng(int(seed)).standard_normal(shape, np.float32) for seed in seeds.cpu()
    ]
    noise: Tensor = torch.from_numpy(np.stack(drawn, axis=1)).flatten(0, 1).to(like)
    return noise
