"""What generative separators learn from: ways from noise to targets' latents (Yuan et al. 2024).

Autoencoder and vocoder stay as they are; ``uss.training.mel_objectives`` trains them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.data.dataset import Batch
from uss.data.validation_mixtures import ValidationBatch
from uss.models import DiffusionSep, FlowSep, LatentSeparator, SeparationModel
from uss.models.flowsep.magnitude_mel import levelled
from uss.models.flowsep.noise_schedule import NUM_NOISES, noise_loss
from uss.models.flowsep.rectified_flow import flow_loss


class Draws(NamedTuple):
    """All that is random about the rows of a batch, each row's from its own seed.

    Attributes:
        posteriors: (2, B, channels, F, bins) standard normal, of the mixture's latent and the
            target's.
        noise: (B, channels, F, bins) standard normal, where the way begins.
        time: (B,) in [0, 1), where on the way the network looks.
        chance: (B,) in [0, 1), what decides whether a row is asked for nothing.
    """

    posteriors: Tensor
    noise: Tensor
    time: Tensor
    chance: Tensor

    @classmethod
    def of(cls, seeds: Tensor, shape: tuple[int, ...]) -> Draws:
        """Draw for B seeds; a latent has the given shape."""
        rows = [np.random.default_rng(int(seed)) for seed in seeds.cpu()]
        normal = np.stack([rng.standard_normal((3, *shape), np.float32) for rng in rows], axis=1)
        uniform = np.stack([rng.random(2, np.float32) for rng in rows], axis=1)
        *posteriors, noise = torch.from_numpy(normal).to(seeds.device)
        return cls(torch.stack(posteriors), noise, *torch.from_numpy(uniform).to(seeds.device))


class LatentError(ABC):
    """The error of a network that says how noise becomes the target's latent, seeing the mixture's.

    Mixtures are brought to the model's level as at inference, their targets by the same gain, so
    that a stem's level is learned too.

    Args:
        unasked: how often a row is asked for nothing, so that the network also learns what sounds
            may be there at all.

    Raises:
        ValueError: if it is no probability.
    """

    network: type[FlowSep] | type[DiffusionSep]

    def __init__(self, unasked: float = 0.1) -> None:
        if not 0.0 <= unasked <= 1.0:
            raise InputError(f"unasked {unasked} is no probability; choose one, such as 0.1")
        self.unasked = unasked

    def trained(self, model: SeparationModel) -> list[nn.Module]:
        """The U-Net alone; see ``PartOnly``."""
        return [self._checked(model).unet]

    def begin(self, model: SeparationModel, waveform: Tensor) -> None:
        """Fix the scale of latents of a fresh model; see ``Beginning``."""
        self._checked(model).scale_latents(waveform)

    def __call__(self, model: SeparationModel, batch: Any) -> dict[str, Tensor]:
        """Look at each row somewhere on its way.

        Returns:
            ``loss``: mean squared error of what the network says there; a scalar.

        Raises:
            ValueError: if model or batch are of another kind.
        """
        return {"loss": self._error(self._checked(model), checked_batch(batch), self.unasked)}

    def measured(
        self, model: SeparationModel, batch: ValidationBatch, seeds: Tensor
    ) -> dict[str, Tensor]:
        """Compute the error when asked with the target's condition, its class's, and the other's.

        The last is measured against the target too: a network that does not listen to what it is
        asked has no larger error there.
        """
        network = self._checked(model)
        asked = {
            "oracle": batch.oracle,
            "class average": batch.average,
            "asked for the other": batch.swapped,
        }
        return {
            f"error {name}": self._error(
                network, Batch(batch.mixture, batch.target, condition, seeds), 0.0
            )
            for name, condition in asked.items()
        }

    @abstractmethod
    def _loss(
        self, model: LatentSeparator, target: Tensor, given: tuple[Tensor, Tensor], draws: Draws
    ) -> Tensor:
        """The error on the way to (B, channels, F, bins) targets.

        Args:
            model: the network.
            target: latents.
            given: the mixtures' latents, and conditions.
            draws: where on the way.
        """

    def _error(self, model: LatentSeparator, batch: Batch, unasked: float) -> Tensor:
        assert batch.seeds is not None, "TrainingBatches draws them"
        mixture, gain = levelled(batch.mixture[:, 0])
        target = batch.target[:, 0]
        target = (target - target.mean(dim=1, keepdim=True)) * gain[:, None]
        channels, bins = model.latent_shape
        frames = mixture.shape[1] // model.latent_samples
        draws = Draws.of(batch.seeds, (channels, frames, bins))
        with torch.no_grad():
            heard, wanted = (
                model.latent(waveform, noise)
                for waveform, noise in zip((mixture, target), draws.posteriors, strict=True)
            )
        dropped = draws.chance < unasked
        nothing = model.tokens.unasked(batch.condition)
        condition = torch.where(dropped[:, None], nothing, batch.condition)
        return self._loss(model, wanted, (heard, condition), draws)

    def _checked(self, model: SeparationModel) -> LatentSeparator:
        return checked_model(model, (self.network,), type(self).__name__)


class FlowError(LatentError):
    """The error of velocities on straight ways (rectified flow matching), of a ``FlowSep``."""

    network = FlowSep

    def _loss(
        self, model: LatentSeparator, target: Tensor, given: tuple[Tensor, Tensor], draws: Draws
    ) -> Tensor:
        return flow_loss(lambda x, t: model.predict(x, t, *given), target, draws.noise, draws.time)


class NoiseError(LatentError):
    """The error of the noise that the network finds in a latent, of a ``DiffusionSep``."""

    network = DiffusionSep

    def _loss(
        self, model: LatentSeparator, target: Tensor, given: tuple[Tensor, Tensor], draws: Draws
    ) -> Tensor:
        number = (draws.time * NUM_NOISES).long()
        return noise_loss(lambda x, t: model.predict(x, t, *given), target, draws.noise, number)


def checked_model(
    model: SeparationModel,
    kinds: tuple[type[FlowSep] | type[DiffusionSep], ...],
    objective: str,
) -> LatentSeparator:
    """Refuse a model that an objective cannot train.

    Raises:
        ValueError: if it is of another kind, or its segments do not consist of what it draws.
    """
    if not isinstance(model, kinds):
        named = " or ".join(kind.__name__ for kind in kinds)
        raise InputError(
            f"{objective} trains a {named}, not a {type(model).__name__}; set model.model"
        )
    num_samples = model.segment_seconds * model.sample_rate
    if abs(num_samples / model.whole_samples - round(num_samples / model.whole_samples)) > 1e-6:
        seconds = model.whole_samples / model.sample_rate
        raise InputError(
            f"segments of {model.segment_seconds:g} s are no multiple of {seconds:g} s, which the "
            "model draws at once; mine others, and set model.model.init_args.segment_seconds"
        )
    return model


def checked_batch(batch: Any) -> Batch:
    """Refuse batches without one target each.

    Raises:
        ValueError: if so.
    """
    if not isinstance(batch, Batch):
        raise InputError(
            "generative separators learn from mixtures with one target; leave out data.joint and "
            "data.captions"
        )
    return batch
