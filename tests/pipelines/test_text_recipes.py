"""Recipes of separators that are asked in words: mined with filled encoders, trained for a step."""

import csv
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml

from ontology import load_ontology
from pipelines import mine_anchors
from pipelines.recipes import read_mining, read_recipe, shipped_recipes
from pipelines.train import main as train
from tests.pipelines.conftest import noise_waveform, tiny_tagger
from tests.text_models import as_laion, filled, filled_clap, write_tokenizers
from uss.checkpoints.bundle import load_bundle
from uss.checkpoints.loading import save_tagger
from uss.checkpoints.text_loading import load_text_encoder
from uss.core.runtime import Runtime
from uss.models import BACKBONES
from uss.separation.separator import Separator
from uss.shards import ShardReader
from uss.taggers import EfficientAT

transformers = pytest.importorskip("transformers")

RATE = 32_000
CLASSES = ("Dog", "Music", "Rain", "Cat")
CAPTIONS = {"Dog": "the dog barks", "Rain": "rain", "Music": "a photo of the music"}
SMALL = {
    "audiosep": {"channels": "[4, 4, 4, 4, 4, 4]", "n_fft": "512"},
    "lass_net": {"channels": "[4, 4, 4, 4, 4, 4]", "text_size": "8"},
    "clipsep": {"width": "4"},
}
SPACES = {
    "audiosep": {"clap-512": 512, "clap-512-text": 512},
    "lass_net": {"bert-mini-256": 256},
    "clipsep": {"clip-512": 512},
}
LEARNED_ALWAYS = {
    "audiosep": "model.film.encoder_block1->conv_block1->beta1.weight",
    "lass_net": "model.text_embedder.linear_layer.0.weight",
    "clipsep": "model.frame_net.weight",
}
RECIPES = list(SPACES)


@dataclass(frozen=True)
class Mined:
    """What a recipe's mining has left."""

    recipe: str
    shards: Path
    tagger: Path
    encoder: Path


def deaf_tagger() -> EfficientAT:
    """A tagger that hears nothing, so that no two clips are said to hold the same."""
    tagger = tiny_tagger()
    last = tagger.classifier[-1]
    assert isinstance(last, torch.nn.Linear)
    torch.nn.init.constant_(last.bias, -20.0)
    return tagger


