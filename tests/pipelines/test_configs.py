"""Every recipe of the package: built at full size, trained for a step at reduced width, mined for.

At reduced width CNN6 stands in for CNN14: it has the same front end, head and dropout. Recipes of
one configuration, such as the paper's own row in each table, share a build and a step.
"""

import copy
import csv
import functools
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import yaml

from ontology import load_ontology
from pipelines import mine_anchors
from pipelines.recipes import read_mining, read_recipe, shipped_recipes
from pipelines.train import TrainCLI, main
from uss.checkpoints.bundle import load_bundle
from uss.checkpoints.loading import load_model, load_tagger, save_tagger
from uss.checkpoints.published import PUBLISHED
from uss.conditions.embedding import EmbeddingEncoder
from uss.data.datamodule import ShardDataModule
from uss.mining.miner import MiningSettings
from uss.models import BACKBONES, MaskModel, SeparationModel
from uss.shards import Anchor, ShardReader, ShardSettings, shard_path, write_shard
from uss.taggers import (
    NUM_CLASSES,
    ONE_HOT_SPACE,
    PROBABILITY_SPACE,
    TAGGERS,
    Cnn6,
    Cnn10,
    EfficientAT,
    TaggerNetwork,
)
from uss.training.module import SeparationTask

IN_WORDS = {"audiosep", "lass_net", "clipsep", "bimodal", "bimodal_published"}
GENERATIVE = {"flowsep_vae", "flowsep_vocoder", "flowsep", "diffusionsep"}
ELSEWHERE = {"mixit", "features_amae", "emrpcnn"} | GENERATIVE
"""Recipes with a test file of their own."""
RECIPES = [name for name in shipped_recipes() if name not in IN_WORDS | ELSEWHERE]
MINED = [name for name in RECIPES if "mining" in read_recipe(name)]
QUERY_NETS = [name for name in RECIPES if "query_net" in read_recipe(name)["model"]]
PRETRAINED = ["table04_finetune", "table04_shortcut"]
LABEL_SPACES = (PROBABILITY_SPACE, ONE_HOT_SPACE)
SAMPLE_RATE = 32_000

SEPARATORS = {
    "default": "QueryUNet",
    "table05_open_unmix": "OpenUnmix",
    "table05_convtasnet": "ConvTasNet",
    "table05_unet": "UNet",
    "table05_resunet60": "ResUNet60",
}
"""All others train a ``ResUNet30``."""
MILLIONS = {
    "QueryUNet": 7.08,
    "ResUNet30": 21.4,
    "ResUNet60": 37.8,
    "UNet": 20.5,
    "ConvTasNet": 5.0,
    "OpenUnmix": 6.3,
}
"""Parameters without FiLM: 21.4 has the released ResUNet30, 5.1 says the paper of ConvTasNet."""
CNN14_PARAMETERS = 80_753_615
"""From the table of systems in the PANNs repository."""
SPEECH_SPACES = {"wav2vec2": "wav2vec2-512", "speaker": "wavlm-xvector-512"}
TAGGER_SPACES = {
    "cnn14": "cnn14-2048",
    "cnn10": "cnn10-512",
    "cnn6": "cnn6-512",
    "htsat": "htsat-768",
}
NUM_SOURCES = {"table08_3_sources": 3, "table08_4_sources": 4}
AUGMENTATIONS = {"table09_none": "none", "table09_random_gain": "random-gain"}
STEPS = {"default": 16_000, "table10_full": 1_000_000, "table10_full_long": 1_000_000}
SEGMENT_SECONDS = {
    "table06_0_5s": 0.5,
    "table06_1s": 1.0,
    "table06_4s": 4.0,
    "table06_6s": 6.0,
    "table06_8s": 8.0,
    "table06_10s": 10.0,
}

UssTrain = Callable[..., int]


