"""DiffusionSep (Yuan et al. 2024): FlowSep's baseline, whose U-Net predicts noise."""

from __future__ import annotations

from torch import Tensor

from uss.models.flowsep.latent_separator import LatentSeparator
from uss.models.flowsep.noise_schedule import NUM_NOISES, denoise


class DiffusionSep(LatentSeparator):
    """The U-Net gives the noise that is in a latent; see ``LatentSeparator`` for its arguments."""

    default_steps = 50
    max_steps = NUM_NOISES

    def draw(self, mixture: Tensor, condition: Tensor, noise: Tensor, num_steps: int) -> Tensor:
        """Take the noise away, step by step (DDIM); see ``GenerativeModel``."""
        return denoise(lambda x, t: self.predict(x, t, mixture, condition), noise, num_steps)