@pytest.fixture(scope="module", params=RECIPES)
def recipe(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def encoder_files(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Writes the text encoder of a recipe, as it was published, filled by the names of entries."""
    folder = tmp_path_factory.mktemp("encoders")

    def laion() -> dict[str, Any]:
        state = as_laion(shared, filled_clap(shared))
        return {"state_dict": {f"module.{name}": value for name, value in state.items()}}

    def bert() -> dict[str, Any]:
        prefix = "module.text_embedder.bert_layer."
        state = filled(shared, "lassnet")
        return {n.replace(prefix, "bert."): v for n, v in state.items() if n.startswith(prefix)}

    def clip() -> dict[str, Any]:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            config = transformers.CLIPTextConfig(projection_dim=512)
            return dict(transformers.CLIPTextModelWithProjection(config).state_dict())

    makers = {"audiosep": laion, "lass_net": bert, "clipsep": clip}

    def write(recipe: str) -> Path:
        path = folder / f"{recipe}.pt"
        torch.save(makers[recipe](), path)
        return path

    return write


@pytest.fixture(scope="module")
def mined(
    recipe: str, encoder_files: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Mined:
    """Four clips, three of them with captions, mined as the recipe says but for its networks."""
    folder = tmp_path_factory.mktemp(recipe)
    ontology = load_ontology()
    seconds = read_mining(recipe)["segment_seconds"] + 0.5
    rng = np.random.default_rng(0)
    with (folder / "clips.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["clip_id", "path", "mids", "caption"])
        for name in CLASSES:
            noise = noise_waveform(rng, 1, round(seconds * RATE))
            soundfile.write(folder / f"{name}.wav", noise.T, RATE)
            mid = ontology.find(name).mid
            table.writerow([name, f"{name}.wav", mid, CAPTIONS.get(name, "")])
    tagger, encoder = folder / "tiny.safetensors", encoder_files(recipe)
    save_tagger(tagger, deaf_tagger(), licence="CC0-1.0", provenance={})
    (kind,) = [name.partition(":")[0] for name in read_mining(recipe)["encoder"]]
    with pytest.MonkeyPatch.context() as patch:
        write_tokenizers(folder / "cache", patch)
        command = [folder / "clips.csv", "--recipe", recipe, "--audio-root", folder]
        networks = ["--tagger", tagger, "--encoder", f"{kind}:{encoder}", "--device", "cpu"]
        words = [*command, *networks, "-o", folder / "shards"]
        status = mine_anchors.main([str(word) for word in words])
    assert status == 0
    return Mined(recipe, folder / "shards", tagger, encoder)


@pytest.mark.slow
def test_shards_hold_what_audio_and_words_are_in_their_spaces(
    mined: Mined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tokenizers(tmp_path, monkeypatch)
    encoder = load_text_encoder(mined.encoder)
    spaces = SPACES[mined.recipe]
    *_, of_texts = spaces
    with ShardReader(mined.shards) as reader:
        assert reader.settings.spaces == spaces
        assert len(reader) == len(CLASSES)
        said = reader.conditions(of_texts)
        # A clip without a caption is called by its labels.
        expected = encoder.encode([CAPTIONS.get(name, name) for name in reader.clip_id])
        np.testing.assert_allclose(said, expected, atol=1e-2, rtol=1e-3)
        assert np.abs(said[0] - said[1]).max() > 1e-3
        if mined.recipe == "audiosep":
            heard = reader.conditions("clap-512")
            waveforms = np.stack([reader.waveform(row) for row in range(2)])
            with torch.inference_mode():
                made = encoder.ears(torch.from_numpy(waveforms))  # type: ignore[attr-defined]
            np.testing.assert_allclose(heard[:2], made, atol=2e-3)
            np.testing.assert_allclose(np.linalg.norm(heard, axis=1), 1.0, atol=1e-3)
    for space in spaces:
        queries = load_bundle(mined.shards / f"queries-{space}.safetensors").class_queries
        # They lie beside those of audio, and ask the same separators.
        assert queries is not None and queries.space == space.removesuffix("-text")


@pytest.mark.slow
def test_one_step_trains_without_a_text_network_and_leaves_a_bundle(
    mined: Mined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["uss-train"])
    for package in ("transformers", "tokenizers"):
        monkeypatch.setitem(sys.modules, package, None)
    small = SMALL[mined.recipe]
    options = {
        "--trainer.accelerator": "cpu",
        "--trainer.default_root_dir": tmp_path,
        "--trainer.max_steps": 1,
        "--trainer.enable_progress_bar": "false",
        "--trainer.enable_model_summary": "false",
        "--data.shards": mined.shards,
        "--data.batch_size": 2,
        "--export.tagger": mined.tagger,
        **{f"--model.model.init_args.{name}": value for name, value in small.items()},
    }
    words = [part for name, value in options.items() for part in (name, str(value))]
    before: dict[str, torch.Tensor] = {}

    def keep(task: Any) -> None:
        before.update({n: p.detach().clone() for n, p in task.named_parameters()})

    monkeypatch.setattr("uss.training.module.SeparationTask.on_train_start", keep)
    # Training seeds the global generators; other tests must not notice.
    with torch.random.fork_rng():
        assert train(["--config", mined.recipe, *words]) == 0
    bundle = load_bundle(tmp_path / "bundle.safetensors")
    assert bundle.separator is not None and bundle.class_queries is not None
    after = {f"model.{n}": p for n, p in bundle.separator.named_parameters()}
    assert not torch.equal(after[name := LEARNED_ALWAYS[mined.recipe]], before[name])
    space = bundle.separator.condition_space
    assert space in SPACES[mined.recipe]
    assert bundle.class_queries.space == space
    assert bundle.template == read_recipe(mined.recipe)["export"].get("template", "{name}")
    # It separates by class with what the captions of its clips were.
    separator = Separator(bundle, runtime=Runtime(torch.device("cpu"), torch.float32))
    waveform = noise_waveform(np.random.default_rng(1), 1, RATE)
    stems = separator.separate(waveform, RATE, classes=["Dog"], threshold=0.0)
    total = stems["Dog"] + stems.residual
    np.testing.assert_allclose(total, waveform, atol=1e-6)


def test_a_recipe_builds_its_model_at_full_size(recipe: str) -> None:
    content = read_recipe(recipe)
    model, mining = content["model"]["model"], content["mining"]
    kind = BACKBONES[model["class_path"].rpartition(".")[2]]
    with torch.device("meta"):
        network = kind(**model["init_args"])
    millions = sum(each.numel() for each in network.parameters()) / 1e6
    # The released files: 39.06 less 12.6 of transform kernels; 63.4 less a BERT of 11.1; 30.3.
    assert millions == pytest.approx(
        {"audiosep": 26.46, "lass_net": 52.3, "clipsep": 30.3}[recipe], rel=0.01
    )
    assert network.condition_space == content["data"]["condition_space"]
    assert network.segment_seconds == mining["segment_seconds"]
    assert network.sample_rate == content["data"].get("sample_rate", RATE)


def test_the_released_text_tower_is_what_lass_net_lacks(shared: Path) -> None:
    import json

    shapes = json.loads((shared / "systems" / "shapes" / "lassnet.shapes.json").read_text())
    assert len(shapes) == 696
    own = {n.removeprefix("module.") for n in shapes if "bert_layer" not in n}
    with torch.device("meta"):
        network = BACKBONES["LASSNet"]("bert-mini-256", 256)
    assert own == set(network.state_dict())


@pytest.mark.parametrize(
    "section", ["data", "mining", "model", "export", "model.model.init_args", "data.joint"]
)
def test_an_unknown_key_is_refused(
    recipe: str,
    section: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if section == "data.joint" and recipe != "clipsep":
        pytest.skip("it mixes two sources by itself")
    monkeypatch.setattr("sys.argv", ["uss-train"])
    changed: dict[str, Any] = {"nobody_reads_this": 1}
    for name in reversed(section.split(".")):
        changed = {name: changed}
    file = tmp_path / "changed.yaml"
    file.write_text(yaml.safe_dump({"base": str(shipped_recipes()[recipe]), **changed}))
    with torch.random.fork_rng():
        assert train(["--config", str(file), "--trainer.accelerator", "cpu"]) == 2
    assert "nobody_reads_this" in capsys.readouterr().err


def test_steps_of_the_schedule_are_audioseps() -> None:
    from uss.training.schedules import stepped_warm_up

    model: Mapping[str, Any] = read_recipe("audiosep")["model"]
    assert (model["warm_up"], model["warm_up_steps"], model["amsgrad"]) == ("stepped", 30_000, True)
    factor = stepped_warm_up(30_000)
    steps = (0, 9_999, 10_000, 19_999, 20_000, 29_999, 30_000, 4_000_000)
    expected = (1e-3, 1e-3, 1e-2, 1e-2, 1e-1, 1e-1, 1.0, 1.0)
    assert [factor(step) for step in steps] == pytest.approx(expected)