def firsts(recipes: Iterable[str], kind: Callable[[dict[str, Any]], object]) -> dict[str, str]:
    """Recipe -> the first one of its kind."""
    found: dict[str, str] = {}
    return {
        recipe: found.setdefault(json.dumps(kind(read_recipe(recipe)), sort_keys=True), recipe)
        for recipe in recipes
    }


def without(content: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Leave dotted names out of a recipe."""
    left = copy.deepcopy(dict(content))
    for name in names:
        *path, last = name.split(".")
        functools.reduce(lambda part, key: part.get(key, {}), path, left).pop(last, None)
    return left


def shape(content: Mapping[str, Any]) -> dict[str, Any]:
    """Keys and classes of a recipe, without the other values."""
    return {
        key: shape(value) if isinstance(value, dict) else key == "class_path" and value
        for key, value in content.items()
    }


def run_train(
    folder: Path, recipe: str | Path, *options: str | Path
) -> tuple[int, TrainCLI | None]:
    """Run ``uss-train`` on the CPU into the folder ``run``; later options win.

    Returns the status and what was parsed and built.
    """
    built: list[TrainCLI] = []

    class RecordedCLI(TrainCLI):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            built.append(self)

    command = ["--config", str(recipe), "--trainer.accelerator", "cpu"]
    root = ["--trainer.default_root_dir", str(folder / "run")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["uss-train"])
        # Recipes name shards relative to the working folder, which may hold some.
        patch.chdir(folder)
        patch.setattr("pipelines.train.TrainCLI", RecordedCLI)
        # Training seeds the global generators; other tests must not notice.
        with torch.random.fork_rng():
            status = main([*command, *root, *map(str, options)])
    return status, built[-1] if built else None


@pytest.fixture
def uss_train(tmp_path: Path) -> UssTrain:
    """Runs ``uss-train`` on the CPU into the folder ``run`` of the test; later options win."""

    def run(recipe: str | Path, *options: str | Path) -> int:
        status, _ = run_train(tmp_path, recipe, *options)
        return status

    return run


def refusal(status: int, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line that says why; it comes last."""
    stderr = capsys.readouterr().err
    lines = [line for line in stderr.splitlines() if line.startswith("uss-train: ")]
    assert status == 2
    assert "Traceback" not in stderr
    assert len(lines) == 1, stderr
    assert stderr.rstrip().endswith(lines[0])
    return lines[0]


# At full size, without memory for the weights


ROOT_FOLDER = "trainer.default_root_dir"
SAME_CONFIGURATION = firsts(RECIPES, lambda content: without(content, [ROOT_FOLDER]))
"""Recipe -> the first with this configuration; the command line sets the root folder."""


@dataclass(frozen=True)
class Build:
    """All that ``uss-train`` has made before the first step, on the meta device.

    Attributes:
        cli: of the run.
        folder: in which it ran.
    """

    cli: TrainCLI
    folder: Path


@pytest.fixture(scope="session")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Build]:
    """Builds a recipe; those of one configuration are built once, and nothing may change them."""

    @functools.cache
    def build(recipe: str) -> Build:
        fitted: list[str | None] = []
        folder = tmp_path_factory.mktemp("full-size")
        with pytest.MonkeyPatch.context() as patch, torch.device("meta"):
            patch.setattr(pl.Trainer, "fit", lambda *_, ckpt_path, **__: fitted.append(ckpt_path))
            status, cli = run_train(folder, recipe)
        assert status == 0
        assert fitted == [None]
        assert cli is not None
        return Build(cli, folder)

    return lambda recipe: build(SAME_CONFIGURATION[recipe])


