"""The LightningDataModule: shards in, batches out."""

from __future__ import annotations

from typing import Any, Literal

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from uss.core.errors import InputError
from uss.data.active_classes import ActiveClasses, Disjointness
from uss.data.asked_with import asked_space, asked_with, check_text_ratio
from uss.data.augmentation import Variation
from uss.data.batch_loading import (
    BatchNumbers,
    check_accumulation,
    check_workers,
    training_loader,
)
from uss.data.class_rows import purity_weights
from uss.data.dataset import Sources, TrainingBatches, ValidationBatch, ValidationMixtures
from uss.data.joint import JointBatches, JointMixing, JointSources, make_asker
from uss.data.mixing import Augmentation
from uss.data.sampler import BalancedSampler, MixtureSampler, SameClipSampler
from uss.data.sharing import ALONE, Place
from uss.data.slower_shards import open_shards
from uss.shards import Selection, ShardReader

Partners = Literal["other-clips", "same-clip"]


class ShardDataModule(pl.LightningDataModule):
    """Training batches and fixed validation mixtures from shards.

    Args:
        shards: folder of the training shards, or any URL that fsspec knows.
        validation_shards: those of the validation shards; None trains without validation.
        condition_space: which of the shards' conditions to use.
        text_ratio: how often a batch is asked with what captions say, see ``uss.data.asked_with``;
            needs shards with both (``--encoder clap:FILE``). None where there is no text beside.
        sample_rate: what waveforms are brought to, a whole fraction of theirs; None for that.
        batch_size: B, mixtures per batch; where several processes train, they share it evenly, and
            train on the mixtures that one process would.
        steps_per_epoch: how many batches count as an epoch.
        seed: of the sampling.
        num_sources: J, how many anchors a training mixture holds; 1 to J - 1 of them are its
            target, see ``TrainingBatches``. Validation mixtures hold two.
        augmentation: how their levels are set, see ``mix_sources``.
        partners: mix anchors of other clips, see ``BalancedSampler``, or of the same clip, see
            ``SameClipSampler``, which needs shards with J anchors per clip and class.
        disjoint: which anchors of other clips may be mixed, see ``ActiveClasses``.
        tag_threshold: above it a tag counts as active.
        class_average_probability: see ``TrainingBatches``.
        mixture_rms: see ``TrainingBatches``.
        min_purity, keep_top: which training anchors are used, see ``uss.shards.selection``; None
            leaves it to what the shards' index says.
        purity_weight: anchors of a class are drawn as often as this power of their purity says; 0
            draws all alike.
        num_validation_mixtures: how many.
        num_workers: processes that read batches; 0 reads them in the training process.
        prefetch_factor: how many batches each of them reads ahead; None for 2.
        pin_memory: read into memory that a GPU copies from by itself; None where there is one.
        joint: mix 1 to 4 sources and ask for them together, see ``JointMixing``, instead of for one
            target; ``num_sources``, ``augmentation``, ``partners`` and
            ``class_average_probability`` are then not used.
        variation: vary every source of joint mixtures.
    """

    def __init__(
        self,
        shards: str,
        condition_space: str,
        validation_shards: str | None = None,
        batch_size: int = 16,
        steps_per_epoch: int = 1000,
        seed: int = 0,
        num_sources: int = 2,
        augmentation: Augmentation = "match-energy",
        partners: Partners = "other-clips",
        disjoint: Disjointness = "specific",
        tag_threshold: float = 0.5,
        class_average_probability: float = 0.0,
        mixture_rms: float | None = 0.1,
        num_validation_mixtures: int = 200,
        num_workers: int = 0,
        joint: JointMixing | None = None,
        variation: Variation | None = None,
        text_ratio: float | None = None,
        sample_rate: int | None = None,
        prefetch_factor: int | None = None,
        pin_memory: bool | None = None,
        min_purity: float | None = None,
        keep_top: int | None = None,
        purity_weight: float = 0.0,
    ) -> None:
        super().__init__()
        check_workers(num_workers, prefetch_factor)
        check_text_ratio(text_ratio, joint is not None)
        _check_together(joint, variation, partners, purity_weight)
        if not 0.0 <= class_average_probability <= 1.0:
            raise InputError(
                f"class_average_probability {class_average_probability} is not in [0, 1]"
            )
        self.shards = shards
        self.validation_shards = validation_shards
        self.condition_space = condition_space
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.seed = seed
        self.num_sources = num_sources
        self.augmentation: Augmentation = augmentation
        self.partners: Partners = partners
        self.disjoint: Disjointness = disjoint
        self.tag_threshold = tag_threshold
        self.class_average_probability = class_average_probability
        self.mixture_rms = mixture_rms
        self.num_validation_mixtures = num_validation_mixtures
        self.num_workers = num_workers
        self.joint = joint
        self.variation = variation
        self.text_ratio = text_ratio
        self.sample_rate = sample_rate
        self.prefetch_factor = prefetch_factor
        self.pin_memory = pin_memory
        self.selection = _selection(min_purity, keep_top)
        self.purity_weight = purity_weight

    def setup(self, stage: str) -> None:
        """Open the shards; which batches are read depends on the process's place."""
        check_accumulation(self.trainer, self.steps_per_epoch)
        self.reader = open_shards(self.shards, self.sample_rate, self.selection)
        self.weights = purity_weights(self.reader.purity, self.purity_weight)
        self.conditions, self.texts, self.class_queries = asked_with(
            self.reader, self.condition_space, self.text_ratio
        )
        self.training = (
            self._single_batches() if self.joint is None else self._joint_batches(self.joint)
        )
        self.validation: ValidationMixtures | None = None
        if self.validation_shards is not None:
            reader = open_shards(self.validation_shards, self.sample_rate)
            _check_own_classes(self.reader, reader)
            self.validation = ValidationMixtures(
                reader,
                reader.rows_of(asked_space(self.condition_space, self.text_ratio)),
                self.class_queries,
                self._active_classes(reader),
                size=self.num_validation_mixtures,
                seed=self.seed,
            )

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches from the trainer's current step to the end of its epoch."""
        return training_loader(
            self.training,
            BatchNumbers(self.trainer, self.steps_per_epoch),
            num_workers=self.num_workers,
            prefetch_factor=self.prefetch_factor,
            pin_memory=self.pin_memory,
        )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Mix what was read, on the device; validation mixtures come mixed."""
        if isinstance(batch, Sources | JointSources):
            return self.training.mix(batch)  # type: ignore[arg-type]
        return batch

    def val_dataloader(self) -> list[DataLoader[ValidationBatch]]:
        """The fixed mixtures, in order; no loader where there are none."""
        if self.validation is None:
            return []
        # Every process measures all of them.
        share = self._place().share(self.batch_size)
        return [DataLoader(self.validation, batch_size=share.stop - share.start)]

    def _single_batches(self) -> TrainingBatches:
        return TrainingBatches(
            self.reader,
            self.conditions,
            self.class_queries,
            self._sampler(self.reader),
            class_average_probability=self.class_average_probability,
            mixture_rms=self.mixture_rms,
            augmentation=self.augmentation,
            texts=self.texts,
            text_ratio=self.text_ratio or 0.0,
            place=self._place(),
        )

    def _joint_batches(self, mixing: JointMixing) -> JointBatches:
        classes = self._active_classes(self.reader)
        return JointBatches(
            self.reader,
            classes,
            make_asker(
                self.reader, self.conditions, classes, mixing, self.reader.settings.ontology
            ),
            mixing,
            variation=self.variation,
            batch_size=self.batch_size,
            mixture_rms=self.mixture_rms,
            weights=self.weights,
            seed=self.seed,
            place=self._place(),
        )

    def _place(self) -> Place:
        return Place(self.trainer.global_rank, self.trainer.world_size) if self.trainer else ALONE

    def _sampler(self, reader: ShardReader) -> MixtureSampler:
        if self.partners == "same-clip":
            return SameClipSampler(
                reader.class_index,
                reader.clip_number,
                self.batch_size,
                num_sources=self.num_sources,
                seed=self.seed,
            )
        return BalancedSampler(
            reader.class_index,
            self._active_classes(reader),
            self.batch_size,
            num_sources=self.num_sources,
            weights=self.weights,
            seed=self.seed,
        )

    def _active_classes(self, reader: ShardReader) -> ActiveClasses:
        active = reader.active_lists(self.tag_threshold)
        return ActiveClasses.of_lists(active, reader.settings.ontology, self.disjoint)


def _check_together(
    joint: JointMixing | None, variation: Variation | None, partners: Partners, purity_weight: float
) -> None:
    """Refuse what mixtures with a single target do not know."""
    if joint is not None:
        return
    if variation is not None:
        raise InputError("only joint mixtures are varied; set data.joint as well")
    if purity_weight and partners == "same-clip":
        raise InputError("anchors of one clip are drawn alike; leave out data.purity_weight")


def _selection(min_purity: float | None, keep_top: int | None) -> Selection | None:
    """Choose anchors; None leaves it to the index."""
    if min_purity is None and keep_top is None:
        return None
    return Selection(min_purity or 0.0, keep_top)


def _check_own_classes(training: ShardReader, validation: ShardReader) -> None:
    """Refuse shards in which the same index is another class."""
    if validation.settings.own_classes != training.settings.own_classes:
        raise InputError(
            f"{validation.place} was mined with other classes of your own than {training.place}; "
            "mine both with the same --own-classes"
        )
