"""Objectives: a model and a batch in, named losses out."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from uss.data.dataset import Batch
from uss.models import SeparationModel

Objective = Callable[[SeparationModel, Batch], dict[str, Tensor]]


class WaveformL1:
    """Mean absolute error on waveforms (Algorithm 2, eq. 8)."""

    def __call__(self, model: SeparationModel, batch: Batch) -> dict[str, Tensor]:
        """Separate the batch and compare.

        Returns:
            ``loss``: a scalar, mean over batch and samples.
        """
        estimate = model(batch.mixture, batch.condition)
        return {"loss": (estimate - batch.target).abs().mean()}