def num_parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_builds_its_model_and_data(recipe: str, full_size: Callable[[str], Build]) -> None:
    built = full_size(recipe)
    cli, run = built.cli, built.folder / "run"
    model, data = cli.model.model, cli.datamodule
    assert isinstance(model, SeparationModel)
    assert type(model) is BACKBONES[SEPARATORS.get(recipe, "ResUNet30")]
    assert {parameter.device.type for parameter in cli.model.parameters()} == {"meta"}
    size = num_parameters(model) - num_parameters(getattr(model, "film", torch.nn.Identity()))
    assert size / 1e6 == pytest.approx(MILLIONS[type(model).__name__], rel=0.02)
    assert isinstance(data, ShardDataModule)
    assert data.shards == "shards/train"
    assert cli.trainer.max_steps == STEPS.get(recipe, 600_000)
    # One batch per process.
    num_mixtures = cli.trainer.world_size * data.batch_size
    assert num_mixtures == (64 if recipe == "table10_full_long" else 16)
    assert data.num_sources == NUM_SOURCES.get(recipe, 2)
    assert data.augmentation == AUGMENTATIONS.get(recipe, "match-energy")
    assert cli.model.learning_rate == 1e-3
    assert cli.config.checkpoint.dirpath == str(run / "checkpoints")
    assert cli.config.export.path == str(run / "bundle.safetensors")
    # Only whoever trains knows the terms of the clips.
    assert cli.config.export.licence == "unknown"
    assert not run.exists()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_asks_in_one_space_of_one_size(
    recipe: str, full_size: Callable[[str], Build]
) -> None:
    cli = full_size(recipe).cli
    model, net, data = cli.model.model, cli.model.query_net, cli.datamodule
    given = data.condition_space
    size = _size_in(given)
    condition = torch.zeros(2, size, device="meta")
    if net is not None:
        assert recipe in QUERY_NETS
        assert net.stored_space == given
        given = net.space
        waveform = torch.zeros(2, SAMPLE_RATE, device="meta")
        condition = net.eval()(condition, waveform)
    assert model.condition_space == given
    assert model.hyperparameters["condition_size"] == _size_in(given) == condition.shape[1]
    # A matrix of another width would refuse them.
    asked = model.modulate(condition) if isinstance(model, MaskModel) else model.film(condition)
    assert all(len(part) == 2 for part in asked)


def _size_in(space: str) -> int:
    """H is the number in a space's name."""
    (size,) = re.findall(r"-(\d+)(?:-|$)", space)
    return int(size)


@pytest.mark.parametrize("recipe", MINED)
def test_a_recipe_mines_what_it_trains_on(recipe: str, full_size: Callable[[str], Build]) -> None:
    cli, mining = full_size(recipe).cli, read_mining(recipe)
    assert cli.config_init.mining.segment_seconds == mining["segment_seconds"]
    assert cli.model.model.segment_seconds == mining["segment_seconds"]
    assert mining["segment_seconds"] == SEGMENT_SECONDS.get(recipe, 2.0)
    made = {(TAGGER_SPACES | SPEECH_SPACES)[name] for name in mining["encoder"]}
    assert cli.datamodule.condition_space in made | set(LABEL_SPACES)
    is_in_clip = mining["strategy"] == "in-clip-random"
    assert is_in_clip == (cli.datamodule.partners == "same-clip")


@pytest.mark.parametrize("recipe", QUERY_NETS)
def test_a_query_net_learns_all_that_makes_its_conditions(
    recipe: str, full_size: Callable[[str], Build]
) -> None:
    net = full_size(recipe).cli.model.query_net
    learned = sum(p.numel() for p in net.parameters() if p.requires_grad)
    head = 2048 * NUM_CLASSES + NUM_CLASSES
    assert num_parameters(net) == {
        "table04_adaptor": 2 * (2048 * 2048 + 2048),
    }.get(recipe, CNN14_PARAMETERS)
    assert learned == {
        "table04_adaptor": num_parameters(net),
        "table04_random": 0,
    }.get(recipe, CNN14_PARAMETERS - head)
    assert net.pretrained == ("cnn14" if recipe in PRETRAINED else None)


