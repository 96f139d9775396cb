"""Which batches come next, and what workers read of them."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import GradientAccumulationScheduler

from ontology import Ontology
from uss.core.errors import InputError, one_line
from uss.data.batch_loading import BatchNumbers, check_accumulation, training_loader
from uss.data.datamodule import ShardDataModule
from uss.data.dataset import Sources
from uss.shards import Anchor, ShardSettings, shard_path, write_shard

MakeAnchor = Callable[..., Anchor]


@pytest.fixture
def shards(
    tmp_path: Path, ontology: Ontology, make_anchor: MakeAnchor, shard_settings: ShardSettings
) -> Path:
    rng = np.random.default_rng(0)
    anchors = [
        make_anchor(
            ontology.find(name).class_index,
            waveform=rng.uniform(-0.5, 0.5, 100).astype(np.float32),
        )
        for name in ("Dog", "Speech", "Rain", "Siren")
    ]
    write_shard(shard_path(tmp_path, 0, 4), anchors, [], shard_settings)
    return tmp_path


@pytest.mark.parametrize(
    ("step", "accumulated", "expected"),
    [(0, 1, [0, 1, 2, 3, 4, 5]), (4, 1, [4, 5]), (6, 1, [6, 7, 8, 9, 10, 11]), (2, 2, [4, 5])],
)
def test_the_trainers_step_tells_what_is_left_of_the_epoch(
    step: int, accumulated: int, expected: list[int]
) -> None:
    trainer: Any = SimpleNamespace(global_step=step, accumulate_grad_batches=accumulated)
    numbers = BatchNumbers(trainer, 6)
    assert list(numbers) == expected
    assert len(numbers) == 6


@pytest.mark.parametrize("num_workers", [0, 2])
def test_workers_read_and_the_data_module_mixes(shards: Path, num_workers: int) -> None:
    data = ShardDataModule(
        str(shards),
        "fake-2",
        batch_size=4,
        steps_per_epoch=3,
        num_workers=num_workers,
        prefetch_factor=3 if num_workers else None,
        num_sources=3,
    )
    data.setup("fit")
    # A worker that took over an open file of this process would share its place in it.
    data.reader.waveform(0)
    loader = data.train_dataloader()
    assert loader.prefetch_factor == (3 if num_workers else None)
    assert not loader.pin_memory
    loaded = list(loader)
    assert len(loaded) == 3
    for n, read in enumerate(loaded):
        assert isinstance(read, Sources)
        mixed = data.on_after_batch_transfer(read, 0)
        for ours, expected in zip(mixed, data.training[n], strict=True):
            assert torch.equal(ours, expected)


def test_memory_is_pinned_where_it_is_asked_for(shards: Path) -> None:
    data = ShardDataModule(str(shards), "fake-2", batch_size=4, pin_memory=True)
    data.setup("fit")
    assert data.train_dataloader().pin_memory


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_what_is_pinned_is_mixed_on_the_gpu(shards: Path) -> None:
    data = ShardDataModule(str(shards), "fake-2", batch_size=4, steps_per_epoch=2, pin_memory=True)
    data.setup("fit")
    for n, read in enumerate(data.train_dataloader()):
        assert read.anchors.is_pinned()
        there = data.transfer_batch_to_device(read, torch.device("cuda"), 0)
        mixed = data.on_after_batch_transfer(there, 0)
        assert mixed.mixture.is_cuda
        for ours, expected in zip(mixed, data.training[n], strict=True):
            torch.testing.assert_close(ours.cpu(), expected)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"prefetch_factor": 2}, "set num_workers to 1 or more"),
        ({"num_workers": 2, "prefetch_factor": 0}, "at least one batch each"),
        ({"num_workers": -1}, "num_workers -1 must be at least 0"),
    ],
)
def test_workers_that_make_no_sense_are_refused(options: dict[str, Any], remedy: str) -> None:
    with pytest.raises(InputError, match=remedy):
        ShardDataModule("nowhere", "fake-2", **options)


class Broken:
    """Batches that cannot be read."""

    def read(self, n: int) -> Any:
        raise InputError(f"batch {n}: no file\ncan be read; check: them")

    def mix(self, read: Any) -> Any:
        return read

    def close(self) -> None: ...


@pytest.mark.parametrize("num_workers", [0, 1])
def test_what_workers_refuse_is_one_line_as_well(num_workers: int) -> None:
    loader = training_loader(
        Broken(),
        BatchNumbers(None, 2),
        num_workers=num_workers,
        prefetch_factor=None,
        pin_memory=False,
    )
    with pytest.raises(InputError) as raised:
        next(iter(loader))
    assert one_line(raised.value) == "batch 0: no file can be read; check: them"


def trainer(**options: Any) -> pl.Trainer:
    return pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, **options)


def test_an_epoch_that_ends_within_a_step_is_refused() -> None:
    check_accumulation(trainer(accumulate_grad_batches=3), 6)
    with pytest.raises(InputError, match=r"7 batches ends within a step of 3; set .*steps_per_epo"):
        check_accumulation(trainer(accumulate_grad_batches=3), 7)


def test_an_accumulation_that_changes_is_refused() -> None:
    changing = trainer(callbacks=[GradientAccumulationScheduler({2: 4})])
    with pytest.raises(InputError, match=r"set trainer\.accumulate_grad_batches instead"):
        check_accumulation(changing, 8)
