"""The recipe mixit: a step, going on after a break, a bundle that separates blindly."""

import csv
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from pipelines.recipes import read_recipe
from pipelines.separate.command import main as separate_command
from pipelines.train import main
from tests.pipelines.conftest import TrainingFiles
from tests.pipelines.separate.outputs import read, stems
from tests.pipelines.test_resume import assert_equal_runs, checkpoint
from uss.checkpoints.bundle import load_bundle
from uss.models import BlindUNet, ResUNet

RATE = 32_000
SMALL = (
    *("--model.model.init_args.channels", "[4, 4, 6, 6, 8, 8]"),
    *("--data.batch_size", "2", "--trainer.precision", "32-true", "--model.warm_up_steps", "0"),
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--trainer.enable_model_summary", "false", "--model.decay", "none"),
    *("--checkpoint.every_n_train_steps", "1"),
    *("--data.segment_seconds", "0.5", "--model.model.init_args.segment_seconds", "0.5"),
)

Train = Callable[..., int]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of tones without labels, longer and shorter than a segment."""
    folder = tmp_path_factory.mktemp("clips")
    with (folder / "clips.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["clip_id", "path", "split"])
        for number, seconds in enumerate((2.5, 1.0, 3.0, 2.0)):
            times = np.arange(round(seconds * RATE)) / RATE
            tone = 0.3 * np.sin(2 * np.pi * 400.0 * (number + 1) * times)
            soundfile.write(folder / f"{number}.wav", tone, RATE)
            table.writerow([number, f"{number}.wav", "train"])
    return folder


@pytest.fixture
def train(clips: Path, tmp_path: Path, tagger_file: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    monkeypatch.setattr("sys.argv", ["uss-train"])
    monkeypatch.chdir(tmp_path)

    def run(*options: str | Path, root: str = "run") -> int:
        data = ("--data.manifest", clips / "clips.csv", "--data.audio_root", clips)
        words = ["--config", "mixit", "--trainer.default_root_dir", tmp_path / root, *SMALL]
        with torch.random.fork_rng():
            return main(
                [str(each) for each in (*words, *data, "--export.tagger", tagger_file, *options)]
            )

    return run


def test_training_goes_on_after_a_break_and_ends_with_stems(
    train: Train, clips: Path, tmp_path: Path, quick_pictures: None
) -> None:
    assert train("--trainer.max_steps", "3", root="whole") == 0
    assert train("--trainer.max_steps", "1", root="parts") == 0
    before = load_bundle(tmp_path / "parts" / "bundle.safetensors").separator
    assert train("--trainer.max_steps", "3", "--ckpt_path", "last", root="parts") == 0
    assert checkpoint(tmp_path / "parts")["global_step"] == 3
    assert_equal_runs(tmp_path / "whole", tmp_path / "parts")
    file = tmp_path / "whole" / "bundle.safetensors"
    bundle = load_bundle(file)
    assert isinstance(bundle.separator, BlindUNet) and isinstance(before, BlindUNet)
    assert bundle.class_queries is None and bundle.tagger is not None
    assert bundle.provenance["clips"] == 4
    assert not torch.equal(bundle.separator.after_conv.weight, before.after_conv.weight)
    words = [clips / "2.wav", "--model", file, "--blind", "-o", tmp_path / "out"]
    assert separate_command([*map(str, words), "--device", "cpu"]) == 0
    written = stems(tmp_path / "out" / "2" / "blind")
    assert len(written) == 5
    assert np.abs(written.pop("residual")).max() < 1e-5
    np.testing.assert_allclose(sum(written.values()), read(clips / "2.wav"), atol=1e-5)


def test_the_recipe_is_that_of_the_paper_and_of_the_default_models_trunk() -> None:
    recipe, default = read_recipe("mixit"), read_recipe("default")
    ours, theirs = (each["model"]["model"]["init_args"] for each in (recipe, default))
    assert recipe["model"]["objective"]["init_args"] == {"max_snr_db": 30.0}
    for name in ("channels", "fold", "n_fft", "hop_length"):
        assert ours[name] == theirs[name]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--data.segment_seconds", "2.0"), "set data.segment_seconds"),
        (("--model.model.init_args.segment_seconds", "0.01"), "too short for windows of n_fft"),
        (("--data.manifest", "none.csv"), "no such manifest"),
        (
            ("--model.objective", "uss.training.objectives.WaveformL1"),
            "with uss.training.mixit.MixIT",
        ),
        (("--data.split", "test"), "test"),
        (("--data.shards", "x"), "data.shards"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_step(
    train: Train,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    said: str,
) -> None:
    assert train(*options) == 2
    stderr = capsys.readouterr().err
    (line,) = [line for line in stderr.splitlines() if line.startswith("uss-train: ")]
    assert said in line
    assert not (tmp_path / "run" / "bundle.safetensors").exists()


def test_a_query_conditioned_training_starts_from_it(
    train: Train, tmp_path: Path, training_files: TrainingFiles, caplog: pytest.LogCaptureFixture
) -> None:
    """The trunk of ResUNet; a resumed run takes its own checkpoint instead."""
    assert train("--trainer.max_steps", "1") == 0
    bundle = tmp_path / "run" / "bundle.safetensors"
    same = ("--model.model.init_args.channels", "[4, 4, 6, 6, 8, 8]")
    command = ["--config", training_files.recipe, "--trainer.default_root_dir", tmp_path / "asked"]
    command += [*same, "--model.model.init_args.n_fft", "2048", "--model.learning_rate", "0.0"]

    def run(*options: str | Path) -> int:
        with torch.random.fork_rng():
            return main([*map(str, (*command, *options))])

    caplog.set_level(logging.INFO, "uss.training.starting")
    assert run("--trainer.max_steps", "1", "--model.init_from", bundle) == 0
    assert "entries of" in caplog.text and "film" in caplog.text
    ours = load_bundle(tmp_path / "asked" / "bundle.safetensors").separator
    theirs = load_bundle(bundle).separator
    assert isinstance(ours, ResUNet) and isinstance(theirs, BlindUNet)
    weights = [model.encoder[0].get_parameter("block.conv1.weight") for model in (ours, theirs)]
    assert torch.equal(*weights)
    caplog.clear()
    resume = ("--trainer.max_steps", "2", "--ckpt_path", "last", "--model.init_from", "gone")
    assert run(*resume) == 0
    assert "are taken from" not in caplog.text
