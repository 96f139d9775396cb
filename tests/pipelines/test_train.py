import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.pipelines.conftest import TrainingFiles, write_tone_shard
from uss.checkpoints.bundle import load_bundle
from uss.checkpoints.loading import load_tagger, save_tagger
from uss.core.errors import InputError
from uss.core.runtime import Runtime
from uss.data.dataset import Batch, Sources, TrainingBatches
from uss.separation.separator import Separator
from uss.taggers import EfficientAT
from uss.training.module import SeparationTask
from uss.training.objectives import WaveformL1

FIGURES = {
    f"validation/{metric} {condition}"
    for metric in ("SDRi", "SI-SDRi")
    for condition in ("oracle", "class average", "swapped")
} | {
    "validation/SI-SDRi together",
    "validation/SI-SDRi with an absent class",
    "validation/level of an absent class",
}

Train = Callable[..., int]


def scalars(root: Path, version: int = 0) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(root / "lightning_logs" / f"version_{version}"))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def checkpoint(root: Path, name: str = "last") -> dict[str, Any]:
    path = root / "checkpoints" / f"{name}.ckpt"
    loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return loaded


def test_a_run_leaves_checkpoint_scalars_configuration_and_bundle(
    train: Train, tmp_path: Path, training_files: Any
) -> None:
    assert train() == 0
    root = tmp_path / "run"
    assert checkpoint(root)["global_step"] == 4
    logged = scalars(root)
    assert [step for step, _ in logged["train/loss"]] == [0, 1, 2, 3]
    assert all(math.isfinite(value) for _, value in logged["train/loss"])
    assert logged.keys() >= FIGURES
    assert all(math.isfinite(logged[name][0][1]) for name in FIGURES)
    assert any(name.startswith("lr-") for name in logged)
    saved = yaml.safe_load((root / "lightning_logs" / "version_0" / "config.yaml").read_text())
    assert saved["data"]["shards"] == str(training_files.shards)
    assert saved["model"]["model"]["init_args"]["channels"] == [4, 8]
    assert saved["seed_everything"] == 3
    assert not list(root.rglob("*.part"))


def test_the_bundle_holds_the_trained_weights_and_separates(
    train: Train, tmp_path: Path, training_files: Any
) -> None:
    assert train() == 0
    bundle = load_bundle(tmp_path / "run" / "bundle.safetensors")
    assert bundle.separator is not None and bundle.class_queries is not None
    trained = checkpoint(tmp_path / "run")["state_dict"]
    for name, value in bundle.separator.state_dict().items():
        assert torch.equal(value, trained[f"model.{name}"]), name
    assert bundle.class_queries.space == training_files.space
    assert len(bundle.class_queries.class_indexes) == 6
    assert bundle.licence == "CC0-1.0"
    assert bundle.provenance["steps"] == 4
    assert bundle.provenance["anchors"] == 12
    assert set(bundle.provenance["validation"]) == FIGURES
    separator = Separator(bundle, runtime=Runtime.choose("cpu", "fp32"))
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal((1, 40_000))).astype(np.float32)
    stem = separator.separate(noise, 32_000, classes=["Dog"], threshold=0.0)["Dog"]
    assert stem.shape == noise.shape
    assert np.isfinite(stem).all()
    assert np.abs(stem).max() > 1e-4


def test_a_run_without_validation_shards_and_a_half_precision_bundle(
    train: Train, tmp_path: Path
) -> None:
    options = ("--data.validation_shards", "null", "--export.half", "true")
    assert train(*options, "--trainer.max_steps", "1") == 0
    root = tmp_path / "run"
    assert not FIGURES & scalars(root).keys()
    bundle = load_bundle(root / "bundle.safetensors")
    assert bundle.separator is not None
    assert {p.dtype for p in bundle.separator.parameters()} == {torch.float32}
    assert bundle.provenance["validation"] == {}


def test_the_seed_decides_the_weights(train: Train, tmp_path: Path) -> None:
    for root, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert train("--seed_everything", str(seed), root=root) == 0
    a, b, c = (checkpoint(tmp_path / root)["state_dict"] for root in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["model.film.linear.weight"], c["model.film.linear.weight"])


