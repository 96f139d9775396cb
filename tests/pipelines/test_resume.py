import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from uss.checkpoints.bundle import load_bundle

Train = Callable[..., int]


def checkpoint(root: Path, name: str = "last") -> dict[str, Any]:
    path = root / "checkpoints" / f"{name}.ckpt"
    loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return loaded


def assert_equal_states(first: Any, second: Any, path: str = "") -> None:
    """Compare nested checkpoints entry by entry, tensors exactly."""
    assert type(first) is type(second), path
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second), path
    elif isinstance(first, dict):
        assert first.keys() == second.keys(), path
        for key in first:
            assert_equal_states(first[key], second[key], f"{path}/{key}")
    elif isinstance(first, list | tuple):
        assert len(first) == len(second), path
        for number, pair in enumerate(zip(first, second, strict=True)):
            assert_equal_states(*pair, f"{path}/{number}")
    else:
        assert first == second, path


def assert_equal_runs(first: Path, second: Path) -> None:
    ours, theirs = checkpoint(first), checkpoint(second)
    parts = ["global_step", "epoch", "state_dict", "optimizer_states", "lr_schedulers"]
    # With averaged weights these are the state, and the others lie beside them.
    parts += [part for part in ("current_model_state", "averaging_state") if part in theirs]
    for part in parts:
        assert_equal_states(ours[part], theirs[part], part)
    separators = [load_bundle(root / "bundle.safetensors").separator for root in (first, second)]
    assert separators[0] is not None and separators[1] is not None
    assert_equal_states(dict(separators[0].state_dict()), dict(separators[1].state_dict()))


EMA = ("--trainer.callbacks+=pytorch_lightning.callbacks.EMAWeightAveraging",)
EVERYTHING = (
    *(*EMA, "--trainer.callbacks.decay", "0.7"),
    *("--trainer.accumulate_grad_batches", "2", "--model.channels_last", "true"),
)


@pytest.mark.parametrize(
    ("steps_per_epoch", "first_steps"),
    [
        pytest.param(1000, 5, id="within the first epoch"),
        pytest.param(3, 5, id="within the second epoch"),
        pytest.param(3, 6, id="between epochs"),
        pytest.param(1, 5, id="epochs of one step"),
    ],
)
@pytest.mark.parametrize("more", [(), EVERYTHING], ids=["plain", "everything"])
def test_a_resumed_run_equals_one_without_a_break(
    train: Train, tmp_path: Path, steps_per_epoch: int, first_steps: int, more: tuple[str, ...]
) -> None:
    batches = 2 * steps_per_epoch if more else steps_per_epoch
    options = ["--data.steps_per_epoch", str(batches), "--model.decay", "none", *more]
    options += ["--checkpoint.every_n_train_steps", "1", "--trainer.val_check_interval", "null"]
    options += ["--trainer.check_val_every_n_epoch", "1"]
    options += ["--trainer.max_steps", "8", "--checkpoint.save_top_k", "-1"]
    assert train(*options, root="whole") == 0
    broken_off = tmp_path / "whole" / "checkpoints" / f"step{first_steps}.ckpt"
    assert train(*options, "--ckpt_path", broken_off, root="parts") == 0
    assert checkpoint(tmp_path / "parts")["global_step"] == 8
    assert_equal_runs(tmp_path / "whole", tmp_path / "parts")


