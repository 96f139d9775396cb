"""The LightningDataModule: shards in, batches out."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
from torch.utils.data import DataLoader

from uss.conditions.class_queries import SEQUENCE_SPACES, ClassQueries
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.data.active_classes import ActiveClasses, Disjointness
from uss.data.asked_with import AskedWith, asked_space, asked_with, check_text_ratio
from uss.data.augmentation import Variation
from uss.data.batch_loading import (
    BatchNumbers,
    check_accumulation,
    check_workers,
    training_loader,
)
from uss.data.class_rows import purity_weights
from uss.data.dataset import TrainingBatches
from uss.data.interleaving import Batches
from uss.data.joint import JointBatches, JointMixing, make_asker
from uss.data.mixing import Augmentation
from uss.data.sampler import BalancedSampler, MixtureSampler, SameClipSampler
from uss.data.set_checks import check_format, check_own_classes, described
from uss.data.sharing import ALONE, Place
from uss.data.slower_shards import open_shards
from uss.data.validation_mixtures import ValidationBatch, ValidationMixtures
from uss.shards import Rows, Selection, ShardReader, sample

Partners = Literal["other-clips", "same-clip"]
_HEARD = 64
"""Anchors that a scale is fixed by."""


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
        asked = self.asked_with()
        self.conditions, self.texts = asked.conditions, asked.texts
        self.class_queries: ClassQueries | None = asked.queries
        self.training: Batches = (
            _single_batches(self, asked.queries)
            if self.joint is None
            else _joint_batches(self, self.joint)
        )
        self.validation = self.validation_mixtures()

    def asked_with(self) -> AskedWith:
        """Open what the training anchors are asked with."""
        return asked_with(self.reader, self.condition_space, self.text_ratio)

    def validation_conditions(self, reader: ShardReader) -> Rows:
        """Open what validation anchors are asked with: (N, H)."""
        return reader.rows_of(asked_space(self.condition_space, self.text_ratio))

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
        return batch if isinstance(batch, ValidationBatch) else self.training.mix(batch)

    def val_dataloader(self) -> list[DataLoader[ValidationBatch]]:
        """The fixed mixtures, in order; no loader where there are none."""
        if self.validation is None:
            return []
        # Every process measures all of them.
        share = self.place().share(self.batch_size)
        return [DataLoader(self.validation, batch_size=share.stop - share.start)]

    def validation_mixtures(self) -> ValidationMixtures | None:
        """Open the validation shards; None where there are none."""
        if self.validation_shards is None:
            return None
        if self.class_queries is None:
            raise InputError(
                f"validation asks by class, and there are no class queries of "
                f"{self.condition_space!r}; leave out data.validation_shards"
                + ("" if self.condition_space in SEQUENCE_SPACES else ", or set data.shards")
            )
        reader = open_shards(self.validation_shards, self.sample_rate)
        check_own_classes(self.class_queries.own, reader)
        return ValidationMixtures(
            reader,
            self.validation_conditions(reader),
            self.class_queries,
            self.active_classes(reader),
            size=self.num_validation_mixtures,
            seed=self.seed,
        )

    def check_format(self, sample_rate: int, segment_seconds: float) -> None:
        """Refuse anchors that a model of this rate and length cannot take."""
        check_format(self.reader, sample_rate, segment_seconds)

    def sample_conditions(self) -> Float32:
        """Give (N, H) some of the conditions, to fix their scale with."""
        return sample(self.conditions)

    def sample_waveforms(self) -> Float32:
        """Read (N, T) some of the anchors, evenly spread."""
        rows = np.linspace(0, len(self.reader) - 1, _HEARD).round().astype(np.int64)
        return self.reader.waveforms(np.unique(rows))

    def described(self) -> dict[str, Any]:
        """Say what was trained on, for the bundle's provenance."""
        return described(self.reader)

    def place(self) -> Place:
        """Tell which process this is among those that train."""
        return Place(self.trainer.global_rank, self.trainer.world_size) if self.trainer else ALONE

    def active_classes(self, reader: ShardReader) -> ActiveClasses:
        """Tell which anchors may be mixed."""
        active = reader.active_lists(self.tag_threshold)
        return ActiveClasses.of_lists(active, reader.settings.ontology, self.disjoint)


def _single_batches(data: ShardDataModule, queries: ClassQueries | None) -> TrainingBatches:
    return TrainingBatches(
        data.reader,
        data.conditions,
        queries,
        _sampler(data, data.reader),
        class_average_probability=data.class_average_probability,
        mixture_rms=data.mixture_rms,
        augmentation=data.augmentation,
        texts=data.texts,
        text_ratio=data.text_ratio or 0.0,
        place=data.place(),
    )


def _joint_batches(data: ShardDataModule, mixing: JointMixing) -> JointBatches:
    classes = data.active_classes(data.reader)
    return JointBatches(
        data.reader,
        classes,
        make_asker(data.reader, data.conditions, classes, mixing, data.reader.settings.ontology),
        mixing,
        variation=data.variation,
        batch_size=data.batch_size,
        mixture_rms=data.mixture_rms,
        weights=data.weights,
        seed=data.seed,
        place=data.place(),
    )


def _sampler(data: ShardDataModule, reader: ShardReader) -> MixtureSampler:
    if data.partners == "same-clip":
        return SameClipSampler(
            reader.class_index,
            reader.clip_number,
            data.batch_size,
            num_sources=data.num_sources,
            seed=data.seed,
        )
    return BalancedSampler(
        reader.class_index,
        data.active_classes(reader),
        data.batch_size,
        num_sources=data.num_sources,
        weights=data.weights,
        seed=data.seed,
    )


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
