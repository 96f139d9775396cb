"""Mixture invariant training (MixIT): a separator learns from mixtures alone.

Wisdom et al. 2020. The network gets the sum of two mixtures and gives M stems. Whichever way of
giving each stem to one of the two makes up the mixtures best, counts: a stem that held sounds of
both would be wrong in either.
"""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from uss.core.errors import InputError
from uss.data.clip_mixtures import MixtureOfMixtures
from uss.models import BlindUNet, SeparationModel

_TINY = 1e-9
_DB = 10.0


class MixIT:
    """The error of two mixtures made up of stems, in decibels of each, the best way round.

    Args:
        max_snr_db: what is better than that hardly counts: the error of a mixture is added to its
            energy divided by this ratio (30 dB in the paper).
    """

    def __init__(self, max_snr_db: float = 30.0) -> None:
        if max_snr_db <= 0.0:
            raise InputError(f"max_snr_db {max_snr_db} must be positive")
        self.max_snr_db = max_snr_db
        self.threshold = 10.0 ** (-max_snr_db / _DB)

    def __call__(self, model: SeparationModel, batch: MixtureOfMixtures) -> dict[str, Tensor]:
        """Separate mixtures of mixtures, and compare the best sums of stems with the mixtures.

        Returns:
            ``loss``: minus the ratio of each mixture to its error, at most ``max_snr_db``, in
            decibels, mean over mixtures. ``improvement``: how much better that is than the mixture
            of mixtures itself. Scalars.

        Raises:
            ValueError: if the model is not blind, or the batch holds no mixtures of mixtures.
        """
        if not isinstance(model, BlindUNet) or not isinstance(batch, MixtureOfMixtures):
            raise InputError(
                "MixIT trains a BlindUNet on mixtures of mixtures; set model.model and "
                "data.manifest, or choose another objective"
            )
        stems = model.stems(batch.mixture[:, 0])
        with torch.no_grad():
            chosen = best_assignment(stems, batch.parts, self.threshold)
        # No matrix product, which autocast would round.
        sums = (chosen[..., None] * stems[:, None]).sum(dim=2)
        loss = self._decibels(sums - batch.parts, batch.parts).mean()
        untouched = self._decibels(batch.mixture - batch.parts, batch.parts).mean()
        return {"loss": loss, "improvement": untouched - loss.detach()}

    def _decibels(self, error: Tensor, reference: Tensor) -> Tensor:
        """(..., T) to (...): the thresholded error, in decibels of the reference."""
        return relative_error(
            error.square().sum(dim=-1), reference.square().sum(dim=-1), self.threshold
        )


def relative_error(error: Tensor, energy: Tensor, threshold: float) -> Tensor:
    """Energies of errors in decibels of what they are errors of, but not below the threshold."""
    energy = energy.clamp(min=_TINY)
    return _DB * torch.log10(error / energy + threshold)


def best_assignment(stems: Tensor, parts: Tensor, threshold: float) -> Tensor:
    """Try all ways of giving each of M stems to one of two mixtures, and take the best.

    The errors of all 2^M ways follow from inner products: |x - sum of a_m s_m|^2 is
    |x|^2 - 2 a'(S x) + a'(S S')a, so that no waveform is summed.

    Args:
        stems: (B, M, T).
        parts: (B, 2, T) the mixtures.
        threshold: see ``relative_error``.

    Returns:
        (B, 2, M) of 0 and 1: which stems make up each mixture. Of equal ways the first, in the
        order of ``assignments``.
    """
    ways = assignments(stems.shape[1]).to(stems)
    stems, parts = stems.double(), parts.double()
    gram = stems @ stems.transpose(1, 2)
    inner = parts @ stems.transpose(1, 2)
    energy = parts.square().sum(dim=2)
    weights = ways.double()
    crossed = torch.einsum("anm,bnm->ban", weights, inner)
    own = torch.einsum("anm,bmk,ank->ban", weights, gram, weights)
    error = (energy[:, None] - 2.0 * crossed + own).clamp(min=0.0)
    best = relative_error(error, energy[:, None], threshold).sum(dim=2).argmin(dim=1)
    return ways[best]


def assignments(num_stems: int) -> Tensor:
    """(2^M, 2, M): all ways of giving M stems to two mixtures; each stem is in one of them."""
    first = torch.tensor(list(product((1.0, 0.0), repeat=num_stems)))
    return torch.stack([first, 1.0 - first], dim=1)
