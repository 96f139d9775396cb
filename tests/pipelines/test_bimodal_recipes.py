"""Recipes that learn from captions: steps, resumed runs, bundles that separate, and refusals."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml

from ontology import load_ontology
from pipelines.recipes import read_recipe, shipped_recipes
from pipelines.separate.command import main as separate
from pipelines.train import main as train
from tests.pipelines.conftest import noise_waveform
from tests.pipelines.test_resume import assert_equal_runs, checkpoint
from tests.text_models import write_tokenizers
from uss.checkpoints.bundle import load_bundle
from uss.checkpoints.loading import load_class_queries
from uss.models import BACKBONES
from uss.shards import Anchor, ShardSettings, shard_path, write_shard
from uss.taggers import NUM_CLASSES
from uss.training.bimodal_objective import BiModalError

RECIPES = ("bimodal", "bimodal_published")
RATE = 32_000
CAPTIONS = {
    "a": "a dog barks and rain falls",
    "b": "music",
    "c": "a man speaks while a siren wails",
    "d": "a cat meows, then birds sing",
}
SMALL = {
    "channels": "[2, 2, 3, 3, 4, 4]",
    "query_size": "12",
    "num_heads": "3",
    "ear": "null",
    "ear_width": "null",
    "segment_seconds": "0.5",
}
QUIET = (
    *("--trainer.accelerator", "cpu", "--trainer.precision", "32-true", "--trainer.devices", "1"),
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
)
Train = Callable[..., int]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of a second with captions."""
    folder = tmp_path_factory.mktemp("captioned")
    rng = np.random.default_rng(0)
    for name in CAPTIONS:
        soundfile.write(folder / f"{name}.wav", noise_waveform(rng, 1, RATE).T, RATE)
    write_manifest(folder / "captions.csv", [{"caption": text} for text in CAPTIONS.values()])
    return folder