def test_a_recipe_that_validates_does_so_after_its_last_step() -> None:
    recipe = read_recipe("default")
    assert recipe["data"]["validation_shards"]
    assert recipe["trainer"]["max_steps"] % recipe["trainer"]["val_check_interval"] == 0


ONE_OF_EACH_SHAPE = sorted(set(firsts(RECIPES, shape).values()))
"""Whether a key is known does not depend on the values, except the names of classes."""


@pytest.mark.parametrize(
    ("recipe", "section"),
    [
        *((recipe, "data") for recipe in ONE_OF_EACH_SHAPE),
        *(("default", section) for section in ("trainer", "model", "export", "checkpoint")),
        *(("paper", section) for section in ("mining", "trainer", "model", "checkpoint")),
        *((recipe, "model.model.init_args") for recipe in ("paper", *SEPARATORS)),
        *((recipe, "model.query_net.init_args") for recipe in QUERY_NETS),
    ],
)
def test_an_unknown_key_in_a_recipe_is_refused(
    recipe: str,
    section: str,
    uss_train: UssTrain,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    changed: dict[str, Any] = {"nobody_reads_this": 1}
    for name in reversed(section.split(".")):
        changed = {name: changed}
    file = tmp_path / "changed.yaml"
    file.write_text(yaml.safe_dump({"base": str(shipped_recipes()[recipe]), **changed}))
    assert "nobody_reads_this" in refusal(uss_train(file), capsys)
    assert not (tmp_path / "run").exists()


# One step at reduced width

WIDTHS: Mapping[str, Mapping[str, str]] = {
    "QueryUNet": {"channels": "[2, 2, 3, 3, 4, 4]", "query_size": "12", "num_heads": "3"},
    "ResUNet30": {"channels": "[4, 4, 4, 4, 4, 4]", "n_fft": "512"},
    "ResUNet60": {"channels": "[4, 4, 4, 4, 4, 4]", "n_fft": "512"},
    "UNet": {"channels": "[4, 4, 4, 4, 4, 4]", "n_fft": "512"},
    "ConvTasNet": {
        "num_filters": "16",
        "bottleneck_channels": "4",
        "hidden_channels": "8",
        "skip_channels": "4",
    },
    "OpenUnmix": {"hidden_size": "8"},
}
CLASSES = ("Speech", "Dog", "Music", "Rain", "Siren", "Cat")


@dataclass(frozen=True)
class StandIn:
    """A small tagger in the place of a published one."""

    file: Path
    space: str
    size: int


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, StandIn]:
    """Published name -> what stands in for it; none of them hears anything."""
    folder = tmp_path_factory.mktemp("taggers")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        taggers: dict[str, TaggerNetwork] = {
            "cnn14": Cnn6(),
            "cnn6": Cnn6(),
            "cnn10": Cnn10(),
            "htsat": EfficientAT(0.1, "htsat"),
            # The ear is taken from it, so it has the width of the embedded one.
            "default": EfficientAT(0.4, "uss-scenes"),
        }
    found = {}
    for name, tagger in taggers.items():
        *_, last = tagger.get_submodule(tagger.head).modules()
        assert isinstance(last, torch.nn.Linear)
        torch.nn.init.constant_(last.bias, -20.0)
        file = folder / f"{name}.safetensors"
        save_tagger(file, tagger.eval(), licence="CC0-1.0", provenance={})
        encoder = EmbeddingEncoder(tagger)
        found[name] = StandIn(file, encoder.space, encoder.size)
    return found


@pytest.fixture(scope="session")
def shards(
    tmp_path_factory: pytest.TempPathFactory, stand_ins: Mapping[str, StandIn]
) -> Callable[[str], Path]:
    """Shards as a recipe mines them; recipes that mine alike share them."""
    spaces = {stand_in.space: stand_in.size for stand_in in stand_ins.values()}
    spaces |= {space: _size_in(space) for space in SPEECH_SPACES.values()}
    folders: dict[MiningSettings, Path] = {}

    def write(recipe: str) -> Path:
        mining = read_mining(recipe) if recipe in MINED else {}
        names = ("strategy", "segment_seconds", "labels")
        settings = MiningSettings(**{name: mining[name] for name in names if name in mining})
        if settings not in folders:
            folders[settings] = tmp_path_factory.mktemp("shards")
            write_noise_shard(folders[settings], settings, spaces)
        return folders[settings]

    return write


