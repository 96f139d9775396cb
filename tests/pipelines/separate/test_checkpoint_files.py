"""uss-separate with published checkpoint files: whole, broken, of the wrong kind, not there yet.

The separators have the published entries in the published shapes, but nearly all are zeros that
share one number. The rest lets the mean of the condition through to the mask: a stem is the
mixture times sigmoid(mean of the condition).
"""

import argparse
import hashlib
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from ontology import load_ontology
from pipelines.separate.command import main
from tests.http_server import FakeSite
from uss.checkpoints import transfers
from uss.checkpoints.bundle import Bundle, save_bundle
from uss.checkpoints.published import PUBLISHED, PublishedFile
from uss.conditions.class_queries import ClassQueries
from uss.models import ResUNet30
from uss.taggers import EfficientAT

State = dict[str, Tensor]
Refused = Callable[..., str]

SAMPLE_RATE = 32_000
SIZES = {"audioset-527": 527, "cnn14-2048": 2048, "clap-512": 512}
PART_BYTES = 2 * transfers._CHUNK_BYTES
# Of 527 probabilities all but those of dogs are 0, so their mean is next to 0.
UNSTEERED = pytest.approx(0.5, abs=5e-3)
STEERED = "film.decoder_block6->conv_block2->beta2.weight"

pytestmark = pytest.mark.usefixtures("quick_pictures")


class Harmful:
    """Unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


def separator_entries(space: str) -> State:
    """Make the entries of a published separator, under the prefix of its Lightning files."""
    size = SIZES[space]
    own = ResUNet30(space, size).state_dict()
    entries = {name: torch.zeros(()).expand(value.shape) for name, value in own.items()}
    entries[STEERED] = torch.tensor(1.0 / size).expand(own[STEERED].shape)
    # The biased activation, through one tap of the last convolution, becomes the gain's logit.
    tap = torch.zeros(own["base.decoder_block6.conv_block2.conv2.weight"].shape)
    tap[0, 0, 1, 1] = 1.0
    entries["base.decoder_block6.conv_block2.conv2.weight"] = tap
    maps = torch.zeros(own["base.after_conv.weight"].shape)
    maps[0, 0] = 1.0
    entries["base.after_conv.weight"] = maps
    entries["base.after_conv.bias"] = torch.tensor([0.0, 1.0, 0.0])
    return {f"ss_model.{name}": value for name, value in entries.items()}


@pytest.fixture(scope="module")
def separators(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write a separator of each condition space, without a query network."""
    folder = tmp_path_factory.mktemp("separators")
    files = {}
    for space in SIZES:
        files[space] = folder / f"{space}.ckpt"
        torch.save({"state_dict": separator_entries(space), "global_step": 1}, files[space])
    return files


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a tone of 0.7 s into the working folder, and keep the cache beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "scene.wav"
    tone = 0.2 * np.sin(2 * np.pi * 1_000.0 * np.arange(22_400) / SAMPLE_RATE)
    soundfile.write(path, tone, SAMPLE_RATE, subtype="FLOAT")
    return path


def separate(*words: str | Path) -> int:
    return main([*map(str, words), "--class", "Dog", "--threshold", "0", "-o", "out"])


