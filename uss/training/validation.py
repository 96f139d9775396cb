"""How much a model improves two-class mixtures, by kind of condition."""

from __future__ import annotations

import torch
from torch import Tensor

from uss.data.validation_mixtures import ValidationBatch
from uss.metrics import sdr_improvement, si_sdr_improvement
from uss.models import SeparationModel
from uss.models.competition import compete
from uss.models.masking import MaskNetwork

_TINY = 1e-10


def improvements(model: SeparationModel, batch: ValidationBatch) -> dict[str, Tensor]:
    """Measure SDRi and SI-SDRi with the oracle, class-average and swapped conditions.

    With the swapped condition, the interferer's own, the output is measured against the
    interferer: a model that ignores its condition fails there. At 0 dB half the mixture scores
    3.01 dB SDRi but 0 dB SI-SDRi. Models that give masks are also asked for both classes together,
    and for a third that is not there.

    Returns:
        Figure name to (B,) decibels.
    """
    cases = {
        "oracle": (batch.oracle, batch.target),
        "class average": (batch.average, batch.target),
        "swapped": (batch.swapped, batch.interferer),
    }
    figures: dict[str, Tensor] = {}
    for name, (condition, reference) in cases.items():
        estimate = model(batch.mixture, condition)
        measured = (reference[:, 0], estimate[:, 0], batch.mixture[:, 0])
        figures[f"SDRi {name}"] = sdr_improvement(*measured)
        figures[f"SI-SDRi {name}"] = si_sdr_improvement(*measured)
    if isinstance(model, MaskNetwork):
        figures |= _joint_improvements(model, batch)
    return figures


def _joint_improvements(model: MaskNetwork, batch: ValidationBatch) -> dict[str, Tensor]:
    """Ask for both classes together; then for an absent one as well, whose level is measured."""
    mixture = batch.mixture[:, 0]
    spectrogram = model.spectrogram(mixture)
    asked = torch.stack([batch.average, batch.other, batch.absent], dim=1)
    masks = model.masks(model.encode(spectrogram), asked)

    def separated(count: int) -> Tensor:
        shared = compete(masks[:, :count], rules=model.competition)
        return model.waveform(shared * spectrogram[:, None], mixture.shape[-1])

    both, with_absent = separated(2), separated(3)
    target = batch.target[:, 0]
    level = with_absent[:, 2].square().sum(dim=1) / mixture.square().sum(dim=1).clamp(min=_TINY)
    return {
        "SI-SDRi together": si_sdr_improvement(target, both[:, 0], mixture),
        "SI-SDRi with an absent class": si_sdr_improvement(target, with_absent[:, 0], mixture),
        "level of an absent class": 10.0 * torch.log10(level + _TINY),
    }
