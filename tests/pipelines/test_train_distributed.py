"""Two processes on one CPU: started by the command itself, by torchrun and by Slurm's script."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.pipelines.conftest import ROOT, TrainingFiles
from tests.pipelines.test_resume import assert_equal_runs, checkpoint
from uss.checkpoints.bundle import load_bundle

Train = Callable[..., int]

SCRIPT = ROOT / "scripts" / "slurm" / "train.sbatch"
RECORDER = "tests.pipelines.training_records.Recorder"
SECONDS = 600.0
TWO = ("--trainer.devices", "2", "--trainer.strategy", "ddp")


@pytest.fixture
def environment(tmp_path: Path, command_environment: dict[str, str]) -> dict[str, str]:
    """One thread each; without what a cluster that runs the tests would say of itself."""
    own = ("SLURM_", "MASTER_", "TORCHELASTIC_", "WORLD_SIZE", "RANK", "LOCAL_RANK")
    kept = {name: text for name, text in command_environment.items() if not name.startswith(own)}
    (tmp_path / "records").mkdir()
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    return {**kept, **threads, "RECORDS": str(tmp_path / "records")}


@pytest.fixture
def run(
    tmp_path: Path, training_files: TrainingFiles, environment: dict[str, str]
) -> Callable[..., None]:
    def command(*options: str | Path, root: str = "run") -> None:
        words = [sys.executable, "-m", "pipelines.train", "--config", training_files.recipe]
        words += ["--trainer.default_root_dir", tmp_path / root, "--model.decay", "none", *options]
        done = subprocess.run(
            [str(word) for word in words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        assert "sync_dist" not in done.stderr

    return command


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[int, str], dict[str, Any]]:
    def load(rank: int, name: str) -> dict[str, Any]:
        path = tmp_path / "records" / f"rank{rank}-{name}.pt"
        content: dict[str, Any] = torch.load(path, weights_only=True)
        return content

    return load


def hashes(parts: Sequence[torch.Tensor]) -> list[str]:
    """One for each mixture of a batch, with its targets, its conditions and what is asked."""
    return [
        hashlib.sha256(b"".join(part.numpy().tobytes() for part in mixture)).hexdigest()
        for mixture in zip(*parts, strict=True)
    ]


def assert_close(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys() and len(ours) > 20
    # Of the size of what a step is made of, not of each number's own.
    largest = max(float(value.abs().max()) for value in theirs.values())
    for name, value in ours.items():
        assert float((value - theirs[name]).abs().max()) <= 1e-5 * max(1.0, largest), name
    assert largest > 1e-3


JOINT = (
    *("--model.objective", "uss.training.objectives.JointError"),
    *("--data.joint", '{"max_absent": 1}', "--data.variation", "{}"),
    *("--data.class_average_probability", "0", "--data.num_workers", "1"),
)
PAPER = (
    *("--model.model", "uss.models.ResUNet30", "--data.num_sources", "3"),
    *("--model.model.init_args.condition_space", "{space}"),
    *("--model.model.init_args.condition_size", "96"),
    *("--model.model.init_args.channels", "[4, 8]"),
    *("--model.model.init_args.n_fft", "256", "--model.model.init_args.hop_length", "64"),
    *("--model.model.init_args.segment_seconds", "0.5"),
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [pytest.param(PAPER, id="paper", marks=pytest.mark.long), pytest.param(JOINT, id="joint")],
)
def test_two_processes_train_on_the_mixtures_of_one_and_agree_with_it(
    run: Callable[..., None],
    recorded: Callable[[int, str], dict[str, Any]],
    train: Train,
    training_files: TrainingFiles,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
) -> None:
    """Weights stay as they are, so that every step can be compared."""
    options = tuple(
        word.format(space=training_files.space) if word == "{space}" else word for word in options
    )
    options += ("--trainer.max_steps", "3", "--model.learning_rate", "0")
    options += (f"--trainer.callbacks+={RECORDER}", "--trainer.callbacks.freeze_norms", "true")
    options += ("--data.validation_shards", "null")
    monkeypatch.setenv("RECORDS", environment["RECORDS"])
    assert train("--model.decay", "none", *options, root="one") == 0
    of_one = [recorded(0, f"step{step}") for step in range(3)]
    run(*options, *TWO, root="two")
    for step, whole in enumerate(of_one):
        shares = [recorded(rank, f"step{step}") for rank in range(2)]
        assert [len(share["batch"][0]) for share in shares] == [2, 2]
        together = [each for share in shares for each in hashes(share["batch"])]
        assert together == hashes(whole["batch"])
        for share in shares:
            assert float(share["loss"]) == pytest.approx(float(whole["loss"]), abs=1e-5)
            assert_close(share["gradients"], whole["gradients"])


@pytest.mark.slow
def test_two_processes_keep_the_same_weights_and_export_once(
    run: Callable[..., None], recorded: Callable[[int, str], dict[str, Any]], tmp_path: Path
) -> None:
    root = tmp_path / "run"
    options = (*TWO, f"--trainer.callbacks+={RECORDER}", "--trainer.val_check_interval", "2")
    run(*options, "--trainer.max_steps", "3")
    bundle = load_bundle(root / "bundle.safetensors")
    assert bundle.separator is not None and bundle.provenance["steps"] == 3
    for rank in range(2):
        weights = dict(bundle.separator.named_parameters())
        assert_equal(recorded(rank, "step3-end")["weights"], weights)
    for step in range(3):
        first, second = (recorded(rank, f"step{step}") for rank in range(2))
        assert not torch.equal(first["batch"][0], second["batch"][0])
        assert_equal(first["weights"], second["weights"])
    assert not list(root.rglob("*.part"))


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_a_batch_that_two_processes_cannot_share_is_refused_before_there_is_a_second(
    train: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("subprocess.Popen", None)
    assert train(*TWO, "--data.batch_size", "5") == 2
    assert "set data.batch_size to a multiple of 2" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


# Several machines. Each has one process here.

SRUN = """#!/bin/bash
# Stands for Slurm's: starts a task on each of two nodes.
for node in 0 1; do
    SLURM_PROCID=$node SLURM_NODEID=$node SLURM_LOCALID=0 "$@" &
    tasks="$tasks $!"