@pytest.fixture
def refused(scene: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command that must fail, and return its line."""

    def run(*words: str | Path) -> str:
        return one_line(separate(*words), capsys, scene.parent)

    return run


def one_line(status: int, capsys: pytest.CaptureFixture[str], folder: Path) -> str:
    """Check that a command failed as it should, leaving nothing; return its line."""
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and captured.err.endswith("\n"), captured.err
    assert captured.err.startswith("uss-separate: ")
    assert len(captured.err) < 1_000
    assert not {path.name for path in folder.iterdir()} & {"out", "separated"}
    return captured.err


def stem_gain(folder: Path, name: str = "Dog") -> float:
    """Return the gain of a stem, which is the mixture at another level."""
    mixture, _ = soundfile.read(folder / "scene.wav")
    stem, _ = soundfile.read(folder / "out" / "scene" / "queries" / f"{name}.wav")
    gain = float(stem @ mixture / (mixture @ mixture))
    np.testing.assert_allclose(stem, gain * mixture, atol=1e-4, rtol=0.0)
    return gain


def sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


@pytest.fixture
def published_tagger(site: FakeSite, scene: Path, monkeypatch: pytest.MonkeyPatch) -> PublishedFile:
    """Publish a tiny tagger as mn04_as on the local site."""
    torch.manual_seed(0)
    stream = io.BytesIO()
    torch.save(EfficientAT(width=0.1).state_dict(), stream)
    site.content = stream.getvalue()
    assert len(site.content) > PART_BYTES
    file = replace(
        PUBLISHED["mn04_as"],
        url=site.url,
        size_bytes=len(site.content),
        checksum=f"sha256:{hashlib.sha256(site.content).hexdigest()}",
    )
    monkeypatch.setitem(PUBLISHED, "mn04_as", file)
    return file


# Names and downloads


def test_a_download_that_breaks_off_is_resumed_by_the_second_run(
    site: FakeSite,
    published_tagger: PublishedFile,
    separators: dict[str, Path],
    scene: Path,
    refused: Refused,
) -> None:
    site.breaks_after = PART_BYTES
    command = (scene, "--model", separators["audioset-527"], "--tagger", "mn04_as")
    line = refused(*command)
    assert f"broke off after {PART_BYTES:,} of {len(site.content):,} bytes" in line
    assert "run again to resume" in line
    site.breaks_after = None
    assert separate(*command) == 0
    assert site.ranges == [None, f"bytes={PART_BYTES}-"]
    assert stem_gain(scene.parent) == UNSTEERED


@pytest.mark.parametrize("option", ["--model", "--tagger", "--separator", "--class-queries"])
def test_a_cached_file_of_the_wrong_size_is_refused(
    site: FakeSite, published_tagger: PublishedFile, scene: Path, refused: Refused, option: str
) -> None:
    cached = scene.parent / "cache" / "mn04_as.pt"
    cached.parent.mkdir()
    cached.write_bytes(site.content[:1_234])
    line = refused(scene, option, "mn04_as")
    assert f"{cached} has 1,234 bytes" in line and "delete it and run again" in line
    assert site.ranges == []


def test_offline_the_line_says_which_file_to_put_where(
    published_tagger: PublishedFile, scene: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "http://127.0.0.1:1/mn04_as_mAP_432.pt"
    monkeypatch.setitem(PUBLISHED, "mn04_as", replace(published_tagger, url=address))
    line = refused(scene, "--tagger", "mn04_as")
    target = scene.parent / "cache" / "mn04_as.pt"
    assert f"download {address} elsewhere and put it at {target}" in line


def test_download_prints_the_path_and_separates_nothing(
    site: FakeSite,
    published_tagger: PublishedFile,
    scene: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = scene.parent / "cache" / "mn04_as.pt"
    for _ in range(2):
        assert main(["--download", "mn04_as"]) == 0
        assert capsys.readouterr() == (f"{target}\n", "")
    assert target.read_bytes() == site.content
    assert site.ranges == [None]
    assert not (scene.parent / "separated").exists()


def test_download_of_what_nobody_published_lists_the_names(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = one_line(main(["--download", "cnn99"]), capsys, scene.parent)
    assert "cnn99" in line and "uss-at-soft-full" in line and "--help" in line


def test_download_of_what_only_people_can_fetch_says_so(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = one_line(main(["--download", "htsat"]), capsys, scene.parent)
    assert "no direct address" in line
    assert f"put it at {scene.parent / 'cache' / 'htsat.ckpt'}" in line


def test_a_server_that_refuses_is_named(
    site: FakeSite,
    published_tagger: PublishedFile,
    scene: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site.status = 404
    line = one_line(main(["--download", "mn04_as"]), capsys, scene.parent)
    assert "answers 404" in line and published_tagger.source in line


@pytest.mark.parametrize("words", [[], ["--model", "nowhere.ckpt"], ["--trust-checkpoint"]])
def test_without_inputs_it_asks_for_one(
    scene: Path, capsys: pytest.CaptureFixture[str], words: Sequence[str]
) -> None:
    line = one_line(main(words), capsys, scene.parent)
    assert "name at least one input file" in line and "--help" in line


def test_a_name_that_is_neither_file_nor_model_lists_the_names(
    scene: Path, refused: Refused
) -> None:
    for option in ("--model", "--separator", "--tagger", "--class-queries"):
        line = refused(scene, option, "uss-at-hard")
        of_its_kind = "cnn14" if option == "--tagger" else "uss-at-soft-full"
        assert "uss-at-hard" in line and of_its_kind in line


# Broken files


@pytest.mark.parametrize(
    "name",
    [
        "base.bn0.weight",
        "base.after_conv.bias",
        "film.encoder_block1->conv_block1->beta1.weight",
        "film.decoder_block6->conv_block2->beta2.bias",
    ],
)
def test_a_missing_entry_is_named(scene: Path, refused: Refused, name: str) -> None:
    entries = separator_entries("audioset-527")
    del entries[f"ss_model.{name}"]
    torch.save({"state_dict": entries}, scene.parent / "model.ckpt")
    line = refused(scene, "--model", "model.ckpt", "--tagger", "default")
    assert f"model.ckpt does not fit the ResUNet30 it looks like: it lacks {name};" in line
    assert "download it again" in line


def test_a_missing_entry_of_a_tagger_is_named(scene: Path, refused: Refused) -> None:
    state = EfficientAT(width=0.1).state_dict()
    del state["features.3.block.1.0.weight"]
    torch.save(state, scene.parent / "tagger.pt")
    assert "features.3.block.1.0.weight" in refused(scene, "--tagger", "tagger.pt")


@pytest.mark.parametrize("damage", ["half", "no end", "overwritten", "empty", "a web page"])
def test_a_damaged_file_is_refused(
    scene: Path, separators: dict[str, Path], refused: Refused, damage: str
) -> None:
    whole = separators["audioset-527"].read_bytes()
    half = len(whole) // 2
    content = {
        "half": whole[:half],
        "no end": whole[:-100],
        "overwritten": whole[:1_000] + bytes(half) + whole[1_000 + half :],
        "empty": b"",
        "a web page": b"<!doctype html><title>Sign in</title>\n",
    }
    (scene.parent / "model.ckpt").write_bytes(content[damage])
    line = refused(scene, "--model", "model.ckpt", "--tagger", "default")
    assert "model.ckpt is not a PyTorch weights file, or not a whole one" in line
    assert "download it again" in line


@pytest.mark.parametrize("option", ["--model", "--separator", "--tagger", "--class-queries"])
def test_a_pickled_object_is_refused_and_not_run(
    scene: Path, refused: Refused, option: str
) -> None:
    torch.save(Harmful(scene.parent / "harm"), scene.parent / "model.pt")
    line = refused(scene, option, "model.pt")
    assert "pathlib.Path" in line and "--trust-checkpoint" in line
    assert not (scene.parent / "harm").exists()


def test_objects_beside_the_weights_are_listed_and_loaded_only_if_trusted(
    scene: Path, refused: Refused, tagger_file: Path
) -> None:
    harm = scene.parent / "harm"
    content = {
        "state_dict": separator_entries("audioset-527"),
        "hyper_parameters": argparse.Namespace(lr=1e-3),
        "callbacks": {"checkpoint": Harmful(harm)},
    }
    torch.save(content, scene.parent / "model.ckpt")
    command = (scene, "--model", "model.ckpt", "--tagger", tagger_file)
    line = refused(*command)
    assert "model.ckpt holds more than weights" in line
    assert "argparse.Namespace" in line and "pathlib.Path" in line
    assert "torch." not in line and "collections." not in line
    assert "--trust-checkpoint" in line
    assert not harm.exists()
    assert separate(*command, "--trust-checkpoint") == 0
    assert harm.exists()
    assert stem_gain(scene.parent) == UNSTEERED


def test_a_trusted_object_without_weights_is_refused(scene: Path, refused: Refused) -> None:
    torch.save(argparse.Namespace(a=1), scene.parent / "model.pt")
    line = refused(scene, "--model", "model.pt", "--trust-checkpoint")
    assert "model.pt holds a Namespace, not a state dict" in line


def test_a_checkpoint_of_uss_train_gets_the_hint(scene: Path, refused: Refused) -> None:
    torch.save({"state_dict": {"model.film.bias": torch.zeros(2)}}, scene.parent / "last.ckpt")
    line = refused(scene, "--model", "last.ckpt")
    assert "training checkpoint" in line and "bundle.safetensors" in line


# Files that do not go together


def test_a_separator_alone_asks_for_a_tagger(
    separators: dict[str, Path], scene: Path, refused: Refused
) -> None:
    line = refused(scene, "--model", separators["audioset-527"])
    assert "no tagger" in line and "--tagger" in line and "cnn14" in line


@pytest.mark.parametrize(
    ("space", "said"), [("cnn14-2048", "--class-queries"), ("clap-512", "text queries")]
)
def test_what_a_separator_can_be_asked_with_comes_before_the_tagger(
    separators: dict[str, Path], scene: Path, refused: Refused, space: str, said: str
) -> None:
    """Nobody should fetch a tagger only to learn that it does not help."""
    assert said in refused(scene, "--model", separators[space])


def test_a_model_that_would_do_nothing_is_refused(
    separators: dict[str, Path], scene: Path, tagger_file: Path, refused: Refused
) -> None:
    files = ("--separator", separators["audioset-527"], "--tagger", tagger_file)
    assert "leave it out" in refused(scene, "--model", tagger_file, *files)


def test_a_separator_for_probabilities_takes_the_default_tagger(
    separators: dict[str, Path], scene: Path
) -> None:
    assert separate(scene, "--separator", separators["audioset-527"]) == 0
    assert stem_gain(scene.parent) == UNSTEERED


def test_a_tagger_as_separator_is_refused(scene: Path, tagger_file: Path, refused: Refused) -> None:
    assert "--tagger" in refused(scene, "--separator", tagger_file)


def test_a_separator_as_tagger_is_refused(
    scene: Path, separators: dict[str, Path], refused: Refused
) -> None:
    line = refused(scene, "--tagger", separators["audioset-527"])
    assert "holds no tagger" in line and "cnn14" in line


@pytest.mark.parametrize("option", ["--model", "--separator"])
def test_a_separator_for_embeddings_asks_for_class_queries(
    separators: dict[str, Path], scene: Path, refused: Refused, option: str
) -> None:
    tagger = ["--tagger", "default"] if option == "--model" else []
    line = refused(scene, option, separators["cnn14-2048"], *tagger)
    for part in ("cnn14-2048", "uss-mine-anchors", "--class-queries"):
        assert part in line


def test_a_separator_for_text_says_that_text_queries_are_needed(
    separators: dict[str, Path], scene: Path, refused: Refused
) -> None:
    line = refused(scene, "--separator", separators["clap-512"])
    assert "text queries are needed" in line and "--class-queries" in line


def save_queries(path: Path, space: str, means: dict[str, float], size: int | None = None) -> Path:
    """Write class queries that are constant: one number for each class."""
    classes = {load_ontology().find(name).class_index: mean for name, mean in means.items()}
    indexes = sorted(index for index in classes if index is not None)
    vectors = np.array([[classes[index]] for index in indexes], np.float32)
    vectors = np.repeat(vectors, SIZES[space] if size is None else size, axis=1)
    save_bundle(path, Bundle(class_queries=ClassQueries(space, tuple(indexes), vectors)))
    return path


@pytest.mark.parametrize("space", ["cnn14-2048", "clap-512"])
def test_class_queries_of_the_right_space_steer_the_separator(
    separators: dict[str, Path], scene: Path, tagger_file: Path, space: str
) -> None:
    queries = save_queries(scene.parent / "queries.safetensors", space, {"Dog": 1.5, "Cat": 3.0})
    models = ("--separator", separators[space], "--tagger", tagger_file)
    words = (scene, *models, "--class-queries", queries, "--class", "Dog", "Cat")
    assert main([*map(str, words), "--threshold", "0", "-o", "out"]) == 0
    assert stem_gain(scene.parent, "Dog") == pytest.approx(sigmoid(1.5), abs=1e-3)
    assert stem_gain(scene.parent, "Cat") == pytest.approx(sigmoid(3.0), abs=1e-3)


def test_class_queries_of_another_space_are_refused(
    separators: dict[str, Path], scene: Path, refused: Refused
) -> None:
    queries = save_queries(scene.parent / "queries.safetensors", "clap-512", {"Dog": 1.0})
    line = refused(scene, "--separator", separators["cnn14-2048"], "--class-queries", queries)
    assert "'clap-512'" in line and "'cnn14-2048'" in line and "encoder of that space" in line


def test_class_queries_of_another_size_are_refused(
    separators: dict[str, Path], scene: Path, refused: Refused
) -> None:
    queries = save_queries(scene.parent / "queries.safetensors", "cnn14-2048", {"Dog": 1.0}, 10)
    line = refused(scene, "--separator", separators["cnn14-2048"], "--class-queries", queries)
    assert "2048" in line and "10" in line


def test_a_class_without_query_is_refused(
    separators: dict[str, Path], scene: Path, refused: Refused
) -> None:
    queries = save_queries(scene.parent / "queries.safetensors", "cnn14-2048", {"Cat": 1.0})
    line = refused(scene, "--separator", separators["cnn14-2048"], "--class-queries", queries)
    assert "no query for 'Dog'" in line and "choose another" in line


def test_a_file_without_class_queries_says_who_makes_them(
    separators: dict[str, Path], scene: Path, tagger_file: Path, refused: Refused
) -> None:
    models = ("--separator", separators["cnn14-2048"], "--class-queries")
    for path in (tagger_file, separators["cnn14-2048"]):
        line = refused(scene, *models, path)
        assert "holds no class queries" in line and "uss-mine-anchors" in line


def test_a_refusal_is_one_line_in_the_shell(
    separators: dict[str, Path], scene: Path, run_command: Callable[..., Any]
) -> None:
    command = [scene, "--separator", separators["cnn14-2048"], "-o", scene.parent / "out"]
    done = run_command("pipelines.separate", *command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "--class-queries" in done.stderr
    assert not (scene.parent / "out").exists()


def test_a_choice_that_the_entries_contradict_is_refused(
    scene: Path, refused: Refused, tagger_file: Path
) -> None:
    line = refused(scene, "--tagger", f"cnn14-decision-level-max:{tagger_file}")
    assert "holds the tagger EfficientAT, not Cnn14DecisionLevelMax; leave out" in line
    line = refused(scene, "--model", f"cnn6:{tagger_file}")
    assert "there is no architecture 'cnn6' to choose" in line
