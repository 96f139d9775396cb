"""Recipes of generative separators: their parts in turn, resumed runs, bundles that separate."""

import csv
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from torch import Tensor

from ontology import load_ontology
from pipelines import mine_anchors
from pipelines.recipes import read_mining, read_recipe, shipped_recipes
from pipelines.train import main
from tests.flowsep_files import checkpoint as released
from tests.flowsep_files import narrow_text, write_t5_tokenizer
from tests.pipelines.conftest import noise_waveform, tiny_tagger, write_tone_shard
from tests.pipelines.test_resume import assert_equal_runs, checkpoint
from uss.checkpoints.bundle import load_bundle
from uss.checkpoints.loading import save_tagger
from uss.checkpoints.text_loading import load_text_encoder
from uss.conditions.embedding import EmbeddingEncoder
from uss.conditions.flan_t5 import MAX_TOKENS
from uss.models import BACKBONES, LatentSeparator
from uss.shards import ShardReader

Train = Callable[..., int]
Separate = Callable[..., int]

UNET, VAE, VOCODER = "model.", "first_stage_model.", "first_stage_model.vocoder."
KINDS = {
    "flowsep": "FlowSep",
    "flowsep_vae": "FlowSep",
    "flowsep_vocoder": "FlowSep",
    "diffusionsep": "DiffusionSep",
}
RECIPES = list(KINDS)
SECONDS = 0.32
INIT_ARGS = {
    **{"unet_base": 32, "vae_base": 32, "vocoder_channels": 32},
    **{"num_tokens": 1, "segment_seconds": SECONDS},
}
COMMON = (
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--trainer.enable_model_summary", "false", "--trainer.log_every_n_steps", "1"),
    *("--data.batch_size", "4"),
    # Averages of the published decay would hardly move.
    *("--trainer.callbacks.decay", "0.5"),
)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    encoder = EmbeddingEncoder(tiny_tagger())
    folder = tmp_path_factory.mktemp("generative")
    for name, seed in (("train", 0), ("validation", 1)):
        write_tone_shard(folder / name, encoder.space, encoder.size, seed, SECONDS)
    return folder


