"""Recipes of other inputs and backbones: steps, going on after a break, bundles that separate."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pipelines.recipes import read_recipe, shipped_recipes
from pipelines.train import main
from tests.pipelines.conftest import TrainingFiles, tiny_tagger
from tests.pipelines.separate.outputs import assert_adds_up
from tests.pipelines.test_resume import assert_equal_runs, checkpoint
from uss.checkpoints.bundle import load_bundle
from uss.conditions.embedding import EmbeddingEncoder
from uss.hearing.feature_maps import build_feature_maps
from uss.models import BACKBONES, ResUNet30

Train = Callable[..., int]
Separate = Callable[..., int]

COMMON = (
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--trainer.enable_model_summary", "false", "--checkpoint.every_n_train_steps", "1"),
    *("--data.batch_size", "4", "--model.model.init_args.segment_seconds", "0.5"),
)
# 32 channels, one branch in the first block, nothing but a pair of convolutions in the others.
SMALL_GENE = int("00" + 10 * "0" + "01100" + "001100100" + 12 * "0", 2) << (142 - 38)
SMALL: Mapping[str, tuple[str, ...]] = {
    "features_amae": (
        *("--model.model.init_args.channels", "[4, 4, 4, 4, 4, 4]"),
        *("--model.model.init_args.n_fft", "512"),
    ),
    "emrpcnn": (
        *("--model.model.init_args.gene", str(SMALL_GENE)),
        *("--model.model.init_args.n_fft", "128", "--model.model.init_args.hop_length", "64"),
    ),
}
MAE = {"kind": "masked-autoencoder", "width": 12, "depth": 2, "num_heads": 3, "max_frames": 64}
WAVE = {"kind": "wav2vec2", "width": 8}


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory, tagger_file: Path) -> dict[str, Any]:
    """Options of each kind of features: what, and a file of its weights."""
    folder = tmp_path_factory.mktemp("features")
    found: dict[str, Any] = {"tagger": ({"kind": "tagger", "width": 0.1}, tagger_file)}
    for described in (MAE, WAVE):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            state = build_feature_maps(described).state_dict()
        state = {name: value + 0.01 for name, value in state.items()}
        file = folder / f"{described['kind']}.pth"
        torch.save({"model": state}, file)
        found[str(described["kind"])] = (described, file)
    return found


@pytest.fixture
def train(tmp_path: Path, training_files: TrainingFiles, monkeypatch: pytest.MonkeyPatch) -> Train:
    monkeypatch.setattr("sys.argv", ["uss-train"])
    size = str(EmbeddingEncoder(tiny_tagger()).size)
    asked = (
        *("--data.condition_space", training_files.space),
        *("--model.model.init_args.condition_space", training_files.space),
        *("--model.model.init_args.condition_size", size),
        *("--data.shards", training_files.shards, "--export.tagger", training_files.tagger),
    )

    def run(recipe: str, *options: str | Path, root: str = "run") -> int:
        words = ("--config", recipe, "--trainer.default_root_dir", tmp_path / root)
        every = (*words, *COMMON, *SMALL[recipe], *asked, *options)
        with torch.random.fork_rng():
            return main([str(each) for each in every])

    return run


def with_features(features: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    described, file = features[kind]
    words = [f"--model.model.init_args.features={described}"]
    return (*words, "--model.model.init_args.features_from", str(file))


@pytest.mark.parametrize("recipe", SMALL)
def test_training_goes_on_after_a_break_and_ends_with_a_bundle_that_separates(
    recipe: str,
    train: Train,
    separate: Separate,
    features: Mapping[str, Any],
    write_noise: Callable[..., Path],
    tmp_path: Path,
) -> None:
    options = with_features(features, "masked-autoencoder") if recipe == "features_amae" else ()
    assert train(recipe, *options, "--trainer.max_steps", "2", root="whole") == 0
    assert train(recipe, *options, "--trainer.max_steps", "1", root="parts") == 0
    resume = ("--trainer.max_steps", "2", "--ckpt_path", "last")
    assert train(recipe, *options, *resume, root="parts") == 0
    assert checkpoint(tmp_path / "parts")["global_step"] == 2
    assert_equal_runs(tmp_path / "whole", tmp_path / "parts")
    bundle = tmp_path / "whole" / "bundle.safetensors"
    kind = read_recipe(recipe)["model"]["model"]["class_path"].rpartition(".")[2]
    assert type(load_bundle(bundle).separator) is BACKBONES[kind]
    source = write_noise(tmp_path / "scene.wav", 1.1, num_channels=2)
    asked = ("--class", "Dog", "--threshold", "0")
    assert separate(source, "--model", bundle, *asked) == 0
    assert_adds_up(tmp_path / "out" / "scene" / "queries", source)


@pytest.mark.parametrize("kind", ["masked-autoencoder", "tagger", "wav2vec2"])
def test_the_bundle_carries_what_hears_as_it_was_taught(
    kind: str, train: Train, features: Mapping[str, Any], tmp_path: Path
) -> None:
    described, file = features[kind]
    assert train("features_amae", *with_features(features, kind), "--trainer.max_steps", "1") == 0
    separator = load_bundle(tmp_path / "run" / "bundle.safetensors").separator
    assert isinstance(separator, ResUNet30) and separator.branch is not None
    assert separator.hyperparameters["features"] == described
    own = separator.branch.encoder.state_dict()
    if kind == "tagger":
        tagger = load_bundle(file).tagger
        assert tagger is not None
        given = {f"features.{n}": v for n, v in tagger.features[:13].state_dict().items()}
    else:
        given = torch.load(file, weights_only=True)["model"]
    assert own.keys() == given.keys()
    assert [name for name, value in given.items() if not torch.equal(own[name], value)] == []


@pytest.mark.parametrize(
    ("features_from", "said"),
    [("null", "that nobody has taught"), ("gone.pth", "gone.pth"), ("HERE", "does not fit")],
)
def test_features_need_weights_that_fit(
    features_from: str,
    said: str,
    train: Train,
    features: Mapping[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    source = str(features["wav2vec2"][1]) if features_from == "HERE" else features_from
    options = with_features(features, "masked-autoencoder")
    named = ("--model.model.init_args.features_from", source)
    assert train("features_amae", *options, *named) == 2
    lines = capsys.readouterr().err.splitlines()
    (line,) = [line for line in lines if line.startswith("uss-train: ")]
    assert said in line
    assert not (tmp_path / "run" / "bundle.safetensors").exists()


def test_windows_that_do_not_overlap_are_refused(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("emrpcnn", "--model.model.init_args.hop_length", "128") == 2
    assert "windows do not overlap" in capsys.readouterr().err


MILLIONS = {"features_amae": 21.4 + 85.7, "emrpcnn": 2.32}
"""Without FiLM. ResUNet30 has 21.4; 85.7 has ViT-B for 512 patches of one channel."""


@pytest.mark.parametrize("recipe", SMALL)
def test_a_recipe_builds_its_model_at_full_size(recipe: str) -> None:
    described = read_recipe(recipe)["model"]["model"]
    with torch.device("meta"):
        model = BACKBONES[described["class_path"].rpartition(".")[2]](**described["init_args"])
    size = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("film."))
    assert size / 1e6 == pytest.approx(MILLIONS[recipe], rel=0.01)


@pytest.mark.parametrize("recipe", [*SMALL, "mixit"])
@pytest.mark.parametrize("section", ["data", "model.model.init_args"])
def test_an_unknown_key_is_refused(
    recipe: str, section: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed: dict[str, Any] = {"nobody_reads_this": 1}
    for name in reversed(section.split(".")):
        changed = {name: changed}
    file = tmp_path / "changed.yaml"
    file.write_text(yaml.safe_dump({"base": str(shipped_recipes()[recipe]), **changed}))
    assert main(["--config", str(file), "--trainer.default_root_dir", str(tmp_path / "run")]) == 2
    assert "nobody_reads_this" in capsys.readouterr().err