def write_noise_shard(folder: Path, mined: MiningSettings, spaces: Mapping[str, int]) -> None:
    """Two anchors of one clip for each of six classes."""
    rng = np.random.default_rng(0)
    num_samples = round(mined.segment_seconds * SAMPLE_RATE)
    anchors = []
    for name in CLASSES:
        class_index = load_ontology().find(name).class_index
        assert class_index is not None
        for take in range(2):
            anchors.append(
                Anchor(
                    clip_id=name,
                    class_index=class_index,
                    start_seconds=take * mined.segment_seconds,
                    score=0.5,
                    waveform=(0.1 * rng.standard_normal(num_samples)).astype(np.float32),
                    labels=(class_index,),
                    tag_probabilities=rng.uniform(0.0, 0.4, NUM_CLASSES).astype(np.float32),
                    conditions={
                        space: rng.standard_normal(size).astype(np.float32)
                        for space, size in spaces.items()
                    },
                )
            )
    settings = ShardSettings(
        SAMPLE_RATE, num_samples, NUM_CLASSES, "none", "0" * 16, spaces, mined.attributes()
    )
    write_shard(shard_path(folder, 0, len(anchors)), anchors, [], settings)


def reduced(recipe: str, stand_ins: Mapping[str, StandIn]) -> list[str]:
    """Options that narrow a recipe's networks and their transforms, and leave all else as it is."""
    content = read_recipe(recipe)
    model, net = content["model"]["model"], content["model"].get("query_net")
    smaller = {
        TAGGER_SPACES[name]: (stand_in.space, stand_in.size)
        for name, stand_in in stand_ins.items()
        if name in TAGGER_SPACES
    }
    changed: dict[str, Any] = {
        f"model.model.init_args.{name}": value
        for name, value in WIDTHS[model["class_path"].rpartition(".")[2]].items()
    }
    stored = content["data"]["condition_space"]
    if stored in smaller:
        space, size = smaller[stored]
        changed["data.condition_space"] = space
        changed["model.model.init_args.condition_size"] = size
        if net is None:
            changed["model.model.init_args.condition_space"] = space
        else:
            changed["model.query_net.init_args.stored_space"] = space
    if net is not None:
        arguments = net["init_args"]
        changed["model.model.init_args.condition_size"] = stand_ins["cnn14"].size
        if "size" in arguments:
            changed["model.query_net.init_args.size"] = stand_ins["cnn14"].size
        if "tagger" in arguments:
            changed["model.query_net.init_args.tagger"] = "Cnn6"
        if arguments.get("pretrained"):
            file = stand_ins[arguments["pretrained"]].file
            changed["model.query_net.init_args.pretrained"] = file
    if model["init_args"].get("ear") in stand_ins:
        changed["model.model.init_args.ear"] = stand_ins[model["init_args"]["ear"]].file
    if content["export"]["tagger"] in stand_ins:
        changed["export.tagger"] = stand_ins[content["export"]["tagger"]].file
    return [part for name, value in changed.items() for part in (f"--{name}", str(value))]


ONE_STEP = (
    *("--trainer.max_steps", "1", "--data.batch_size", "4"),
    *("--trainer.devices", "1", "--trainer.strategy", "auto", "--trainer.precision", "32-true"),
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
)


SAME_STEP = firsts(
    RECIPES, lambda content: without(content, [ROOT_FOLDER, *(n[2:] for n in ONE_STEP[::2])])
)
"""Recipe -> the first that takes the same step."""