def test_the_loss_goes_down_on_a_tiny_set(train: Train, tmp_path: Path) -> None:
    options = ("--trainer.max_steps", "40", "--data.validation_shards", "null")
    assert train(*options, "--model.learning_rate", "0.01", "--model.decay", "none") == 0
    losses = [value for _, value in scalars(tmp_path / "run")["train/loss"]]
    assert len(losses) == 40
    assert np.mean(losses[-8:]) < 0.75 * np.mean(losses[:4])


@pytest.mark.parametrize(("accumulated", "expected"), [(1, range(4)), (2, range(8))])
def test_every_batch_is_used_once_in_order(
    train: Train, monkeypatch: pytest.MonkeyPatch, accumulated: int, expected: range
) -> None:
    used: list[int] = []
    read = TrainingBatches.read

    def record(batches: TrainingBatches, number: int) -> Sources:
        used.append(number)
        return read(batches, number)

    monkeypatch.setattr(TrainingBatches, "read", record)
    options = ("--trainer.accumulate_grad_batches", str(accumulated), "--data.steps_per_epoch", "2")
    assert train(*options, "--data.validation_shards", "null") == 0
    # Lightning fetches one batch ahead.
    assert used[: len(expected)] == list(expected)
    assert len(used) <= len(expected) + 1