@pytest.fixture
def train(
    tmp_path: Path, shards: Path, tagger_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Train:
    """Runs a recipe at small sizes, asked with a tagger's vectors."""
    monkeypatch.setattr("sys.argv", ["uss-train"])
    encoder = EmbeddingEncoder(tiny_tagger())
    sizes = {**INIT_ARGS, "condition_space": encoder.space, "condition_size": encoder.size}

    def run(recipe: str, *options: str | Path, root: str = "run", **changes: object) -> int:
        changed = {"base": str(shipped_recipes()[recipe]), "mining": None}
        described = read_recipe(recipe)["model"]["model"]
        changed["model"] = {
            "model": {
                "class_path": described["class_path"],
                "init_args": {**sizes, **changes},
            }
        }
        changed["data"] = {"condition_space": encoder.space, "shards": str(shards / "train")}
        file = tmp_path / f"{recipe}.yaml"
        file.write_text(yaml.safe_dump(changed))
        words = ("--config", file, "--trainer.default_root_dir", tmp_path / root)
        # Training seeds the global generators; other tests must not notice.
        with torch.random.fork_rng():
            return main(
                [str(w) for w in (*words, *COMMON, "--export.tagger", tagger_file, *options)]
            )

    return run


def separator_of(root: Path) -> LatentSeparator:
    separator = load_bundle(root / "bundle.safetensors").separator
    assert isinstance(separator, LatentSeparator)
    return separator


def changed_entries(first: dict[str, Tensor], second: dict[str, Tensor]) -> set[str]:
    return {name for name, value in first.items() if not torch.equal(value, second[name])}


def is_learned_by(recipe: str, name: str) -> bool:
    if recipe == "flowsep_vocoder":
        return name.startswith(VOCODER)
    if recipe == "flowsep_vae":
        return name.startswith(VAE) and not name.startswith(VOCODER)
    return name.startswith(UNET)


def refusal(status: int, capsys: pytest.CaptureFixture[str]) -> str:
    assert status == 2
    lines = capsys.readouterr().err.splitlines()
    (line,) = [line for line in lines if line.startswith("uss-train: ")]
    return line


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_part_is_trained_goes_on_after_a_break_and_ends_with_a_bundle_that_separates(
    recipe: str,
    train: Train,
    separate: Separate,
    write_noise: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before: dict[str, Tensor] = {}

    def keep(task: Any) -> None:
        if not before:
            before.update({n: v.clone() for n, v in task.model.state_dict().items()})

    monkeypatch.setattr("uss.training.module.SeparationTask.on_train_start", keep)
    # Behind layers that begin as zeros nothing moves before the third step.
    steps = ("--trainer.max_steps", "3", "--checkpoint.every_n_train_steps", "1")
    assert train(recipe, *steps, "--checkpoint.save_top_k", "-1", root="whole") == 0
    broken_off = tmp_path / "whole" / "checkpoints" / "step2.ckpt"
    assert train(recipe, *steps, "--ckpt_path", broken_off, root="parts") == 0
    assert checkpoint(tmp_path / "parts")["global_step"] == 3
    assert_equal_runs(tmp_path / "whole", tmp_path / "parts")
    separator = separator_of(tmp_path / "whole")
    assert type(separator) is BACKBONES[KINDS[recipe]]
    moved = changed_entries(before, separator.state_dict())
    assert moved and all(is_learned_by(recipe, name) for name in moved)
    # All of a part learns but filters, and what scores tokens, of which there is one.
    still = {name for name in before if is_learned_by(recipe, name)} - moved
    assert all(
        name.endswith(".filter") or ".attn2.to_" in name or "norm2" in name for name in still
    )
    source = write_noise(tmp_path / "scene.wav", 0.4, num_channels=2)
    bundle = tmp_path / "whole" / "bundle.safetensors"
    asked = ("--class", "Dog", "--text", "rain", "--threshold", "0", "--steps", "1")
    assert separate(source, "--model", bundle, *asked) == 0
    folder = tmp_path / "out" / "scene" / "queries"
    stems = {path.stem: soundfile.read(path)[0] for path in folder.glob("*.wav")}
    assert len(stems) == 3 and "residual" in stems
    given = soundfile.read(source)[0]
    assert all(stem.shape == given.shape for stem in stems.values())
    np.testing.assert_allclose(sum(stems.values()), given, atol=1e-3)
    assert np.abs(stems["Dog"]).max() > 0.0


def test_parts_are_trained_in_turn(train: Train, tmp_path: Path) -> None:
    """Each run takes what the one before has left; the last one fixes the scale of latents."""
    order = ("flowsep_vae", "flowsep_vocoder", "flowsep")
    options: tuple[Any, ...] = ()
    for recipe in order:
        assert train(recipe, "--trainer.max_steps", "1", *options, root=recipe) == 0
        options = ("--model.init_from", tmp_path / recipe / "bundle.safetensors")
    vae, vocoder, flow = (separator_of(tmp_path / recipe).state_dict() for recipe in order)
    assert {name.startswith(VOCODER) for name in changed_entries(vae, vocoder)} == {True}
    moved = changed_entries(vocoder, flow)
    assert "scale_factor" in moved
    assert all(name.startswith(UNET) for name in moved - {"scale_factor"})
    assert float(vocoder["scale_factor"]) == 1.0 and 0.0 < float(flow["scale_factor"]) != 1.0
    # Another run on it keeps the scale.
    assert train("flowsep", "--trainer.max_steps", "1", *options, root="again") == 0
    again = separator_of(tmp_path / "again").state_dict()
    assert torch.equal(again["scale_factor"], flow["scale_factor"])


def test_validation_measures_the_objectives_own_errors(
    train: Train, shards: Path, tmp_path: Path
) -> None:
    options = ("--data.validation_shards", shards / "validation", "--trainer.max_steps", "1")
    options += ("--data.num_validation_mixtures", "3", "--trainer.val_check_interval", "1")
    figures = []
    for root in ("first", "second"):
        assert train("flowsep", *options, root=root) == 0
        told = load_bundle(tmp_path / root / "bundle.safetensors").provenance["validation"]
        figures.append(told)
    assert figures[0] == figures[1]
    names = ("oracle", "class average", "asked for the other")
    assert set(figures[0]) == {f"validation/error {name}" for name in names}
    assert all(0.1 < value < 100.0 for value in figures[0].values())
    assert train("flowsep_vae", *options, root="vae") == 0
    told = load_bundle(tmp_path / "vae" / "bundle.safetensors").provenance["validation"]
    assert set(told) == {"validation/loss", "validation/mel", "validation/kl"}


@pytest.mark.parametrize("layout", ["checkpoint", "parts", "vae alone"])
def test_fine_tuning_begins_with_released_weights(
    layout: str, train: Train, shared: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = released(shared)
    source = tmp_path / "flowsep.ckpt"
    if layout == "checkpoint":
        torch.save({"state_dict": state}, source)
    else:
        own = {n.removeprefix(VAE): v for n, v in state.items() if n.startswith(VAE)}
        vae = {n: v for n, v in own.items() if not n.startswith(("vocoder.", "loss."))}
        source = tmp_path / "parts"
        source.mkdir()
        torch.save({"state_dict": vae}, source / "vae.ckpt")
        if layout == "vae alone":
            source = source / "vae.ckpt"
        else:
            rest = {n: v for n, v in state.items() if n.removeprefix(VAE) not in vae}
            torch.save({"state_dict": rest}, source / "flow.ckpt")
    # The narrow layout's vocoder has 64 channels.
    with caplog.at_level(logging.INFO):
        options = ("--model.init_from", source, "--trainer.max_steps", "1")
        assert train("flowsep", *options, vocoder_channels=64) == 0
    own_state = separator_of(tmp_path / "run").state_dict()
    encoder = f"{VAE}encoder.conv_in.weight"
    assert torch.equal(own_state[encoder], state[encoder])
    assert "as they were drawn" in caplog.text
    if layout == "vae alone":
        return
    # Entries of the U-Net start at the averages; those that read tokens of another size do not.
    name = "model.diffusion_model.out.2.bias"
    averaged = state["model_ema.diffusion_modelout2bias"]
    assert (own_state[name] - averaged).abs().max() < 1e-3
    assert (own_state[name] - state[name]).abs().max() > 1e-3
    assert float(own_state["scale_factor"]) == pytest.approx(0.25)


def test_what_cannot_be_trained_so_is_refused(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = ("--model.objective", "uss.training.latent_objectives.NoiseError")
    assert "NoiseError trains a DiffusionSep, not a FlowSep" in refusal(
        train("flowsep", *other), capsys
    )
    said = refusal(train("flowsep", segment_seconds=0.5), capsys)
    assert "segments of 0.5 s are no multiple of 0.32 s" in said
    said = refusal(train("flowsep", "--model.objective.unasked", "1.5"), capsys)
    assert "unasked 1.5" in said
    said = refusal(train("flowsep_vae", "--model.objective.kl_weight", "-1"), capsys)
    assert "kl_weight -1" in said
    assert not (tmp_path / "run" / "bundle.safetensors").exists()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_that_of_the_released_network(recipe: str) -> None:
    content = read_recipe(recipe)
    described = content["model"]["model"]
    with torch.device("meta"):
        model = BACKBONES[described["class_path"].rpartition(".")[2]](**described["init_args"])
    assert type(model).__name__ == KINDS[recipe]
    # 265.6, 55.4 and 14.0 million, with the VAE's buffers.
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert millions == pytest.approx(335.0, rel=0.01)
    mining, data = read_mining(recipe), content["data"]
    assert mining["segment_seconds"] == model.segment_seconds == 10.24
    assert data["sample_rate"] == model.sample_rate
    assert data["condition_space"] == model.condition_space == "flan-t5-large-50"
    assert model.condition_size == MAX_TOKENS * (1024 + 1)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("section", ["data", "model.model.init_args", "model.objective.init_args"])
def test_an_unknown_key_is_refused(
    recipe: str, section: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed: dict[str, Any] = {"nobody_reads_this": 1}
    for name in reversed(section.split(".")):
        changed = {name: changed}
    file = tmp_path / "changed.yaml"
    file.write_text(yaml.safe_dump({"base": str(shipped_recipes()[recipe]), **changed}))
    with torch.device("meta"):
        status = main(["--config", str(file), "--trainer.default_root_dir", str(tmp_path / "run")])
    assert status == 2
    assert "nobody_reads_this" in capsys.readouterr().err


@pytest.mark.slow
def test_words_of_flan_t5_are_mined_trained_with_and_asked_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, separate: Separate
) -> None:
    """The recipe as it is, at small sizes; classes are asked for in words, never by averages."""
    pytest.importorskip("transformers")
    write_t5_tokenizer(tmp_path / "cache", monkeypatch)
    encoder, tagger = tmp_path / "t5.bin", tmp_path / "tiny.safetensors"
    torch.save(narrow_text(1), encoder)
    save_tagger(tagger, tiny_tagger(heard=()), licence="CC0-1.0", provenance={})
    rng = np.random.default_rng(0)
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["clip_id", "path", "mids", "caption"])
        for name, caption in (("Dog", "the dog barks"), ("Rain", "rain"), ("Music", "")):
            soundfile.write(tmp_path / f"{name}.wav", noise_waveform(rng, 1, 16_000).T, 32_000)
            table.writerow([name, f"{name}.wav", load_ontology().find(name).mid, caption])
    shards = tmp_path / "shards"
    words = [tmp_path / "clips.csv", "--recipe", "flowsep", "--audio-root", tmp_path]
    words += ["--segment-seconds", "0.64", "--tagger", tagger, "--device", "cpu"]
    words += ["--encoder", f"flan-t5:{encoder}", "-o", shards]
    assert mine_anchors.main([str(word) for word in words]) == 0
    assert not (shards / "queries-flan-t5-large-50.safetensors").exists()
    with ShardReader(shards) as reader:
        assert reader.settings.spaces == {"flan-t5-large-50": 51_250}
        said = reader.conditions("flan-t5-large-50")
        captions = {"Dog": "the dog barks", "Rain": "rain", "Music": "Music"}
        expected = load_text_encoder(encoder).encode([captions[name] for name in reader.clip_id])
        np.testing.assert_allclose(said, expected, atol=1e-2, rtol=1e-3)
    monkeypatch.setattr("sys.argv", ["uss-train"])
    sizes = {name: value for name, value in INIT_ARGS.items() if name != "num_tokens"}
    options = [f"--model.model.init_args.{name}={value}" for name, value in sizes.items()]
    options += ["--data.shards", shards, "--trainer.default_root_dir", tmp_path / "run"]
    options += ["--model.model.init_args.segment_seconds", "0.64"]
    options += ["--mining", "null", "--data.batch_size", "2", "--data.tag_threshold", "0.99"]
    options += ["--trainer.max_steps", "1", "--export.tagger", tagger, *COMMON[:6]]
    with torch.random.fork_rng():
        assert main([str(word) for word in ("--config", "flowsep", *options)]) == 0
        refused = [*options, "--data.validation_shards", shards]
        assert main([str(word) for word in ("--config", "flowsep", *refused)]) == 2
    bundle = tmp_path / "run" / "bundle.safetensors"
    assert load_bundle(bundle).class_queries is None
    source = tmp_path / "Dog.wav"
    asked = (source, "--model", bundle, "--text", "the dog barks", "--class", "Rain")
    drawn = ("--threshold", "0", "--steps", "1")
    assert separate(*asked, *drawn) == 2
    assert separate(*asked, *drawn, "--text-encoder", encoder) == 0
    assert len(list((tmp_path / "out" / "Dog" / "queries").glob("*.wav"))) == 3