@dataclass(frozen=True)
class Step:
    """What one step has left.

    Attributes:
        cli: of the run.
        before: state of the task after ``on_fit_start``.
        bundle_file: what was exported.
    """

    cli: TrainCLI
    before: Mapping[str, torch.Tensor]
    bundle_file: Path

    def unchanged(self) -> set[str]:
        """Names of the parameters that the step has left alone."""
        return {
            name
            for name, parameter in self.cli.model.named_parameters()
            if torch.equal(parameter, self.before[name])
        }


@pytest.fixture(scope="module")
def step(
    tmp_path_factory: pytest.TempPathFactory,
    stand_ins: Mapping[str, StandIn],
    shards: Callable[[str], Path],
) -> Iterator[Callable[[str], Step]]:
    """Takes one step of a recipe at reduced width, once for all tests that look at what it left."""

    @functools.cache
    def run(recipe: str) -> Step:
        before: dict[str, torch.Tensor] = {}
        start = SeparationTask.on_fit_start

        def start_and_keep(task: SeparationTask) -> None:
            start(task)
            state = task.state_dict()
            before.update({name: value.detach().clone() for name, value in state.items()})

        data = ["--data.shards", shards(recipe)]
        if "validation_shards" in read_recipe(recipe)["data"]:
            data += ["--data.validation_shards", shards(recipe)]
        if SEGMENT_SECONDS.get(recipe, 2.0) > 4.0:
            data += ["--data.batch_size", "2"]
        folder = tmp_path_factory.mktemp("step")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SeparationTask, "on_fit_start", start_and_keep)
            options = [*ONE_STEP, *data, *reduced(recipe, stand_ins)]
            status, cli = run_train(folder, recipe, *options)
        assert status == 0
        assert cli is not None
        return Step(cli, before, folder / "run" / "bundle.safetensors")

    yield lambda recipe: run(SAME_STEP[recipe])
    run.cache_clear()


def stays_frozen(recipe: str, name: str) -> bool:
    """Whether a parameter must not learn: what nothing reads, heads, and a random query net."""
    if re.search(r"decoder_block\d+(\.bn2|->beta2)\.(weight|bias)$", name):
        return recipe != "default"
    if name.startswith("model.ear."):
        return True
    if recipe == "table04_random" and name.startswith("query_net."):
        return True
    return re.match(r"query_net\.network\.fc_audioset\.", name) is not None


def may_stay(name: str) -> bool:
    """Whether a bias is only seen by batch norms: its gradient is rounding error, perhaps 0."""
    return name.endswith(".shortcut.bias")


