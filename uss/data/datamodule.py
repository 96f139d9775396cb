"""The LightningDataModule: shards in, batches out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytorch_lightning as pl
from torch.utils.data import DataLoader, Sampler

from ontology import load_ontology
from uss.data.dataset import Batch, TrainingBatches, ValidationBatch, ValidationMixtures
from uss.data.sampler import ActiveClasses, BalancedSampler, Disjointness
from uss.queries import ClassQueries, average_by_class
from uss.shards import ShardReader


class ShardDataModule(pl.LightningDataModule):
    """Training batches and fixed validation mixtures from shards.

    Args:
        shards: folder of the training shards.
        validation_shards: folder of the validation shards; None trains without validation.
        condition_space: which of the shards' conditions to use.
        batch_size: B, mixtures per step and process.
        steps_per_epoch: how many steps count as an epoch.
        seed: of the sampling.
        disjoint: which anchors may be mixed, see ``ActiveClasses``.
        tag_threshold: above it a tag counts as active.
        class_average_probability: see ``TrainingBatches``.
        mixture_rms: see ``TrainingBatches``.
        num_validation_mixtures: how many.
        num_workers: processes that prepare batches; 0 prepares them in the training process.
    """

    def __init__(
        self,
        shards: str,
        condition_space: str,
        validation_shards: str | None = None,
        batch_size: int = 16,
        steps_per_epoch: int = 1000,
        seed: int = 0,
        disjoint: Disjointness = "specific",
        tag_threshold: float = 0.5,
        class_average_probability: float = 0.0,
        mixture_rms: float | None = 0.1,
        num_validation_mixtures: int = 200,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if not 0.0 <= class_average_probability <= 1.0:
            raise ValueError(
                f"class_average_probability {class_average_probability} is not in [0, 1]"
            )
        self.shards = shards
        self.validation_shards = validation_shards
        self.condition_space = condition_space
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.seed = seed
        self.disjoint: Disjointness = disjoint
        self.tag_threshold = tag_threshold
        self.class_average_probability = class_average_probability
        self.mixture_rms = mixture_rms
        self.num_validation_mixtures = num_validation_mixtures
        self.num_workers = num_workers

    def setup(self, stage: str) -> None:
        """Open the shards; the sampler needs the process's rank, so it is made here."""
        self.reader = ShardReader(self.shards)
        self.conditions = self.reader.conditions(self.condition_space)
        self.queries = class_queries(self.reader, self.condition_space)
        sampler = BalancedSampler(
            self.reader.class_index,
            self._active_classes(self.reader),
            self.batch_size,
            seed=self.seed,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=self.trainer.world_size if self.trainer else 1,
        )
        self.training = TrainingBatches(
            self.reader,
            self.conditions,
            self.queries,
            sampler,
            class_average_probability=self.class_average_probability,
            mixture_rms=self.mixture_rms,
        )
        self.validation: ValidationMixtures | None = None
        if self.validation_shards is not None:
            reader = ShardReader(self.validation_shards)
            self.validation = ValidationMixtures(
                reader,
                reader.conditions(self.condition_space),
                self.queries,
                self._active_classes(reader),
                size=self.num_validation_mixtures,
                seed=self.seed,
            )

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches from the trainer's current step to the end of its epoch."""
        return DataLoader(
            self.training,
            batch_size=None,
            sampler=_StepSampler(self),
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
        )

    def val_dataloader(self) -> list[DataLoader[ValidationBatch]]:
        """The fixed mixtures, in order; no loader where there are none."""
        if self.validation is None:
            return []
        return [DataLoader(self.validation, batch_size=self.batch_size)]

    def current_batch(self) -> int:
        """The number of the next batch; all that resuming needs."""
        if self.trainer is None:
            return 0
        return self.trainer.global_step * self.trainer.accumulate_grad_batches

    def _active_classes(self, reader: ShardReader) -> ActiveClasses:
        return ActiveClasses.of(
            reader.labels,
            reader.tag_probabilities,
            self.tag_threshold,
            load_ontology(),
            self.disjoint,
        )


def class_queries(reader: ShardReader, space: str) -> ClassQueries:
    """Average the conditions of all anchors with a class's label (eq. 9)."""
    labels = [np.flatnonzero(row).tolist() for row in reader.labels]
    return average_by_class(space, reader.conditions(space), labels)


class _StepSampler(Sampler[int]):
    """Numbers of the batches that are left of the epoch."""

    def __init__(self, data: ShardDataModule) -> None:
        self.data = data

    def __len__(self) -> int:
        return self.data.steps_per_epoch

    def __iter__(self) -> Iterator[int]:
        first = self.data.current_batch()
        epoch = self.data.steps_per_epoch
        return iter(range(first, (first // epoch + 1) * epoch))
