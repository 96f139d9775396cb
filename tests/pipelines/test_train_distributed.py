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


def environment_of(command_environment: dict[str, str], records: Path) -> dict[str, str]:
    """One thread each; without what a cluster that runs the tests would say of itself."""
    own = ("SLURM_", "MASTER_", "TORCHELASTIC_", "WORLD_SIZE", "RANK", "LOCAL_RANK")
    kept = {name: text for name, text in command_environment.items() if not name.startswith(own)}
    records.mkdir()
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    return {**kept, **threads, "RECORDS": str(records)}


@pytest.fixture
def environment(tmp_path: Path, command_environment: dict[str, str]) -> dict[str, str]:
    return environment_of(command_environment, tmp_path / "records")


def run(recipe: Path, folder: Path, environment: dict[str, str], *options: str | Path) -> None:
    """Train in processes of their own, into ``folder / "run"``."""
    words = [sys.executable, "-m", "pipelines.train", "--config", recipe]
    words += ["--trainer.default_root_dir", folder / "run", *options]
    done = subprocess.run(
        [str(word) for word in words],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert "sync_dist" not in done.stderr


def recorded(folder: Path, rank: int, name: str) -> dict[str, Any]:
    path = folder / "records" / f"rank{rank}-{name}.pt"
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


# More than a run makes before it is killed, few enough to wait for; two epochs.
STEPS = 28
KEYS = (
    *("--trainer.max_steps", str(STEPS), "--checkpoint.every_n_train_steps", "2"),
    *("--data.steps_per_epoch", "14", "--data.num_workers", "1"),
)


@pytest.fixture(scope="module")
def whole(
    training_files: TrainingFiles,
    command_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with a run of two processes, which the command starts, and its records."""
    folder = tmp_path_factory.mktemp("whole")
    environment = environment_of(command_environment, folder / "records")
    validating = ("--trainer.val_check_interval", "7")
    recording = f"--trainer.callbacks+={RECORDER}"
    run(training_files.recipe, folder, environment, *TWO, *KEYS, *validating, recording)
    return folder


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
    train: Train,
    training_files: TrainingFiles,
    tmp_path: Path,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
) -> None:
    """Weights stay as they are, so that every step can be compared."""
    options = tuple(
        word.format(space=training_files.space) if word == "{space}" else word for word in options
    )
    options += ("--trainer.max_steps", "3", "--model.learning_rate", "0", "--model.decay", "none")
    options += (f"--trainer.callbacks+={RECORDER}", "--trainer.callbacks.freeze_norms", "true")
    options += ("--data.validation_shards", "null")
    monkeypatch.setenv("RECORDS", environment["RECORDS"])
    assert train(*options, root="one") == 0
    of_one = [recorded(tmp_path, 0, f"step{step}") for step in range(3)]
    run(training_files.recipe, tmp_path, environment, *options, *TWO)
    for step, whole in enumerate(of_one):
        shares = [recorded(tmp_path, rank, f"step{step}") for rank in range(2)]
        assert [len(share["batch"][0]) for share in shares] == [2, 2]
        together = [each for share in shares for each in hashes(share["batch"])]
        assert together == hashes(whole["batch"])
        for share in shares:
            assert float(share["loss"]) == pytest.approx(float(whole["loss"]), abs=1e-5)
            assert_close(share["gradients"], whole["gradients"])


@pytest.mark.slow
def test_two_processes_keep_the_same_weights_and_export_once(whole: Path) -> None:
    bundle = load_bundle(whole / "run" / "bundle.safetensors")
    assert bundle.separator is not None and bundle.provenance["steps"] == STEPS
    for rank in range(2):
        weights = dict(bundle.separator.named_parameters())
        assert_equal(recorded(whole, rank, f"step{STEPS}-end")["weights"], weights)
    for step in range(STEPS):
        first, second = (recorded(whole, rank, f"step{step}") for rank in range(2))
        assert not torch.equal(first["batch"][0], second["batch"][0])
        assert_equal(first["weights"], second["weights"])
    assert not list((whole / "run").rglob("*.part"))


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


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port


@pytest.fixture
def shell(tmp_path: Path, environment: dict[str, str]) -> dict[str, str]:
    """Where ``uss-train`` and ``srun`` are programs."""
    folder = tmp_path / "bin"
    executable(folder / "srun", SRUN)
    command = f'#!/bin/bash\nexec {sys.executable} -m pipelines.train "$@"\n'
    executable(folder / "uss-train", command)
    return {**environment, "PATH": f"{folder}{os.pathsep}{environment['PATH']}"}


@pytest.mark.slow
def test_a_killed_job_of_slurm_ends_as_a_run_without_a_break(
    whole: Path, training_files: TrainingFiles, tmp_path: Path, shell: dict[str, str]
) -> None:
    """It begins as docs/recipes.md says; the batch norms' statistics are the first process's."""
    root = tmp_path / "slurm"
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
    keys = (*KEYS, "--data.validation_shards", "null", "--trainer.default_root_dir", root)

    def job() -> "subprocess.Popen[str]":
        ports = {"MASTER_PORT": str(free_port())}
        return subprocess.Popen(
            ["bash", SCRIPT, training_files.recipe, *keys],
            env={**shell, **of_slurm, **ports},
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )

    killed = job()
    last = root / "checkpoints" / "last.ckpt"
    deadline = time.monotonic() + SECONDS
    while not last.exists():
        assert killed.poll() is None and time.monotonic() < deadline, killed.communicate()[1]
        time.sleep(0.01)
    # As when a node fails.
    for task in tasks.read_text().split():
        os.kill(int(task), signal.SIGKILL)
    killed.communicate(timeout=SECONDS)
    assert killed.returncode == 128 + signal.SIGKILL
    assert 0 < checkpoint(root)["global_step"] < STEPS
    again = job()
    stderr = again.communicate(timeout=SECONDS)[1]
    assert again.returncode == 0, stderr
    assert checkpoint(root)["global_step"] == STEPS
    assert_equal_runs(whole / "run", root)


@pytest.mark.slow
@pytest.mark.long
def test_nodes_that_torchrun_starts_end_as_a_run_of_one_node(
    whole: Path, training_files: TrainingFiles, tmp_path: Path, shell: dict[str, str]
) -> None:
    """They begin as docs/recipes.md says."""
    meeting = ("--master-addr", "127.0.0.1", "--master-port", str(free_port()))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", *meeting]
    command = ["--nproc-per-node", "1", "--no-python", "uss-train", "--config"]
    command += [str(training_files.recipe), "--trainer.num_nodes", "2", *KEYS]
    command += ["--data.validation_shards", "null"]
    command += ["--trainer.default_root_dir", str(tmp_path / "torchrun")]
    nodes = [
        subprocess.Popen(
            [*torchrun, "--node-rank", str(node), *command],
            env=shell,
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            text=True,
        )
        for node in range(2)
    ]
    for node in nodes:
        stderr = node.communicate(timeout=SECONDS)[1]
        assert node.returncode == 0, stderr
    assert_equal_runs(whole / "run", tmp_path / "torchrun")


def test_the_script_for_slurm_wants_a_recipe() -> None:
    done = subprocess.run(["bash", SCRIPT], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "usage: sbatch train.sbatch RECIPE" in done.stderr