def test_resuming_from_a_file_goes_on_at_its_step(train: Train, tmp_path: Path) -> None:
    options = ("--trainer.max_steps", "6", "--checkpoint.save_top_k", "-1", "--model.decay", "none")
    assert train(*options, root="whole") == 0
    saved = tmp_path / "whole" / "checkpoints" / "step4.ckpt"
    assert train(*options, "--ckpt_path", saved, root="again") == 0
    events = EventAccumulator(str(tmp_path / "again" / "lightning_logs" / "version_0"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [4, 5]
    assert_equal_runs(tmp_path / "whole", tmp_path / "again")


def test_last_without_a_checkpoint_starts_from_the_beginning(train: Train, tmp_path: Path) -> None:
    assert train("--ckpt_path", "last") == 0
    assert checkpoint(tmp_path / "run")["global_step"] == 4


def test_resuming_on_other_shards_keeps_the_scale_of_the_conditions(
    train: Train, tmp_path: Path, training_files: Any
) -> None:
    assert train("--model.decay", "none") == 0
    before = checkpoint(tmp_path / "run")["state_dict"]
    other = tmp_path / "other"
    shutil.copytree(training_files.shards, other)
    (path,) = other.glob("*.h5")
    with h5py.File(path, "r+") as file:
        stored = file[f"conditions/{training_files.space}"]
        stored[...] = 2.0 * stored[...] + 1.0
    options = ("--model.decay", "none", "--trainer.max_steps", "6", "--data.shards", other)
    assert train(*options, "--ckpt_path", "last") == 0
    after = checkpoint(tmp_path / "run")["state_dict"]
    assert not torch.equal(after["model.after_conv.weight"], before["model.after_conv.weight"])
    for name in ("model.condition_mean", "model.condition_scale"):
        assert torch.equal(after[name], before[name]), name


@pytest.mark.parametrize("named", ["last", "step2.ckpt"])
def test_last_is_the_newest_checkpoint_of_the_folder(
    train: Train, tmp_path: Path, named: str
) -> None:
    """A run that began anew, or elsewhere than with last.ckpt, leaves that as it is."""
    options = ("--checkpoint.save_top_k", "-1", "--model.decay", "none")
    assert train(*options) == 0
    folder = tmp_path / "run" / "checkpoints"
    if named == "last":
        more = ("--trainer.max_steps", "6")
    else:
        more = ("--trainer.max_steps", "6", "--ckpt_path", str(folder / named))
    assert train(*options, *more) == 0
    assert checkpoint(tmp_path / "run", "last-v1")["global_step"] == 6
    assert train(*options, "--trainer.max_steps", "8", "--ckpt_path", "last") == 0
    assert checkpoint(tmp_path / "run", "last-v1")["global_step"] == 8
    assert checkpoint(tmp_path / "run")["global_step"] == 4


def test_the_bundle_holds_averaged_weights(train: Train, tmp_path: Path) -> None:
    assert train(*EMA, "--trainer.callbacks.decay", "0.5", "--data.num_workers", "1") == 0
    saved = checkpoint(tmp_path / "run")
    separator = load_bundle(tmp_path / "run" / "bundle.safetensors").separator
    assert separator is not None
    name = "after_conv.weight"
    exported = separator.state_dict()[name]
    assert torch.equal(exported, saved["state_dict"][f"model.{name}"])
    assert not torch.equal(exported, saved["current_model_state"][f"model.{name}"])


STEPS_PER_KILL = 36
"""More than a run makes between its first checkpoint and its end."""


def kill_at_random(
    command: Sequence[str | Path], root: Path, env: dict[str, str], rng: np.random.Generator
) -> None:
    """Start a run and SIGKILL it somewhere in its training, while it saves or between."""
    last = root / "checkpoints" / "last.ckpt"
    before = last.stat().st_mtime_ns if last.exists() else 0
    with subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 300.0
        while process.poll() is None and not (last.exists() and last.stat().st_mtime_ns > before):
            assert time.monotonic() < deadline, "no checkpoint appeared"
            time.sleep(0.001)
        time.sleep(rng.uniform(0.0, 0.3))
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL, "the run ended before it could be killed"


@pytest.mark.slow
@pytest.mark.parametrize("num_kills", [2, pytest.param(5, marks=pytest.mark.long)])
def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(
    train: Train,
    tmp_path: Path,
    training_files: Any,
    command_environment: dict[str, str],
    num_kills: int,
) -> None:
    """Weights, their averages, the optimiser's state and the bundle."""
    num_steps = num_kills * STEPS_PER_KILL
    options = ["--trainer.max_steps", str(num_steps), "--checkpoint.every_n_train_steps", "2"]
    options += ["--data.steps_per_epoch", "14", "--data.num_workers", "1"]
    options += ["--data.validation_shards", "null", *EMA]
    killed = tmp_path / "killed"
    command = [sys.executable, "-m", "pipelines.train", "--config", str(training_files.recipe)]
    command += ["--trainer.default_root_dir", str(killed), *options, "--ckpt_path", "last"]
    rng = np.random.default_rng(0)
    steps = [0]
    for _ in range(num_kills):
        kill_at_random(command, killed, command_environment, rng)
        steps.append(checkpoint(killed)["global_step"])
        assert steps[-2] < steps[-1] < num_steps
        assert not (killed / "bundle.safetensors").exists()
    assert train(*options, "--ckpt_path", "last", root="killed") == 0
    assert train(*options, root="whole") == 0
    assert checkpoint(killed)["global_step"] == num_steps
    assert_equal_runs(tmp_path / "whole", killed)
