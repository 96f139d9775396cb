"""What a run fixes that does not go on from a checkpoint, before its first step."""

from __future__ import annotations

from typing import Any

import torch

from uss.checkpoints.loading import load_tagger
from uss.conditions.query_nets import HearingQueryNet, QueryNet
from uss.data.clip_datamodule import ClipDataModule
from uss.data.datamodule import ShardDataModule
from uss.models import QueryUNet, ResUNet30
from uss.training.feature_sources import start_features
from uss.training.objectives import Beginning, Objective
from uss.training.starting import start_from


def begin(
    model: Any,
    objective: Objective,
    query_net: QueryNet | None,
    data: ShardDataModule | ClipDataModule,
    init_from: str | None,
) -> None:
    """Give a fresh model the weights and scales that it does not learn.

    Args:
        model: that is going to be trained.
        objective: may fix something too, see ``Beginning``.
        query_net: makes its conditions, if they are learned.
        data: what it is trained on.
        init_from: see ``start_from``.

    Raises:
        FileNotFoundError, OSError, ValueError: if weights cannot be had, or do not fit.
    """
    if init_from is not None:
        start_from(model, init_from)
    if isinstance(data, ShardDataModule):
        if query_net is None and hasattr(model, "standardise_conditions"):
            model.standardise_conditions(torch.from_numpy(data.sample_conditions()))
        if isinstance(objective, Beginning):
            waveform = torch.from_numpy(data.sample_waveforms())
            objective.begin(model, waveform.to(next(model.parameters()).device))
    if isinstance(model, QueryUNet) and model.ear_from is not None:
        model.start_ear(load_tagger(model.ear_from))
    if isinstance(model, ResUNet30):
        start_features(model)
    if isinstance(query_net, HearingQueryNet) and query_net.pretrained is not None:
        query_net.start_from(load_tagger(query_net.pretrained))
