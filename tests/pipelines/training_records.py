"""A callback for runs in processes of their own: what each of them trained on, and its weights."""

import os
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


class Recorder(pl.Callback):
    """Saves every batch with its loss, gradients and weights into the folder ``RECORDS``.

    Args:
        freeze_norms: keep batch norms in evaluation mode, so that no mixture knows of the others.
    """

    def __init__(self, freeze_norms: bool = False) -> None:
        self.freeze_norms = freeze_norms
        self.record: dict[str, Any] = {}

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        for module in pl_module.modules():
            if self.freeze_norms and isinstance(module, _NORMS):
                module.eval()
        self.record = {"batch": tuple(batch), "weights": _weights(pl_module)}

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Any
    ) -> None:
        self.record["gradients"] = {
            name: parameter.grad.clone()
            for name, parameter in pl_module.named_parameters()
            if parameter.grad is not None
        }

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self.record["loss"] = trainer.callback_metrics["train/loss"].clone()
        _save(self.record, trainer, f"step{trainer.global_step - 1}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        _save({"weights": _weights(pl_module)}, trainer, f"step{trainer.global_step}-end")


def _weights(pl_module: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in pl_module.model.named_parameters()}


def _save(record: dict[str, Any], trainer: pl.Trainer, name: str) -> None:
    torch.save(record, Path(os.environ["RECORDS"]) / f"rank{trainer.global_rank}-{name}.pt")