def write_manifest(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["clip_id", "path", "caption", "mids"], restval="")
        table.writeheader()
        for name, row in zip(CAPTIONS, rows, strict=True):
            table.writerow({"clip_id": name, "path": f"{name}.wav"} | row)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Anchors of half a second of three classes, with conditions in the embedded tagger's space."""
    folder = tmp_path_factory.mktemp("shards")
    queries = load_class_queries("default")
    rng = np.random.default_rng(0)
    anchors = []
    for name in ("Dog", "Rain", "Music"):
        index = load_ontology().find(name).class_index
        assert index is not None
        anchors.append(
            Anchor(
                clip_id=name,
                class_index=index,
                start_seconds=0.0,
                score=0.5,
                waveform=noise_waveform(rng, 1, RATE // 2)[0],
                labels=(index,),
                tag_probabilities=np.zeros(NUM_CLASSES, np.float32),
                conditions={queries.space: rng.standard_normal(384).astype(np.float32)},
            )
        )
    settings = ShardSettings(
        RATE, RATE // 2, NUM_CLASSES, "none", "0" * 16, {queries.space: 384}, {}
    )
    write_shard(shard_path(folder, 0, len(anchors)), anchors, [], settings)
    return folder


@pytest.fixture
def uss_train(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Runs the small recipe on the four clips."""
    monkeypatch.setattr("sys.argv", ["uss-train"])

    def run(*more: object, root: str = "run") -> int:
        options: dict[str, object] = {
            "--trainer.default_root_dir": tmp_path / root,
            "--trainer.max_steps": 2,
            "--data.batch_size": 2,
            "--data.captions.manifest": folder / "captions.csv",
            "--data.captions.audio_root": folder,
            "--data.captions.seconds": 0.6,
            **{f"--model.model.init_args.{name}": value for name, value in SMALL.items()},
        }
        words = [part for pair in options.items() for part in pair]
        # Training seeds the global generators; other tests must not notice.
        with torch.random.fork_rng():
            return train([str(w) for w in ("--config", "bimodal", *QUIET, *words, *more)])

    return run


def refusal(status: int, capsys: pytest.CaptureFixture[str]) -> str:
    assert status == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_a_run_of_captions_alone_leaves_a_bundle_that_separates(
    uss_train: Train, folder: Path, tmp_path: Path
) -> None:
    assert uss_train("--data.num_workers", 1) == 0
    file = tmp_path / "run" / "bundle.safetensors"
    bundle = load_bundle(file)
    assert bundle.separator is not None and not bundle.separator.joint
    assert bundle.provenance["captioned clips"] == 4 and "anchors" not in bundle.provenance
    out = tmp_path / "out"
    words = [folder / "a.wav", "--model", file, "--text", "a dog barks", "--class", "Rain"]
    assert separate([str(w) for w in (*words, "-o", out, "--device", "cpu")]) == 0
    stems = {path.stem for path in (out / "a" / "queries").glob("*.wav")}
    assert {"Rain", "residual"} < stems and len(stems) == 3
    total = sum(soundfile.read(path)[0] for path in (out / "a" / "queries").glob("*.wav"))
    np.testing.assert_allclose(total, soundfile.read(folder / "a.wav")[0], atol=1e-3)


def test_a_resumed_run_with_anchors_in_turn_equals_one_without_a_break(
    uss_train: Train, shards: Path, tmp_path: Path
) -> None:
    options = ("--data.shards", shards, "--model.decay", "none", "--data.anchor_ratio", "0.5")
    options += ("--checkpoint.every_n_train_steps", "1", "--data.disjoint", "any")
    assert uss_train(*options, "--trainer.max_steps", 4, root="whole") == 0
    assert uss_train(*options, "--trainer.max_steps", 3, root="parts") == 0
    assert checkpoint(tmp_path / "parts")["global_step"] == 3
    more = ("--trainer.max_steps", 4, "--ckpt_path", "last")
    assert uss_train(*options, *more, root="parts") == 0
    assert_equal_runs(tmp_path / "whole", tmp_path / "parts")
    # The judge is no part of what is trained or kept.
    assert not any("judge" in name for name in checkpoint(tmp_path / "parts")["state_dict"])
    bundle = load_bundle(tmp_path / "whole" / "bundle.safetensors")
    assert bundle.provenance["anchors"] == 3 and bundle.provenance["captioned clips"] == 4


def test_labels_are_enough_where_there_are_no_captions(
    uss_train: Train, folder: Path, tmp_path: Path
) -> None:
    find = load_ontology().find
    path = tmp_path / "labels.csv"
    labels = ("Dog", "Rain"), ("Music",), ("Speech", "Siren"), ("Cat", "Bird")
    rows = [{"mids": ";".join(find(name).mid for name in names)} for names in labels]
    write_manifest(path, rows)
    losses: list[dict[str, torch.Tensor]] = []
    original = BiModalError.__call__

    def kept(self: BiModalError, *arguments: Any) -> dict[str, torch.Tensor]:
        losses.append(original(self, *arguments))
        return losses[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BiModalError, "__call__", kept)
        assert uss_train("--data.captions.manifest", path, "--trainer.max_steps", 1) == 0
    (found,) = losses
    assert all(float(found[name]) > 0.0 for name in ("reconstruction", "consistency", "contrast"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--data.captions", "null"), "nothing to train on; set data.shards, or data.captions"),
        (("--data.anchor_ratio", "1.5"), "anchor_ratio 1.5 is not in [0, 1]"),
        (("--data.captions.manifest", "nowhere.csv"), "nowhere.csv: no such manifest"),
        (("--data.captions.queries", "nobody"), "nobody: no such file"),
        (("--data.captions.seconds", "0.01"), "mixtures of 0.01 s are too short"),
        (("--data.captions.gain", "[1.0, .inf]"), "two positive factors"),
        (("--model.objective.init_args.judge.init_args.tagger", "nobody"), "nobody: no such file"),
        (("--model.objective.init_args.contrast_weight", "-1"), "weights [5.0, 5.0, -1.0, 100.0]"),
        (
            (
                *("--data.condition_space", "own-384"),
                *("--model.model.init_args.condition_space", "own-384"),
            ),
            "the separator takes 'own-384'; name a model of that space (data.captions.queries)",
        ),
    ],
)
def test_what_cannot_work_is_one_line(
    uss_train: Train,
    more: tuple[str, ...],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert said in refusal(uss_train(*more), capsys)
    assert not (tmp_path / "run" / "bundle.safetensors").exists()


def test_captions_in_another_language_are_refused(
    uss_train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "german.csv"
    write_manifest(path, [{"caption": "ein Hund bellt und es regnet"}] * 4)
    line = refusal(uss_train("--data.captions.manifest", path), capsys)
    assert "none of its first 4 captions is understood, such as 'ein Hund bellt" in line
    assert "captions are in English" in line


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(
    "section", ["data", "data.captions", "model.model.init_args", "model.objective.init_args"]
)
def test_an_unknown_key_is_refused(
    recipe: str,
    section: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["uss-train"])
    changed: dict[str, Any] = {"nobody_reads_this": 1}
    for name in reversed(section.split(".")):
        changed = {name: changed}
    file = tmp_path / "changed.yaml"
    file.write_text(yaml.safe_dump({"base": str(shipped_recipes()[recipe]), **changed}))
    with torch.random.fork_rng():
        assert train(["--config", str(file), "--trainer.accelerator", "cpu"]) == 2
    assert "nobody_reads_this" in capsys.readouterr().err


def test_the_published_recipe_is_the_published_system() -> None:
    content = read_recipe("bimodal_published")
    model, objective = content["model"]["model"], content["model"]["objective"]["init_args"]
    with torch.device("meta"):
        network = BACKBONES["BiModalUNet"](**model["init_args"])
    assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(87.7, abs=0.1)
    assert network.condition_space == content["data"]["condition_space"]
    assert (network.sample_rate, network.segment_seconds * 16_000) == (16_000, 131_070)
    weights = [
        objective[f"{name}_weight"] for name in ("reconstruction", "consistency", "contrast")
    ]
    assert weights == [5.0, 5.0, 0.5]
    assert "contrast" not in objective
    captions = content["data"]["captions"]
    assert (captions["num_mixtures"], captions["num_phrases"]) == (2, 3)
    training = content["model"]
    assert training["learning_rate"] == training["weight_decay"] == 1e-4
    assert (training["optimiser"], training["decay"]) == ("adam", "stepped")
    # 200 epochs, a tenth every 15; a batch has 16 of AudioCaps' captions.
    epoch = 49_838 // 16
    assert content["trainer"]["max_steps"] == 200 * epoch
    assert training["decay_every_steps"] == 15 * epoch and training["decay_factor"] == 0.1


def blank_clap(shared: Path, path: Path) -> Path:
    """Write a CLAP of zeros, which take no memory, but that vectors of texts and audio are ones."""
    table = json.loads((shared / "systems" / "shapes" / "clap_laion_to_hf.json").read_text())
    shapes = {name: tuple(entry["shape"]) for name, entry in table.items()}
    state = {f"module.{name}": torch.zeros(()).expand(shape) for name, shape in shapes.items()}
    for branch in ("text", "audio"):
        state[f"module.{branch}_projection.2.bias"] = torch.ones(512)
    torch.save({"state_dict": state}, path)
    return path


@pytest.fixture
def published(shared: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Runs the published recipe with a small network and a CLAP of zeros."""
    pytest.importorskip("transformers")
    monkeypatch.setattr("sys.argv", ["uss-train"])
    write_tokenizers(tmp_path / "cache", monkeypatch)
    clap = blank_clap(shared, tmp_path / "clap.pt")
    options: dict[str, object] = {
        "--trainer.max_steps": 1,
        "--data.batch_size": 1,
        "--data.captions.manifest": folder / "captions.csv",
        "--data.captions.audio_root": folder,
        "--data.captions.text_encoder": clap,
        "--data.captions.num_phrases": 1,
        "--model.model.init_args.width": 2,
        "--model.model.init_args.segment_seconds": 0.5,
        "--model.objective.init_args.judge.init_args.clap": clap,
    }
    words = [str(part) for pair in options.items() for part in pair]

    def run(*more: object, root: str = "run") -> int:
        all_words = (*QUIET, "--trainer.default_root_dir", tmp_path / root, *words, *more)
        with torch.random.fork_rng():
            return train(["--config", "bimodal_published", *map(str, all_words)])

    return run


def test_the_published_recipe_takes_a_step_and_is_asked_in_words(
    published: Train, folder: Path, tmp_path: Path
) -> None:
    assert published() == 0
    file = tmp_path / "run" / "bundle.safetensors"
    bundle = load_bundle(file)
    assert bundle.class_queries is None and bundle.template == "The sound of {lower}"
    out, clap = tmp_path / "out", tmp_path / "clap.pt"
    asked = [folder / "a.wav", "--model", file, "--text-encoder", clap, "--text", "a dog barks"]
    assert separate([str(w) for w in (*asked, "-o", out, "--device", "cpu")]) == 0
    assert len(list((out / "a" / "queries").glob("*.wav"))) == 2


def test_the_published_recipe_with_anchors_goes_on_after_a_break(
    published: Train, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the judge, whose hearing takes long."""
    options: tuple[object, ...] = (
        *("--data.shards", shards, "--data.disjoint", "any", "--data.batch_size", "2"),
        *("--model.objective.init_args.contrast_weight", "0", "--model.decay_every_steps", "1"),
        *("--checkpoint.every_n_train_steps", "1"),
    )
    options += ("--trainer.max_steps", "2")
    assert published(*options, "--checkpoint.save_top_k", "-1", root="whole") == 0
    broken_off = tmp_path / "whole" / "checkpoints" / "step1.ckpt"
    assert published(*options, "--ckpt_path", broken_off, root="parts") == 0
    assert_equal_runs(tmp_path / "whole", tmp_path / "parts")
    (optimiser,) = checkpoint(tmp_path / "whole")["optimizer_states"]
    assert not optimiser["param_groups"][0]["decoupled_weight_decay"]
    assert optimiser["param_groups"][0]["lr"] == pytest.approx(1e-6)
    bundle = load_bundle(tmp_path / "whole" / "bundle.safetensors")
    # Anchors were asked for by name; whoever separates has an encoder of his own.
    assert bundle.class_queries is None
    assert bundle.provenance["anchors"] == 3 and bundle.provenance["captioned clips"] == 4
    resumed = ("--ckpt_path", "last", "--model.optimiser", "adamw")
    other = published(*options, *resumed, root="parts")
    assert "go on with --model.optimiser adam" in refusal(other, capsys)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--data.num_sources", "3"), "set data.num_sources to 2"),
        (("--data.template", "a sound"), "does not say where the class's name goes"),
    ],
)
def test_anchors_are_asked_for_one_by_one_where_words_are_read(
    more: tuple[str, ...],
    said: str,
    published: Train,
    shards: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert said in refusal(published("--data.shards", shards, *more), capsys)