done
echo $tasks > "$SRUN_TASKS"
status=0
for task in $tasks; do wait $task || status=$?; done
exit $status
"""
# More than a run makes before it is killed, few enough to wait for; two epochs.
STEPS = 28


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port


@pytest.mark.slow
def test_a_killed_job_of_slurm_ends_as_one_of_torchrun_without_a_break(
    training_files: TrainingFiles, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Both begin as docs/recipes.md says; the batch norms' statistics are the first process's."""
    keys = ["--trainer.max_steps", str(STEPS), "--checkpoint.every_n_train_steps", "2"]
    keys += ["--data.steps_per_epoch", "14", "--data.validation_shards", "null"]
    keys += ["--data.num_workers", "1", "--trainer.default_root_dir"]
    bin_folder = tmp_path / "bin"
    executable(bin_folder / "srun", SRUN)
    executable(
        bin_folder / "uss-train", f'#!/bin/bash\nexec {sys.executable} -m pipelines.train "$@"\n'
    )
    environment["PATH"] = f"{bin_folder}{os.pathsep}{environment['PATH']}"
    tasks = tmp_path / "tasks"
    of_slurm = {
        "SLURM_JOB_ID": "1234",
        "SLURM_JOB_NAME": "uss-train",
        "SLURM_NTASKS": "2",
        "SLURM_NNODES": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_NODELIST": "localhost",
        "SRUN_TASKS": str(tasks),
    }

    def job() -> "subprocess.Popen[str]":
        ports = {"MASTER_PORT": str(free_port())}
        return subprocess.Popen(
            ["bash", SCRIPT, training_files.recipe, *keys, tmp_path / "slurm"],
            env={**environment, **of_slurm, **ports},
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )

    killed = job()
    last = tmp_path / "slurm" / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + SECONDS
    while not last.exists():
        assert killed.poll() is None and time.monotonic() < deadline, killed.communicate()[1]
        time.sleep(0.01)
    # As when a node fails.
    for task in tasks.read_text().split():
        os.kill(int(task), signal.SIGKILL)
    killed.communicate(timeout=SECONDS)
    assert killed.returncode == 128 + signal.SIGKILL
    assert 0 < checkpoint(tmp_path / "slurm")["global_step"] < STEPS
    again = job()
    stderr = again.communicate(timeout=SECONDS)[1]
    assert again.returncode == 0, stderr

    meeting = ("--master-addr", "127.0.0.1", "--master-port", str(free_port()))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", *meeting]
    command = ["--nproc-per-node", "1", "--no-python", "uss-train", "--config"]
    command += [str(training_files.recipe), "--trainer.num_nodes", "2", *keys]
    nodes = [
        subprocess.Popen(
            [*torchrun, "--node-rank", str(node), *command, str(tmp_path / "torchrun")],
            env=environment,
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        for node in range(2)
    ]
    for node in nodes:
        stderr = node.communicate(timeout=SECONDS)[1]
        assert node.returncode == 0, stderr
    assert checkpoint(tmp_path / "slurm")["global_step"] == STEPS
    assert_equal_runs(tmp_path / "torchrun", tmp_path / "slurm")


def test_the_script_for_slurm_wants_a_recipe() -> None:
    done = subprocess.run(["bash", SCRIPT], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "usage: sbatch train.sbatch RECIPE" in done.stderr
