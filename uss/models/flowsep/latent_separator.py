"""What FlowSep and DiffusionSep share: mel, autoencoder, U-Net, vocoder (Yuan et al. 2024).

Each is a module of this package. Entry names are the published ones, with ``model.diffusion_model``
for the U-Net. The text encoder is not inside (``uss.conditions.flan_t5``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from uss.core.initialisation import without_random_numbers
from uss.core.runtime import autocast_to
from uss.models.base import Heard, SeparatorNetwork
from uss.models.flowsep.bigvgan import BigVGAN
from uss.models.flowsep.latent_unet import LatentUNet
from uss.models.flowsep.level_fitting import fitted_gain
from uss.models.flowsep.magnitude_mel import MagnitudeMel, levelled
from uss.models.flowsep.mel_vae import MelVAE
from uss.models.flowsep.token_conditions import TokenConditions

if TYPE_CHECKING:
    from typing_extensions import Self

_BANDS = 64
_LATENT_CHANNELS = 8


class LatentSeparator(SeparatorNetwork, ABC):
    """Generates stems: they do not add up with the rest, and have phases of their own.

    A subclass says what its U-Net's numbers mean, and how they lead from noise to a stem.

    Attributes:
        latent_samples, latent_shape, whole_samples, default_steps, max_steps: see
            ``GenerativeModel``.

    Args:
        condition_space: the named space of the conditions.
        condition_size: H.
        num_tokens: L, that a condition consists of, see ``TokenConditions``.
        unet_base: channels of the U-Net's first stage.
        vae_base: of the autoencoder's.
        vocoder_channels: before the vocoder's first stage.
        sample_rate: in Hz.
        segment_seconds: the length it is trained on.

    Raises:
        ValueError: if channels, or the condition, cannot be divided as they must be.
    """

    scale_factor: Tensor
    first_stage_model: MelVAE
    cpu_batch_size = 1
    default_steps: int
    max_steps: int | None = None
    latent_shape = (_LATENT_CHANNELS, _BANDS // 4)

    def __init__(
        self,
        condition_space: str,
        condition_size: int,
        *,
        num_tokens: int = 1,
        unet_base: int = 128,
        vae_base: int = 128,
        vocoder_channels: int = 512,
        sample_rate: int = 16_000,
        segment_seconds: float = 10.24,
    ) -> None:
        super().__init__()
        self.condition_space = condition_space
        self.condition_size = condition_size
        self.tokens = TokenConditions(condition_size, num_tokens)
        self.sample_rate = sample_rate
        self.segment_seconds = segment_seconds
        self.inference_dtype = torch.float32
        channels = 2 * _LATENT_CHANNELS
        unet = LatentUNet(channels, channels, base=unet_base, text_size=self.tokens.token_size)
        self.model = nn.ModuleDict({"diffusion_model": unet})
        self.first_stage_model = MelVAE(base=vae_base, latent_channels=_LATENT_CHANNELS)
        self.first_stage_model.vocoder = BigVGAN(_BANDS, channels=vocoder_channels)
        self.mel = MagnitudeMel(_BANDS, sample_rate=sample_rate)
        self.register_buffer("scale_factor", torch.ones(()))
        self.latent_samples = self.mel.hop_length * self.first_stage_model.stride
        self.whole_samples = self.latent_samples * unet.stride

    @property
    def unet(self) -> LatentUNet:
        """What gives the velocities."""
        unet = self.model["diffusion_model"]
        assert isinstance(unet, LatentUNet)
        return unet

    @property
    def vocoder(self) -> BigVGAN:
        """What makes waveforms of mels."""
        vocoder = self.first_stage_model.vocoder
        assert isinstance(vocoder, BigVGAN)
        return vocoder

    def for_inference(self, dtype: torch.dtype) -> Self:
        """Return a copy that shares its weights, and whose U-Net runs in ``dtype``."""
        with without_random_numbers(), torch.device("meta"):
            model = type(self)(**self.hyperparameters)
        model.load_state_dict(self.state_dict(), assign=True)
        model.mel = MagnitudeMel(_BANDS, sample_rate=self.sample_rate)
        model.inference_dtype = dtype
        return model.eval().requires_grad_(False)

    def standardise_conditions(self, conditions: Tensor) -> None:
        """Fix the range of single vectors by (N, H) of them; see ``TokenConditions``."""
        self.tokens.standardise(conditions)

    @torch.no_grad()
    def scale_latents(self, waveform: Tensor) -> None:
        """Fix the scale that brings latents to unit variance, unless it is fixed already.

        Args:
            waveform: (B, T) of the training clips; T is a multiple of ``whole_samples``.
        """
        if float(self.scale_factor) != 1.0:
            return
        mels = self.mel(levelled(waveform)[0])[:, None]
        # One by one, as a training's batch may be all that memory holds.
        means, logvars = zip(*map(self.first_stage_model.encode, mels.split(1)), strict=True)
        variance = torch.cat(means).var() + torch.cat(logvars).exp().mean()
        self.scale_factor.copy_(variance.rsqrt())

    def listen(self, waveform: Tensor, noise: Tensor, num_valid: Tensor | None = None) -> Heard:
        """Bring mixtures into the latent space.

        Args:
            waveform: (B, T); T is a multiple of ``whole_samples``.
            noise: (B, 8, T / latent_samples, 16) standard normal, for the posterior.
            num_valid: (B,) how many samples of each row count; what follows is silence that is no
                part of the recording. All of them if None.
        """
        level, gain = levelled(waveform, num_valid)
        return Heard(self.latent(level, noise), gain)

    def latent(self, waveform: Tensor, noise: Tensor) -> Tensor:
        """Encode (B, T) waveforms at the model's level; see ``listen``."""
        posterior = self.first_stage_model.encode(self.mel(waveform)[:, None])
        return self.scale_factor * posterior.sample(noise)

    def predict(self, state: Tensor, time: Tensor, mixture: Tensor, condition: Tensor) -> Tensor:
        """Run the U-Net on what is between noise and a stem.

        Args:
            state: (B, 8, F, 16), on its way from noise to a stem's latent.
            time: (B,) where on the way it is.
            mixture: (B, 8, F, 16), the mixture's latent.
            condition: (B, H).

        Returns:
            (B, 8, F, 16).
        """
        both = torch.cat([state, mixture], dim=1)
        with autocast_to(self.inference_dtype, both.device.type):
            out: Tensor = self.unet(both, time, *self.tokens(condition))
        return out[:, :_LATENT_CHANNELS].float()

    @abstractmethod
    def draw(self, mixture: Tensor, condition: Tensor, noise: Tensor, num_steps: int) -> Tensor:
        """Generate the latents of stems.

        Args:
            mixture: (B, 8, F, 16) latents, from ``listen``.
            condition: (B, H).
            noise: (B, 8, F, 16) standard normal.
            num_steps: of the way.

        Returns:
            (B, 8, F, 16).
        """

    def decode(self, latent: Tensor) -> Tensor:
        """Make (B, T) samples, with the gain of ``listen``, of (B, 8, T / latent_samples, 16)."""
        mel = self.first_stage_model.decode(latent / self.scale_factor)[:, 0]
        samples: Tensor = self.vocoder(mel.transpose(1, 2))
        # The vocoder gives 32 samples more than its mel lasts.
        return samples[:, : latent.shape[2] * self.latent_samples]

    def forward(
        self, mixture: Tensor, condition: Tensor, rng: np.random.Generator | None = None
    ) -> Tensor:
        """Separate one source per row; see ``SeparationModel``.

        Every channel is separated by itself, from the same noise; what is shorter than a segment
        is generated as a whole one, as released. A stem has the level that fits the mixture best.

        Args:
            mixture: (B, C, T) float32.
            condition: (B, H).
            rng: draws the noise; without one, a generator of seed 0.

        Returns:
            (B, C, T) float32.
        """
        batch, channels, num_samples = mixture.shape
        rows = mixture.flatten(0, 1)
        length = max(num_samples, round(self.segment_seconds * self.sample_rate))
        padded = F.pad(rows, (0, length + -length % self.whole_samples - num_samples))
        frames = padded.shape[-1] // self.latent_samples
        rng = rng or np.random.default_rng(0)
        shape = (2, batch, _LATENT_CHANNELS, frames, _BANDS // 4)
        drawn = torch.from_numpy(rng.standard_normal(shape, np.float32)).to(rows.device)
        posterior, start = drawn.repeat_interleave(channels, dim=1)
        valid = torch.full((len(rows),), num_samples, device=rows.device)
        heard = self.listen(padded, posterior, valid)
        condition = condition.repeat_interleave(channels, dim=0)
        latent = self.draw(heard.latent, condition, start, self.default_steps)
        stem = self.decode(latent)[:, :num_samples] / heard.gain[:, None]
        stem = stem * fitted_gain(stem, rows)[:, None]
        return stem.reshape(batch, channels, num_samples)