def test_every_parameter_changes_with_the_first_step(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    initial: dict[str, torch.Tensor] = {}
    check = SeparationTask.on_fit_start

    def keep_weights(task: SeparationTask) -> None:
        initial.update({name: value.detach().clone() for name, value in task.named_parameters()})
        check(task)

    monkeypatch.setattr(SeparationTask, "on_fit_start", keep_weights)
    # Weight decay would move also what has no gradient.
    options = ("--trainer.max_steps", "1", "--checkpoint.every_n_train_steps", "1")
    assert train(*options, "--model.weight_decay", "0") == 0
    trained = checkpoint(tmp_path / "run")["state_dict"]
    assert len(initial) > 20
    assert [name for name in initial if torch.equal(initial[name], trained[name])] == []


def test_workers_do_not_change_the_result(train: Train, tmp_path: Path) -> None:
    options = ("--trainer.max_steps", "2", "--data.validation_shards", "null")
    assert train(*options, root="alone") == 0
    assert train(*options, "--data.num_workers", "1", root="workers") == 0
    alone, workers = (checkpoint(tmp_path / root)["state_dict"] for root in ("alone", "workers"))
    assert all(torch.equal(alone[name], workers[name]) for name in alone)


def test_print_config_does_not_train(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        train("--print_config")
    assert ended.value.code == 0
    assert yaml.safe_load(capsys.readouterr().out)["data"]["batch_size"] == 4
    assert not (tmp_path / "run").exists()


# Bad input

BAD_INPUT = {
    "unknown key": (("--data.foo", "1"), "data.foo"),
    "unknown key of the trainer": (("--trainer.max_stepz", "3"), "trainer.max_stepz"),
    "abbreviated key": (("--model.learning_rat", "0.1"), "learning_rat"),
    "unknown model": (("--model.model.class_path", "uss.models.Nope"), "uss.models.Nope"),
    "unknown rule": (("--data.disjoint", "perhaps"), "disjoint"),
    "no such recipe": (("--config", "nowhere.yaml"), "nowhere.yaml"),
    "no such shards": (("--data.shards", "nowhere"), "uss-mine-anchors"),
    "no such validation shards": (("--data.validation_shards", "nowhere"), "uss-mine-anchors"),
    "space of no shard": (
        ("--data.condition_space", "clap-512", "--model.model.init_args.condition_space=clap-512"),
        "clap-512",
    ),
    "spaces that differ": (("--data.condition_space", "audioset-527"), "audioset-527"),
    "conditions of another size": (("--model.model.init_args.condition_size", "95"), "95"),
    "segments of another length": (
        ("--model.model.init_args.segment_seconds", "2.0"),
        "mine shards",
    ),
    "another sample rate": (("--model.model.init_args.sample_rate", "16000"), "16000"),
    "more mixtures than classes": (("--data.batch_size", "7"), "at most"),
    "a batch of one": (("--data.batch_size", "1"), "2 or more"),
    "no such tagger": (("--export.tagger", "nowhere.safetensors"), "nowhere.safetensors"),
    "no such checkpoint": (("--ckpt_path", "nowhere.ckpt"), "nowhere.ckpt"),
    "cosine without an end": (("--trainer.max_steps", "-1"), "max_steps"),
    "a model without stages": (("--model.model.init_args.channels", "[]"), "channels"),
    "half precision on a CPU": (("--trainer.precision", "16-true"), "use bf16-mixed"),
    "also the other one": (("--trainer.precision", "bf16-true"), "use bf16-mixed"),
    "batches that Lightning splits too": (
        ("--trainer.use_distributed_sampler", "true"),
        "share already; leave it out",
    ),
    "an epoch that ends within a step": (
        ("--trainer.accumulate_grad_batches", "3"),
        "a multiple of trainer.accumulate_grad_batches",
    ),
    "reading ahead by nobody": (("--data.prefetch_factor", "2"), "set num_workers to 1 or more"),
    "channels last without images": (
        (
            "--model.model=uss.models.ConvTasNet",
            "--model.model.condition_space=audioset-527",
            "--model.model.condition_size=527",
            "--model.channels_last=true",
        ),
        "leave model.channels_last out",
    ),
    "a device that is not there": (("--trainer.accelerator", "tpu"), "torch_xla"),
}


def assert_refused(status: int, capsys: pytest.CaptureFixture[str], remedy: str) -> None:
    stderr = capsys.readouterr().err
    lines = [line for line in stderr.splitlines() if line.startswith("uss-train: ")]
    assert status == 2
    assert "Traceback" not in stderr
    assert len(lines) == 1, stderr
    assert remedy in lines[0]
    assert stderr.rstrip().endswith(lines[0])


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_one_line_and_status_2(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    options, remedy = BAD_INPUT[name]
    assert_refused(train(*options), capsys, remedy)
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert not (tmp_path / "run" / "bundle.safetensors").exists()


@pytest.mark.parametrize("batch_size", ["1", "2", "16"])
def test_shards_of_one_class_are_no_mixtures_whatever_the_batch(
    train: Train,
    training_files: TrainingFiles,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    batch_size: str,
) -> None:
    """The remedy is another class, not another batch size that is refused in turn."""
    monkeypatch.setitem(write_tone_shard.__globals__, "_TONES", ("Speech",))
    size = load_tagger(training_files.tagger).embedding_size
    one = write_tone_shard(tmp_path / "one", training_files.space, size)
    options = ("--data.shards", one, "--data.batch_size", batch_size)
    assert_refused(
        train(*options), capsys, "2 sources needs as many classes, and the shards hold 1"
    )


def test_an_unknown_key_in_the_recipe_is_refused(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "more.yaml").write_text("data: {batch_sizes: 3}\n")
    assert_refused(train("--config", tmp_path / "more.yaml"), capsys, "batch_sizes")


def test_a_checkpoint_that_is_none_is_refused(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.ckpt").write_text("hello\n")
    assert_refused(train("--ckpt_path", tmp_path / "text.ckpt"), capsys, "text.ckpt")


def test_a_checkpoint_of_another_model_is_refused(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--trainer.max_steps", "2") == 0
    capsys.readouterr()
    options = ("--model.model.init_args.channels", "[8, 8]", "--ckpt_path", "last")
    assert_refused(train(*options), capsys, "checkpoint")


def test_a_tagger_of_another_space_is_refused_before_training(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.safetensors"
    save_tagger(other, EfficientAT(0.05, "other"), licence="CC0-1.0", provenance={})
    assert_refused(train("--export.tagger", other), capsys, "name the tagger they come from")


# Faults and interruptions

Act = Callable[[], object]


@pytest.fixture
def in_third_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[Act], None]:
    """Makes something happen in the third training step."""

    def arrange(act: Act) -> None:
        steps: list[int] = []
        compute = WaveformL1.__call__

        def objective(self: WaveformL1, model: Any, batch: Batch) -> dict[str, torch.Tensor]:
            steps.append(len(steps))
            if len(steps) == 3:
                act()
            return compute(self, model, batch)

        monkeypatch.setattr(WaveformL1, "__call__", objective)

    return arrange


def add_shapes_that_differ() -> object:
    return np.zeros(2) + np.zeros(3)


@pytest.mark.parametrize("debug", ["", "1"])
def test_a_fault_while_training_is_not_blamed_on_the_input(
    train: Train,
    tmp_path: Path,
    in_third_step: Callable[[Act], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    debug: str,
) -> None:
    """NumPy raises a ValueError, as the checks of input do."""
    monkeypatch.setenv("USS_DEBUG", debug)
    in_third_step(add_shapes_that_differ)
    assert train() == 1
    stderr = capsys.readouterr().err
    (line,) = [line for line in stderr.splitlines() if line.startswith("uss-train: ")]
    assert line.startswith("uss-train: a fault of this program, ValueError: operands could not be")
    assert ("Traceback" in stderr) == ("add_shapes_that_differ" in stderr) == bool(debug)
    assert ("USS_DEBUG=1 shows where" in line) == (not debug)
    assert not (tmp_path / "run" / "bundle.safetensors").exists()


def test_bad_input_while_training_is_status_2(
    train: Train, in_third_step: Callable[[Act], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise InputError("the shards hold nothing; mine them again")

    in_third_step(refuse)
    assert_refused(train(), capsys, "the shards hold nothing; mine them again")


def test_an_interruption_is_status_130_and_leaves_what_is_whole(
    train: Train,
    tmp_path: Path,
    in_third_step: Callable[[Act], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    in_third_step(lambda: os.kill(os.getpid(), signal.SIGINT))
    assert train("--model.decay", "none") == 130
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "uss-train: interrupted; --ckpt_path last goes on after the last checkpoint"
    # Lightning itself would leave the next interruption ignored.
    assert signal.getsignal(signal.SIGINT) is handler
    root = tmp_path / "run"
    assert checkpoint(root)["global_step"] == 2
    assert not (root / "bundle.safetensors").exists()
    assert not list(root.rglob("*.part"))
    # The objective has been interrupted once; the run goes on to what it would have been.
    assert train("--model.decay", "none", "--ckpt_path", "last") == 0
    assert train("--model.decay", "none", root="whole") == 0
    resumed, whole = (checkpoint(tmp_path / name)["state_dict"] for name in ("run", "whole"))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_kill_and_hang_up_are_interruptions(
    train: Train,
    tmp_path: Path,
    in_third_step: Callable[[Act], None],
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    handler = signal.getsignal(number)
    in_third_step(lambda: os.kill(os.getpid(), number))
    assert train() == 128 + number
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "uss-train: interrupted; --ckpt_path last goes on after the last checkpoint"
    assert signal.getsignal(number) is handler
    assert checkpoint(tmp_path / "run")["global_step"] == 2
    assert not (tmp_path / "run" / "bundle.safetensors").exists()


@pytest.mark.parametrize("first", ["true", "false"])
def test_resuming_with_other_groups_of_weight_decay_names_the_remedy(
    train: Train, capsys: pytest.CaptureFixture[str], first: str
) -> None:
    """Such as a run from before norms and biases were left out of the decay."""
    other = {"true": "false", "false": "true"}[first]
    option = "--model.decay_norms_and_biases"
    assert train(option, first, "--trainer.max_steps", "2", "--model.decay", "none") == 0
    capsys.readouterr()
    resume = ("--model.decay", "none", "--ckpt_path", "last")
    assert_refused(train(option, other, *resume), capsys, f"go on with {option} {first}")
    assert train(option, first, *resume) == 0


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        pytest.param(("--data.foo", "1"), "data.foo", id="before Lightning starts"),
        pytest.param(("--data.shards", "nowhere"), "uss-mine-anchors", id="after it has started"),
    ],
)
def test_bad_input_in_the_shell(
    training_files: TrainingFiles,
    tmp_path: Path,
    run_command: Callable[..., Any],
    options: tuple[str, ...],
    remedy: str,
) -> None:
    done = run_command("pipelines.train", "--config", training_files.recipe, *options)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr and "LightningCLI's args" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert lines[-1].startswith("uss-train: ")
    assert remedy in lines[-1]
    if options[0] == "--data.foo":
        assert len(lines) == 1, done.stderr
        assert not list((tmp_path / "elsewhere").iterdir())


def test_options_that_lightning_finds_out_late_do_not_go_together(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    """It raises a plain ValueError, and only within the training."""
    assert (
        train(
            "--trainer.val_check_interval",
            "5000",
            "--trainer.check_val_every_n_epoch",
            "1",
            "--data.steps_per_epoch",
            "4",
        )
        == 2
    )
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "uss-train: " in text]
    assert "val_check_interval" in line


def test_debugging_is_no_key_of_the_configuration(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("--debug", "--data.batch_size", "none") == 2
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert shown.splitlines()[-1].startswith("uss-train: ")
