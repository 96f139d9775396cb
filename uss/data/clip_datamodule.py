"""The LightningDataModule of training without labels: clips in, mixtures of mixtures out."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from uss.data.batch_loading import (
    BatchNumbers,
    check_accumulation,
    check_workers,
    training_loader,
)
from uss.data.clip_mixtures import ClipMixtures, ClipParts, ClipSegments
from uss.data.sharing import ALONE, Place


class ClipDataModule(pl.LightningDataModule):
    """Training batches from clips of which nobody knows what they hold.

    Clips are decoded when they are drawn, as a whole: cut long recordings into clips first, or name
    parts of them.

    Args:
        manifest: CSV with ``clip_id,path``, perhaps ``group``, ``split`` and
            ``start_seconds,end_seconds``.
        audio_root: the folder its paths start from.
        split: keep only rows whose column ``split`` says so.
        sample_rate: in Hz; that of the model.
        segment_seconds: length of a mixture; that of the model.
        level_db: see ``ClipMixtures``.
        mixture_rms: see ``ClipMixtures``.
        batch_size: B, mixtures of mixtures per batch; processes share it evenly.
        steps_per_epoch: how many batches count as an epoch.
        seed: of the drawing.
        num_workers: processes that decode clips; 0 decodes in the training process.
        prefetch_factor: how many batches each of them reads ahead; None for 2.
        pin_memory: read into memory that a GPU copies from by itself; None where there is one.
    """

    def __init__(
        self,
        manifest: str,
        audio_root: str,
        split: str | None = None,
        sample_rate: int = 32_000,
        segment_seconds: float = 2.0,
        level_db: float | None = 5.0,
        mixture_rms: float | None = 0.1,
        batch_size: int = 16,
        steps_per_epoch: int = 1000,
        seed: int = 0,
        num_workers: int = 0,
        prefetch_factor: int | None = None,
        pin_memory: bool | None = None,
    ) -> None:
        super().__init__()
        check_workers(num_workers, prefetch_factor)
        self.manifest = manifest
        self.audio_root = audio_root
        self.split = split
        self.sample_rate = sample_rate
        self.segment_seconds = segment_seconds
        self.level_db = level_db
        self.mixture_rms = mixture_rms
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.seed = seed
        self.num_workers = num_workers
        self.prefetch_factor = prefetch_factor
        self.pin_memory = pin_memory

    def setup(self, stage: str) -> None:
        """Read the manifest; which batches are read depends on the process's place."""
        check_accumulation(self.trainer, self.steps_per_epoch)
        trainer = self.trainer
        self.training = ClipMixtures(
            ClipSegments(
                self.manifest,
                self.audio_root,
                split=self.split,
                sample_rate=self.sample_rate,
                segment_samples=round(self.segment_seconds * self.sample_rate),
            ),
            level_db=self.level_db,
            batch_size=self.batch_size,
            mixture_rms=self.mixture_rms,
            seed=self.seed,
            place=Place(trainer.global_rank, trainer.world_size) if trainer else ALONE,
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
        """Mix what was read, on the device."""
        return self.training.mix(batch) if isinstance(batch, ClipParts) else batch

    def described(self) -> dict[str, Any]:
        """Say what was trained on, for the bundle's provenance."""
        return {"clips": len(self.training.segments.clips)}
