"""Objectives on masks and magnitudes: of CLIPSep, CLIPSep-NIT and LASS-Net."""

from __future__ import annotations

from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor

from uss.core.errors import InputError
from uss.data.dataset import Batch
from uss.data.joint import JointBatch
from uss.models import CLIPSep, SeparationModel
from uss.models.masking import MaskNetwork

_MIN_WEIGHT, _MAX_WEIGHT = 1e-3, 10.0


class BinaryMaskError:
    """Cross-entropy of masks with the bins where a source is more than half of the mixture.

    Bins are weighted by log(1 + magnitude) of the mixture, within 0.001 and 10 (Dong et al. 2023).
    A model with noise heads is trained noise-invariantly: each query's mask may be filled up by one
    of two noise masks, whichever way round is better, and what the noise masks hold beyond a
    quarter is penalised.

    Args:
        noise_weight: of the penalty.
        noise_share: mean of the sum of both noise masks that costs nothing.
    """

    def __init__(self, noise_weight: float = 0.1, noise_share: float = 0.25) -> None:
        if min(noise_weight, noise_share) < 0.0:
            raise InputError(
                f"noise_weight {noise_weight}, noise_share {noise_share}: both must be at least 0"
            )
        self.noise_weight = noise_weight
        self.noise_share = noise_share

    def __call__(self, model: SeparationModel, batch: JointBatch) -> dict[str, Tensor]:
        """Ask for every source of each mixture, and compare.

        Returns:
            ``loss``; with noise heads also ``without_noise``, the error of the queries' masks
            alone, ``activation``, the mean of their sum, and ``noise_activation``, that of the
            noise masks.

        Raises:
            ValueError: if the model is no CLIPSep, the batch has one target each, or the noise
                heads are not as many as the queries of each mixture.
        """
        if not isinstance(model, CLIPSep) or not isinstance(batch, JointBatch):
            raise InputError(
                "masks are trained with a CLIPSep and joint mixtures; set data.joint and "
                "model.model, or choose another objective"
            )
        spectrogram = model.spectrogram(batch.mixture[:, 0])
        magnitude = model.warped_magnitude(spectrogram)
        sources = model.spectrogram(batch.targets).flatten(0, 1)
        of_sources = model.warped_magnitude(sources).unflatten(0, batch.targets.shape[:2])
        wanted = (of_sources > 0.5 * magnitude[:, None]).to(magnitude.dtype)
        weight = torch.log1p(magnitude).clamp(_MIN_WEIGHT, _MAX_WEIGHT)[:, None]
        weight = weight * batch.is_asked[:, :, None, None]
        # As many bins as are asked for; the others have no weight.
        share = batch.is_asked.float().mean().clamp(min=1e-6)
        maps = model.encode(spectrogram)
        (gains,) = model.modulate(batch.conditions)
        masks = torch.sigmoid(model.logits(maps, gains))
        plain = F.binary_cross_entropy(masks, wanted, weight=weight) / share
        heads = model.noise_gains(batch.conditions, batch.is_asked)
        if not heads:
            return {"loss": plain}
        noise = torch.sigmoid(model.logits(maps, torch.stack(heads, dim=1)))
        if noise.shape[1] != masks.shape[1]:
            raise InputError(
                f"{noise.shape[1]} noise heads need as many queries of each mixture, not "
                f"{masks.shape[1]}; set data.joint.num_queries to that"
            )
        filled = [
            F.binary_cross_entropy(
                (masks + noise[:, list(order)]).clamp(max=1.0),
                wanted,
                weight=weight,
                reduction="none",
            ).mean(dim=(1, 2, 3))
            for order in permutations(range(noise.shape[1]))
        ]
        best = torch.stack(filled).min(dim=0).values.mean() / share
        held = noise.sum(dim=1).mean()
        return {
            "loss": best + self.noise_weight * F.relu(held - self.noise_share),
            "without_noise": plain.detach(),
            "activation": masks.detach().sum(dim=1).mean(),
            "noise_activation": held.detach(),
        }


class MagnitudeL1:
    """Mean absolute error of magnitudes, for separators that leave the phases alone."""

    def __call__(self, model: SeparationModel, batch: Batch) -> dict[str, Tensor]:
        """Mask the batch's mixtures, and compare with the targets.

        Returns:
            ``loss``: a scalar, mean over batch, bins and frames.

        Raises:
            ValueError: if the model gives no masks.
        """
        if not isinstance(model, MaskNetwork):
            raise InputError(
                "magnitudes are compared where a separator gives masks; choose another model or "
                "objective"
            )
        mixture = model.spectrogram(batch.mixture[:, 0])
        mask = model.mask(model.encode(mixture), model.modulate(batch.condition))
        target = model.spectrogram(batch.target[:, 0])
        return {"loss": (mask.abs() * mixture.abs() - target.abs()).abs().mean()}
