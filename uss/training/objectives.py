"""Objectives: a model and a batch in, named losses out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.data.dataset import Batch
from uss.data.joint import JointBatch
from uss.data.validation_mixtures import ValidationBatch
from uss.models import SeparationModel
from uss.models.masking import MaskNetwork

Objective = Callable[[SeparationModel, Any], dict[str, Tensor]]


@runtime_checkable
class Starting(Protocol):
    """An objective that has something to load before training begins."""

    def start(self, device: torch.device) -> None:
        """Load it."""
        ...


@runtime_checkable
class PartOnly(Protocol):
    """An objective that trains parts of a model; all others stay as they are."""

    def trained(self, model: SeparationModel) -> Sequence[nn.Module]:
        """Name the parts."""
        ...


@runtime_checkable
class Beginning(Protocol):
    """An objective that fixes something of a fresh model by what it is trained on."""

    def begin(self, model: SeparationModel, waveform: Tensor) -> None:
        """Fix it by (N, T) anchors."""
        ...


@runtime_checkable
class Measuring(Protocol):
    """An objective whose own errors say how training goes, where no decibels can."""

    def measured(
        self, model: SeparationModel, batch: ValidationBatch, seeds: Tensor
    ) -> dict[str, Tensor]:
        """Give figures, each a scalar.

        Args:
            model: that is trained.
            batch: of B mixtures.
            seeds: (B,) int64, the same in every validation.
        """
        ...


_TINY = 1e-9
_DB = 10.0


class WaveformL1:
    """Mean absolute error on waveforms (Algorithm 2, eq. 8)."""

    def __call__(self, model: SeparationModel, batch: Batch) -> dict[str, Tensor]:
        """Separate the batch and compare.

        Returns:
            ``loss``: a scalar, mean over batch and samples.
        """
        estimate = model(batch.mixture, batch.condition)
        return {"loss": (estimate - batch.target).abs().mean()}


class JointError:
    """The error of all that is asked of a mixture together, in decibels of the mixture.

    Errors are energies of spectrograms. Those of one mixture are summed before the logarithm, so
    that a bin whose owner is in doubt is shared by probability; a logarithm of each would make
    the model decide, and silence what it doubts. Mixtures that it does well weigh as much as those
    that it does badly.

    Args:
        quiet: a source's error is divided by its share of the mixture's energy plus this, so that
            quiet sources count; that of an absent one is not divided.
        absent: weight of the errors of absent ones.
        floor: below this share of the mixture's energy errors hardly matter.
    """

    def __init__(self, quiet: float = 0.25, absent: float = 1.0, floor: float = 0.01) -> None:
        if min(quiet, absent, floor) <= 0.0:
            raise InputError(f"quiet {quiet}, absent {absent}, floor {floor}: all must be positive")
        self.quiet = quiet
        self.absent = absent
        self.floor = floor

    def __call__(self, model: SeparationModel, batch: JointBatch) -> dict[str, Tensor]:
        """Ask for everything, let it compete, and compare.

        Returns:
            ``loss``; ``present``, the error of sources that are there in decibels of each, and
            ``absent``, the energy of what is given for those that are not, in decibels of
            the mixture. Scalars.

        Raises:
            ValueError: if the model gives no masks, or the batch one target each.
        """
        if not isinstance(model, MaskNetwork) or not isinstance(batch, JointBatch):
            raise InputError(
                "joint training takes a separator that gives masks, and joint mixtures; set "
                "data.joint and another model.model"
            )
        mixture = model.spectrogram(batch.mixture[:, 0])
        targets = model.spectrogram(batch.targets)
        shares = model.shares(model.encode(mixture), batch.conditions, batch.is_asked)
        energy, total = _energy(targets), _energy(mixture)[:, None]
        error = _energy_of_error(shares, mixture[:, None], targets, energy)
        is_there = energy > _TINY * total
        share = energy / total.clamp(min=_TINY)
        weight = torch.where(is_there, 1.0 / (share + self.quiet), self.absent)
        relative = error / total.clamp(min=_TINY)
        summed = (relative * weight * batch.is_asked).sum(dim=1)
        there, gone = is_there & batch.is_asked, ~is_there & batch.is_asked
        return {
            "loss": _DB * torch.log10(summed + self.floor).mean(),
            "present": _mean(_DB * torch.log10(error / energy.clamp(min=_TINY) + _TINY), there),
            "absent": _mean(_DB * torch.log10(relative + _TINY), gone),
        }


def _energy_of_error(shares: Tensor, mixture: Tensor, targets: Tensor, energy: Tensor) -> Tensor:
    """Compare shares of a mixture with what they should be.

    Args:
        shares: (B, Q, bins', F), without bins at the top, which then get nothing.
        mixture: (B, 1, bins, F).
        targets: (B, Q, bins, F).
        energy: (B, Q) of the targets.

    Returns:
        (B, Q) energy of the difference.
    """
    num_bins = shares.shape[2]
    heard, wanted = mixture[:, :, :num_bins], targets[:, :, :num_bins]
    if shares.is_complex():
        return _energy(shares * heard - wanted) + energy - _energy(wanted)
    # |g X - S|^2 = g (g |X|^2 - 2 Re X*S) + |S|^2, without a complex number per bin and query.
    product = (heard.conj() * wanted).real
    inner = torch.addcmul(-2.0 * product, shares, heard.abs().square())
    change: Tensor = (shares * inner).sum(dim=(-2, -1))
    return (change + energy).clamp(min=0.0)


def _energy(spectrogram: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(torch.view_as_real(spectrogram), dim=(-3, -2, -1))
    return norm.square()


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of those chosen; 0 if there are none. Without a gradient: it is for looking."""
    values = values.detach()[chosen]
    return values.mean() if len(values) else values.new_zeros(())