@pytest.mark.parametrize("recipe", sorted(set(SAME_STEP.values())))
def test_one_step_changes_what_learns_and_leaves_a_bundle(
    recipe: str, step: Callable[[str], Step]
) -> None:
    done = step(recipe)
    task = done.cli.model
    assert done.cli.trainer.global_step == 1
    assert math.isfinite(done.cli.trainer.callback_metrics["train/loss"])
    names = {name for name, _ in task.named_parameters()}
    frozen = {name for name in names if stays_frozen(recipe, name)}
    assert {name for name, p in task.named_parameters() if not p.requires_grad} == frozen
    assert {name for name in done.unchanged() if not may_stay(name)} == frozen
    if "ResUNet30" in {kind.__name__ for kind in type(task.model).__mro__}:
        assert len({name for name in frozen if name.startswith("model.")}) == 6 * 4
    bundle = load_model(done.bundle_file)
    assert bundle.separator is not None and bundle.class_queries is not None
    assert type(bundle.separator) is type(task.model)
    assert bundle.separator.hyperparameters == task.model.hyperparameters
    assert bundle.provenance["steps"] == 1
    assert bundle.class_queries.space == task.model.condition_space
    queries = torch.from_numpy(bundle.class_queries.vectors)
    assert queries.shape == (len(CLASSES), task.model.hyperparameters["condition_size"])
    torch.testing.assert_close(queries, class_averages(done), rtol=1e-3, atol=1e-4)
    assert (task.query_net is None) == (bundle.query_net is None)
    for stored, trained in ((bundle.separator, task.model), (bundle.query_net, task.query_net)):
        if trained is not None:
            assert_equal_weights(stored, trained, half=read_recipe(recipe)["export"].get("half"))
    with torch.inference_mode():
        mixture = 0.1 * torch.randn(6, 1, SAMPLE_RATE // 2, generator=torch.manual_seed(0))
        stems = bundle.separator(mixture, queries)
    assert stems.shape == mixture.shape
    assert torch.isfinite(stems).all()


def class_averages(done: Step) -> torch.Tensor:
    """Average what the anchors of each class are asked with, after training (eq. 9)."""
    data, net = done.cli.datamodule, load_bundle(done.bundle_file).query_net
    with ShardReader(data.shards) as reader, torch.inference_mode():
        made = torch.from_numpy(reader.conditions(data.condition_space))
        if net is not None:
            waveforms = np.stack([reader.waveform(row) for row in range(len(reader))])
            made = net(made, torch.from_numpy(waveforms))
        classes = np.unique(reader.class_index)
        return torch.stack([made[reader.class_index == index].mean(dim=0) for index in classes])


def assert_equal_weights(stored: torch.nn.Module, trained: torch.nn.Module, half: bool) -> None:
    expected = trained.state_dict()
    assert stored.state_dict().keys() == expected.keys()
    for name, value in stored.state_dict().items():
        tolerance = {"rtol": 1e-3, "atol": 1e-6} if half else {"rtol": 0.0, "atol": 0.0}
        torch.testing.assert_close(value, expected[name], **tolerance)


def test_a_random_query_net_stays_as_it_was(step: Callable[[str], Step]) -> None:
    """Its statistics too: batch norms that run in training mode would learn."""
    done = step("table04_random")
    state = {name: v for name, v in done.cli.model.state_dict().items() if "query_net" in name}
    assert any("running_mean" in name for name in state)
    assert [name for name in state if not torch.equal(state[name], done.before[name])] == []


@pytest.mark.parametrize("recipe", PRETRAINED)
def test_a_pretrained_query_net_starts_from_the_file(
    recipe: str, step: Callable[[str], Step], stand_ins: Mapping[str, StandIn]
) -> None:
    done = step(recipe)
    part = "network"
    for name, value in load_tagger(stand_ins["cnn14"].file).state_dict().items():
        assert torch.equal(done.before[f"query_net.{part}.{name}"], value), name


def test_a_shortcut_asks_with_the_stored_condition_and_the_learned_one(
    step: Callable[[str], Step],
) -> None:
    done = step("table04_shortcut")
    net = load_bundle(done.bundle_file).query_net
    assert net is not None
    with torch.inference_mode(), ShardReader(done.cli.datamodule.shards) as reader:
        waveform = torch.from_numpy(reader.waveform(0))[None]
        stored = torch.from_numpy(reader.conditions(net.stored_space)[:1])
        assert torch.allclose(net(stored, waveform) - net(0 * stored, waveform), stored, atol=1e-5)
        assert net(0 * stored, waveform).abs().max() > 0.0


@pytest.mark.parametrize(
    ("mined_by", "recipe", "said"),
    [
        ("table07_out_clip_random", "table07_sed", "strategy 'sed'"),
        ("table07_sed", "table07_in_clip_random", "strategy 'in-clip-random'"),
        ("table06_2s", "table06_4s", "segment_seconds 4.0"),
    ],
)
def test_shards_of_another_recipe_are_refused(
    mined_by: str,
    recipe: str,
    said: str,
    uss_train: UssTrain,
    shards: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = refusal(uss_train(recipe, *ONE_STEP, "--data.shards", shards(mined_by)), capsys)
    assert said in line
    assert "uss-mine-anchors --recipe" in line
    assert not (tmp_path / "run").exists()


# Mining


@pytest.mark.parametrize("recipe", MINED)
def test_mining_takes_its_options_from_a_recipe(recipe: str) -> None:
    command = ["manifest.csv", "--audio-root", "audio", "-o", "shards", "--recipe", recipe]
    arguments = mine_anchors.mine_anchors_parser().parse_args(command)
    mining = read_mining(recipe)
    assert {name: getattr(arguments, name) for name in mining} == mining
    taggers = {name for name, file in PUBLISHED.items() if file.kind == "tagger"}
    assert {arguments.tagger, arguments.anchor_tagger} <= taggers
    assert set(arguments.encoder) <= taggers | SPEECH_SPACES.keys()
    MiningSettings(
        arguments.segment_seconds,
        arguments.anchors_per_clip,
        arguments.labels,
        arguments.strategy,
        arguments.seed,
    )
    named = mine_anchors.mine_anchors_parser().parse_args([*command, "--tagger", "mine"])
    assert named.tagger == "mine"


def test_spaces_are_called_as_their_encoders_call_them() -> None:
    with torch.device("meta"):
        spaces = {
            tagger.name: EmbeddingEncoder(tagger).space
            for tagger in (TAGGERS[name]() for name in ("Cnn14", "Cnn10", "Cnn6", "HTSAT"))
        }
    assert spaces == TAGGER_SPACES


@pytest.mark.parametrize(
    ("recipe", "segments", "other", "said"),
    [
        ("paper", {"two": 1, "six": 1, "twelve": 1}, "table06_1s", "segment_seconds 1.0"),
        ("table07_out_clip_random", {"two": 1, "six": 1, "twelve": 1}, "paper", "strategy 'sed'"),
        # Two seconds hold one segment, which has no partner.
        ("table07_in_clip_random", {"six": 2, "twelve": 2}, "paper", "strategy 'sed'"),
    ],
)
def test_training_takes_what_the_recipe_has_mined(
    recipe: str,
    segments: Mapping[str, int],
    other: str,
    said: str,
    uss_train: UssTrain,
    stand_ins: Mapping[str, StandIn],
    write_noise: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    manifest = write_clips(tmp_path, write_noise)
    mined = tmp_path / "shards"
    tagger = str(stand_ins["cnn14"].file)
    networks = ["--tagger", tagger, "--anchor-tagger", tagger, "--encoder", tagger]
    command = [str(manifest), "--audio-root", str(tmp_path), "-o", str(mined), "--recipe", recipe]
    assert mine_anchors.main([*command, *networks]) == 0
    with ShardReader(mined) as reader:
        assert reader.settings.segment_samples == 2 * SAMPLE_RATE
        assert reader.settings.spaces == {stand_ins["cnn14"].space: stand_ins["cnn14"].size}
        assert reader.settings.mining["strategy"] == read_mining(recipe)["strategy"]
        counts = {name: int((reader.clip_id == name).sum()) for name in set(reader.clip_id)}
        assert counts == segments
    options = [*ONE_STEP, "--data.batch_size", "2", "--data.shards", mined]
    assert uss_train(recipe, *options, *reduced(recipe, stand_ins)) == 0
    assert load_model(tmp_path / "run" / "bundle.safetensors").separator is not None
    capsys.readouterr()
    assert said in refusal(uss_train(other, *options), capsys)


def write_clips(folder: Path, write_noise: Callable[..., Path]) -> Path:
    """Three clips of noise, each with a class of its own."""
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "path", "mids"])
        for name, seconds, label in (
            ("two", 2.0, "Dog"),
            ("six", 6.0, "Rain"),
            ("twelve", 12.0, "Siren"),
        ):
            write_noise(folder / f"{name}.wav", seconds, seed=int(seconds))
            writer.writerow([name, f"{name}.wav", load_ontology().find(label).mid])
    return manifest
