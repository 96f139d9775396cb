"""Which batches come next, and the processes that read them ahead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import GradientAccumulationScheduler
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from uss.core.errors import InputError
from uss.data.interleaving import Batches


class BatchNumbers(Sampler[int]):
    """Numbers of the batches that are left of the epoch, by the trainer's step.

    The step is all that resuming needs.

    Args:
        trainer: None begins with batch 0.
        steps_per_epoch: how many batches count as an epoch.
    """

    def __init__(self, trainer: pl.Trainer | None, steps_per_epoch: int) -> None:
        self.trainer = trainer
        self.steps_per_epoch = steps_per_epoch

    def __len__(self) -> int:
        return self.steps_per_epoch

    def __iter__(self) -> Iterator[int]:
        first = 0
        if self.trainer is not None:
            first = self.trainer.global_step * self.trainer.accumulate_grad_batches
        epoch = self.steps_per_epoch
        return iter(range(first, (first // epoch + 1) * epoch))


def training_loader(
    batches: Batches,
    numbers: BatchNumbers,
    *,
    num_workers: int,
    prefetch_factor: int | None,
    pin_memory: bool | None,
) -> DataLoader[Any]:
    """Load batches that are still to be mixed; workers read rows from the shards themselves.

    Args:
        batches: of the training.
        numbers: which of them, in order.
        num_workers: processes that read; 0 reads in this one.
        prefetch_factor: how many batches each of them reads ahead; None for 2.
        pin_memory: put what is read into memory that a GPU copies from by itself; None does so
            where the trainer has one.
    """
    if pin_memory is None:
        trainer = numbers.trainer
        pin_memory = trainer is not None and trainer.strategy.root_device.type == "cuda"
    return DataLoader(
        _Reading(batches),
        batch_size=None,
        sampler=numbers,
        num_workers=num_workers,
        prefetch_factor=prefetch_factor,
        persistent_workers=num_workers > 0,
        pin_memory=pin_memory,
        worker_init_fn=_forget_files,
    )


def check_workers(num_workers: int, prefetch_factor: int | None) -> None:
    """Refuse numbers of workers that make no sense.

    Raises:
        ValueError: naming both.
    """
    if num_workers < 0:
        raise InputError(f"num_workers {num_workers} must be at least 0")
    if prefetch_factor is not None and (num_workers == 0 or prefetch_factor < 1):
        raise InputError(
            f"prefetch_factor {prefetch_factor} with num_workers {num_workers}: workers read "
            "ahead, at least one batch each; set num_workers to 1 or more, or leave it out"
        )


def check_accumulation(trainer: pl.Trainer | None, steps_per_epoch: int) -> None:
    """Refuse an accumulation of gradients with which steps do not tell the number of batches.

    Raises:
        ValueError: if it changes in the course of training, or an epoch ends within a step.
    """
    if trainer is None:
        return
    if any(isinstance(each, GradientAccumulationScheduler) for each in trainer.callbacks):  # type: ignore[attr-defined]
        raise InputError(
            "a GradientAccumulationScheduler changes how many batches a step takes, but their "
            "number tells which come next; set trainer.accumulate_grad_batches instead"
        )
    batches = trainer.accumulate_grad_batches
    if steps_per_epoch % batches:
        raise InputError(
            f"an epoch of {steps_per_epoch} batches ends within a step of {batches}; set "
            "data.steps_per_epoch to a multiple of trainer.accumulate_grad_batches"
        )


class _Reading(Dataset[Any]):
    """Item n is batch n before it is mixed."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __getitem__(self, n: int) -> Any:
        return self.batches.read(n)


def _forget_files(worker: int) -> None:
    """Let a worker open its own files; HDF5's handles do not survive a change of process."""
    info = get_worker_info()
    assert info is not None and isinstance(info.dataset, _Reading)
    info.dataset.batches.close()
