"""The LightningModule: wires model, objective, optimiser and validation together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from uss.conditions.query_nets import QueryNet
from uss.core.errors import InputError
from uss.data.clip_datamodule import ClipDataModule
from uss.data.datamodule import ShardDataModule
from uss.data.dataset import Batch
from uss.data.validation_mixtures import ValidationBatch
from uss.models import SeparationModel
from uss.training.clip_checks import check_clips
from uss.training.execution import compile_model, to_channels_last
from uss.training.fresh_runs import begin
from uss.training.objectives import Measuring, Objective, PartOnly, Starting, WaveformL1
from uss.training.parameter_groups import parameter_groups, train_only
from uss.training.query_conditions import (
    learned_queries,
    with_learned_condition,
    with_learned_conditions,
)
from uss.training.schedules import stepped_decay, stepped_warm_up, warm_up_then_cosine
from uss.training.validation import improvements

_ANCHORS_PER_QUERY = 8
"""Enough to see where training goes; the export averages over more."""


class SeparationTask(pl.LightningModule):
    """Trains a separator on mixtures of anchors (Algorithm 2).

    Args:
        model: a ``SeparationModel`` that is also a module.
        objective: maps model and batch to losses; ``loss`` is minimised.
        learning_rate: the optimiser's peak rate.
        weight_decay: the optimiser's.
        warm_up_steps: of the schedule.
        decay: ``cosine`` to zero at the trainer's last step, ``stepped`` to ``decay_factor`` of the
            rate after every ``decay_every_steps`` steps, or ``none``.
        query_net: makes the conditions, if they are to be learned too (section 3.4.4).
        warm_up: ``linear``, or ``stepped``, see ``stepped_warm_up``, which knows no decay.
        amsgrad: let the optimiser keep the largest second moments.
        decay_norms_and_biases: let weight decay draw these to zero as well, as once it did;
            see ``parameter_groups``.
        channels_last: store convolutions' weights so, see ``to_channels_last``.
        compile: compile the model, see ``compile_model``.
        init_from: name or file of weights that a fresh run begins with, as far as they fit, see
            ``start_from``.
        optimiser: ``adamw``; or ``adam``, whose weight decay is part of the gradient (L2).
        decay_every_steps, decay_factor: of the stepped decay.

    Raises:
        ValueError: if options do not go together, or the model is no separator.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        warm_up_steps: int = 100,
        decay: Literal["cosine", "stepped", "none"] = "cosine",
        query_net: QueryNet | None = None,
        decay_norms_and_biases: bool = False,
        warm_up: Literal["linear", "stepped"] = "linear",
        amsgrad: bool = False,
        channels_last: bool = False,
        compile: bool = False,
        init_from: str | None = None,
        optimiser: Literal["adamw", "adam"] = "adamw",
        decay_every_steps: int | None = None,
        decay_factor: float = 0.1,
    ) -> None:
        super().__init__()
        if (decay == "stepped") != (decay_every_steps is not None):
            raise InputError(
                f"decay {decay} with decay_every_steps {decay_every_steps}: a stepped decay needs "
                "them, no other does; set both, or none"
            )
        if warm_up == "stepped" and decay != "none":
            raise InputError(f"a stepped warm-up knows no decay ({decay}); set decay to none")
        if not isinstance(model, SeparationModel):
            raise InputError(f"{type(model).__name__} is no SeparationModel; see uss.models.base")
        self.model: Any = model
        self.objective: Objective = objective or WaveformL1()
        if isinstance(self.objective, PartOnly):
            train_only(model, self.objective.trained(model))
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.warm_up_steps = warm_up_steps
        self.decay = decay
        self.query_net = query_net
        self.decay_norms_and_biases = decay_norms_and_biases
        self.warm_up = warm_up
        self.amsgrad = amsgrad
        if channels_last:
            to_channels_last(model)
        self.is_compiled = compile
        self.init_from = init_from
        self.optimiser = optimiser
        self.decay_every_steps = decay_every_steps
        self.decay_factor = decay_factor

    def on_fit_start(self) -> None:
        """Check that data and model fit, and fix the conditions' scale in a fresh run."""
        data: ShardDataModule | ClipDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(data, ClipDataModule):
            check_clips(self.model, self.objective, self.query_net, data)
        else:
            self._check_shards(data)
        if isinstance(self.objective, Starting):
            self.objective.start(self.device)
        if self.is_compiled:
            compile_model(self.model, self.device)
        # A resumed run has all this from the checkpoint; its step is not restored yet.
        if self.trainer.ckpt_path is None:
            begin(self.model, self.objective, self.query_net, data, self.init_from)

    def _check_shards(self, data: ShardDataModule) -> None:
        """Refuse shards that are not what the model takes."""
        self._check_spaces(data)
        data.check_format(self.model.sample_rate, self.model.segment_seconds)

    def _check_spaces(self, data: ShardDataModule) -> None:
        """Refuse data whose conditions are not what the model, or its query net, takes."""
        wanted, taker = self.model.condition_space, "the model"
        if self.query_net is not None:
            if self.query_net.space != wanted:
                raise InputError(
                    f"the model takes conditions of {wanted!r}, the query net makes "
                    f"{self.query_net.space!r}; set both to one space"
                )
            if data.class_average_probability > 0.0:
                raise InputError(
                    "a query net's class averages are known only when it has been trained; set "
                    "data.class_average_probability to 0"
                )
            wanted, taker = self.query_net.stored_space, "the query net"
        if data.condition_space != wanted:
            raise InputError(
                f"{taker} takes conditions of {wanted!r}, the data gives "
                f"{data.condition_space!r}; set both to one space"
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the loss of one batch."""
        if self.query_net is not None:
            batch = with_learned_condition(self.query_net, batch)
        losses = self.objective(self.model, batch)
        # What is logged is the mean of the processes' shares of the batch.
        self.log_dict(
            {f"train/{name}": value for name, value in losses.items()},
            prog_bar=True,
            batch_size=1,
            sync_dist=True,
        )
        return losses["loss"]

    def on_validation_start(self) -> None:
        """Average what a query net makes of the training anchors now, for the class queries."""
        if self.query_net is None:
            return
        data: ShardDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        queries = learned_queries(
            self.query_net, data.reader, max_per_class=_ANCHORS_PER_QUERY, device=self.device
        )
        averages = torch.zeros(data.reader.settings.num_classes, queries.vectors.shape[1])
        averages[list(queries.class_indexes)] = torch.from_numpy(queries.vectors)
        self.averages = averages.to(self.device)

    def validation_step(self, batch: ValidationBatch, batch_idx: int) -> None:
        """Measure improvements on the fixed mixtures, or the objective's own errors."""
        if self.query_net is not None:
            batch = with_learned_conditions(self.query_net, batch, self.averages)
        if isinstance(self.objective, Measuring):
            size = len(batch.mixture)
            seeds = torch.arange(batch_idx * size, (batch_idx + 1) * size)
            measured = self.objective.measured(self.model, batch, seeds.to(self.device))
        else:
            measured = improvements(self.model, batch)
        figures = {f"validation/{name}": values.nanmean() for name, values in measured.items()}
        self.log_dict(figures, batch_size=len(batch.mixture), rank_zero_only=True)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Group the parameters that are trained, by whether weight decay holds for them."""
        return parameter_groups(
            self, self.weight_decay, decay_norms_and_biases=self.decay_norms_and_biases
        )

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The optimiser with its schedule; only parameters that are trained are given to it."""
        kind = torch.optim.Adam if self.optimiser == "adam" else torch.optim.AdamW
        optimiser = kind(self.parameter_groups(), lr=self.learning_rate, amsgrad=self.amsgrad)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self._rate_factor())
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _rate_factor(self) -> Callable[[int], float]:
        """Choose the schedule."""
        if self.warm_up == "stepped":
            return stepped_warm_up(self.warm_up_steps)
        if self.decay_every_steps is not None:
            return stepped_decay(self.warm_up_steps, self.decay_every_steps, self.decay_factor)
        if self.decay == "cosine" and self.trainer.max_steps < 0:
            raise InputError("a cosine decay needs trainer.max_steps; set it, or decay to none")
        total = self.trainer.max_steps if self.decay == "cosine" else None
        return warm_up_then_cosine(self.warm_up_steps, total)
