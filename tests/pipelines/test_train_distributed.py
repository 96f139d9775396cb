"""Two processes on one CPU, started by the command itself."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ontology import load_ontology
from uss.checkpoints.bundle import load_bundle
from uss.data.active_classes import ActiveClasses
from uss.data.class_averages import class_queries
from uss.data.dataset import Batch, TrainingBatches
from uss.data.sampler import BalancedSampler
from uss.shards import ShardReader

# In each process: every batch, the weights it begins with and those at the end, every export. The
# norms' statistics are those of the first process, which the others take over with the next batch.
RECORDER = """
import os
from pathlib import Path

import pytorch_lightning as pl
import torch

import uss.training.export

FOLDER = Path(os.environ["RECORDS"])
save_bundle = uss.training.export.save_bundle

def record_export(path, *arguments, **options):
    with (FOLDER / "exports").open("a") as file:
        print(os.environ.get("LOCAL_RANK", "0"), file=file)
    save_bundle(path, *arguments, **options)

uss.training.export.save_bundle = record_export

class Recorder(pl.Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.save(trainer, pl_module, tuple(batch))

    def on_train_end(self, trainer, pl_module):
        self.save(trainer, pl_module, ())

    def save(self, trainer, pl_module, batch):
        name = f"rank{trainer.global_rank}-step{trainer.global_step}"
        if not batch:
            name += "-end"
        weights = {name: value.detach() for name, value in pl_module.model.named_parameters()}
        torch.save({"batch": batch, "weights": weights}, FOLDER / f"{name}.pt")
"""


def expected_batches(shards: Path, space: str, rank: int) -> TrainingBatches:
    """What the recipe's data say that a process draws."""
    reader = ShardReader(shards)
    classes = ActiveClasses.of(
        reader.labels, reader.tag_probabilities, 0.5, load_ontology(), "specific"
    )
    sampler = BalancedSampler(reader.class_index, classes, 4, seed=0, rank=rank, world_size=2)
    return TrainingBatches(
        reader,
        reader.conditions(space),
        class_queries(reader, space),
        sampler,
        class_average_probability=0.3,
        mixture_rms=0.1,
    )


@pytest.mark.slow
def test_two_processes_draw_their_own_batches_and_keep_the_same_weights(
    tmp_path: Path, training_files: Any, command_environment: dict[str, str]
) -> None:
    (tmp_path / "recording.py").write_text(RECORDER)
    records = tmp_path / "records"
    records.mkdir()
    path = os.pathsep.join([str(tmp_path), command_environment["PYTHONPATH"]])
    environment = {**command_environment, "PYTHONPATH": path, "RECORDS": str(records)}
    environment |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    root = tmp_path / "run"

    def run(steps: int, *options: str) -> None:
        command = [sys.executable, "-m", "pipelines.train", "--config", str(training_files.recipe)]
        command += ["--trainer.default_root_dir", str(root), "--trainer.max_steps", str(steps)]
        command += ["--trainer.accelerator", "cpu", "--trainer.devices", "2"]
        command += ["--trainer.strategy", "ddp", "--trainer.callbacks+=recording.Recorder"]
        command += ["--trainer.val_check_interval", "2", "--model.decay", "none", *options]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert "sync_dist" not in done.stderr

    def recorded(rank: int, name: str) -> dict[str, Any]:
        content: dict[str, Any] = torch.load(records / f"rank{rank}-{name}.pt", weights_only=True)
        return content

    def assert_one_export(steps: int) -> None:
        # By the first process alone, of the weights that both have.
        assert (records / "exports").read_text().split() == ["0"] * (1 if steps == 2 else 2)
        bundle = load_bundle(root / "bundle.safetensors")
        assert bundle.separator is not None and bundle.provenance["steps"] == steps
        for rank in range(2):
            weights = dict(bundle.separator.named_parameters())
            assert_equal(recorded(rank, f"step{steps}-end")["weights"], weights)

    run(2)
    assert_one_export(2)
    run(4, "--ckpt_path", "last", "--data.validation_shards", "null")
    assert_one_export(4)

    expected = [
        expected_batches(training_files.shards, training_files.space, rank) for rank in range(2)
    ]
    for step in range(4):
        for rank in range(2):
            given = Batch(*recorded(rank, f"step{step}")["batch"])
            for ours, theirs in zip(expected[rank][step], given, strict=True):
                assert torch.equal(ours, theirs), (rank, step)
        first, second = (recorded(rank, f"step{step}") for rank in range(2))
        assert not torch.equal(first["batch"][0], second["batch"][0])
        assert_equal(first["weights"], second["weights"])
    # The second run began with the weights that the first one ended with.
    assert_equal(recorded(1, "step2")["weights"], recorded(0, "step2-end")["weights"])
    assert not list(root.rglob("*.part"))


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
