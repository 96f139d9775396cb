"""uss-separate with a generative model: FlowSep's layout, narrow."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from pipelines.separate.command import main
from tests.flowsep_files import checkpoint, small, write_t5_tokenizer
from tests.pipelines.conftest import tiny_tagger
from tests.text_models import noise
from uss.checkpoints.bundle import Bundle, save_bundle
from uss.checkpoints.loading import save_tagger
from uss.checkpoints.published import PUBLISHED

transformers = pytest.importorskip("transformers")
pytestmark = [pytest.mark.usefixtures("quick_pictures")]

RATE = 44_100


@pytest.fixture(scope="module")
def tagger_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tagger") / "tagger.safetensors"
    tagger = tiny_tagger(heard=("Dog", "Rain", "Speech"))
    save_tagger(path, tagger, licence="CC0-1.0", provenance={})
    return path


@pytest.fixture(scope="module")
def flowsep_file(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Lightning file with all parts and an optimiser."""
    path = tmp_path_factory.mktemp("flowsep") / "flowsep_hive.ckpt"
    state = checkpoint(shared, text_layers=2)
    torch.save({"state_dict": state, "global_step": 1, "optimizer_states": []}, path)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_t5_tokenizer(tmp_path / "cache", monkeypatch)
    return tmp_path / "cache"


def write_scene(path: Path, seconds: float, rate: int = RATE, channels: int = 2) -> Path:
    soundfile.write(path, noise(3, (round(seconds * rate), channels), 0.1).numpy(), rate, "FLOAT")
    return path


def read(path: Path) -> Any:
    return soundfile.read(path, dtype="float32", always_2d=True)[0]


def run(scene: Path, out: Path, tagger: Path, *words: object) -> int:
    fixed = ["--tagger", tagger, "-o", out, "--precision", "fp32", "--device", "cpu"]
    return main([str(word) for word in (scene, *fixed, *words)])


@pytest.mark.slow
def test_a_long_stereo_recording_gets_a_stem_of_its_shape(
    flowsep_file: Path, tagger_file: Path, cache: Path, tmp_path: Path
) -> None:
    # Two chunks, which overlap.
    scene = write_scene(tmp_path / "scene.wav", 11.0)
    words = ["--model", flowsep_file, "--text", "a dog barks", "--threshold", "0", "--steps", "2"]
    assert run(scene, tmp_path / "out", tagger_file, *words, "--seed", 1) == 0
    result = tmp_path / "out" / "scene"
    whole, stem = read(scene), read(result / "queries" / "a dog barks.wav")
    assert stem.shape == whole.shape and np.isfinite(stem).all()
    residual = read(result / "queries" / "residual.wav")
    np.testing.assert_allclose(stem + residual, whole, atol=1e-6)

    report = json.loads((result / "detections.json").read_text())
    assert [each["generated"] for each in report["stems"]] == [True]
    said = {name: report["settings"][name] for name in ("steps", "seed", "guide")}
    assert said == {"steps": 2, "seed": 1, "guide": False}
    assert json.loads((result / "provenance.json").read_text())["seeds"] == [1]
    page = (result / "report.html").read_text()
    assert "a dog barks <small" in page and "No sample of a generated stem" in page


@pytest.mark.slow
def test_classes_are_asked_for_by_their_names(
    flowsep_file: Path, tagger_file: Path, cache: Path, tmp_path: Path
) -> None:
    scene = write_scene(tmp_path / "scene.wav", 1.0, 16_000, 1)
    words = ["--model", flowsep_file, "--class", "Dog", "Rain", "--threshold", "0", "--steps", "1"]
    assert run(scene, tmp_path / "out", tagger_file, *words) == 0
    folder = tmp_path / "out" / "scene" / "queries"
    dog, rain = read(folder / "Dog.wav"), read(folder / "Rain.wav")
    assert np.abs(dog - rain).max() > 1e-4
    total = dog + rain + read(folder / "residual.wav")
    np.testing.assert_allclose(total, read(scene), atol=1e-6)


@pytest.fixture(scope="module")
def bundle_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quick generative model that is asked with what its tagger hears."""
    path = tmp_path_factory.mktemp("bundle") / "flowsep.safetensors"
    tagger = tiny_tagger(heard=("Dog", "Rain"))
    separator = small("audioset-527", condition_size=527)
    save_bundle(path, Bundle(tagger, separator, licence="CC0-1.0"))
    return path


def test_levels_are_found_and_every_stem_is_marked(
    bundle_file: Path, tagger_file: Path, tmp_path: Path
) -> None:
    scene = write_scene(tmp_path / "scene.wav", 2.0, 16_000, 1)
    words = ["--model", bundle_file, "--level", 2, "--threshold", "0.1", "--steps", "1"]
    assert run(scene, tmp_path / "out", tagger_file, *words) == 0
    report = json.loads((tmp_path / "out" / "scene" / "detections.json").read_text())
    assert len(report["stems"]) >= 2
    assert all(each["generated"] for each in report["stems"])
    total = sum(read(path) for path in (tmp_path / "out" / "scene" / "level2").glob("*.wav"))
    np.testing.assert_allclose(total, read(scene), atol=1e-6)


def test_a_result_of_another_seed_is_not_kept(
    bundle_file: Path, tagger_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write_scene(tmp_path / "scene.wav", 1.0, 16_000, 1)
    words = ["--model", bundle_file, "--class", "Dog", "--threshold", "0", "--steps", "1"]
    stem = tmp_path / "out" / "scene" / "queries" / "Dog.wav"
    assert run(scene, tmp_path / "out", tagger_file, *words) == 0
    first = stem.read_bytes()
    capsys.readouterr()
    assert run(scene, tmp_path / "out", tagger_file, *words, "--resume") == 0
    assert "skipped" in capsys.readouterr().out
    assert run(scene, tmp_path / "out", tagger_file, *words, "--resume", "--seed", "4") == 0
    assert "skipped" not in capsys.readouterr().out
    assert stem.read_bytes() != first


def test_a_guide_keeps_the_mixtures_samples(
    bundle_file: Path, tagger_file: Path, tmp_path: Path
) -> None:
    scene = write_scene(tmp_path / "scene.wav", 1.5, 16_000, 1)
    words = ["--model", bundle_file, "--class", "Dog", "--threshold", "0", "--steps", "1"]
    assert run(scene, tmp_path / "out", tagger_file, *words, "--guide") == 0
    assert run(scene, tmp_path / "plain", tagger_file, *words) == 0
    report = json.loads((tmp_path / "out" / "scene" / "detections.json").read_text())
    assert [each["generated"] for each in report["stems"]] == [False]
    assert report["settings"]["guide"] is True
    whole = read(scene)[:, 0]
    masked, drawn = (
        read(tmp_path / name / "scene" / "queries" / "Dog.wav")[:, 0] for name in ("out", "plain")
    )

    def agreement(stem: Any) -> float:
        return float(stem @ whole / np.linalg.norm(stem) / np.linalg.norm(whole))

    assert agreement(masked) > 0.1 > 2.0 * abs(agreement(drawn))
    assert "No sample" not in (tmp_path / "out" / "scene" / "report.html").read_text()


def test_the_default_model_draws_nothing(
    tagger_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write_scene(tmp_path / "scene.wav", 1.0, 16_000, 1)
    assert run(scene, tmp_path / "out", tagger_file, "--steps", "5", "--class", "Dog") == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "draws nothing; leave out steps" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--steps", "-3"], "-3 is too small; give 1 or more"),
        (["--steps", "0"], "0 is too small; give 1 or more"),
        (["--seed", "-1"], "-1 is too small; give 0 or more"),
    ],
)
def test_numbers_that_cannot_be_are_refused(
    words: list[str],
    said: str,
    tagger_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene = write_scene(tmp_path / "scene.wav", 1.0, 16_000, 1)
    assert run(scene, tmp_path / "out", tagger_file, "--model", "flowsep-hive", *words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_text_of_too_many_tokens_is_refused(
    flowsep_file: Path,
    tagger_file: Path,
    cache: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene = write_scene(tmp_path / "scene.wav", 1.0, 16_000, 1)
    long = " ".join(["dog barks"] * 26)
    assert run(scene, tmp_path / "out", tagger_file, "--model", flowsep_file, "--text", long) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "has 53 tokens, and the model reads 50; say it in fewer words" in line
    assert not (tmp_path / "out").exists()


def test_too_little_memory_is_told_before_the_work(
    flowsep_file: Path,
    tagger_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("uss.core.memory.available_bytes", lambda: 10_000_000)
    scene = write_scene(tmp_path / "scene.wav", 1.0, 16_000, 1)
    words = ["--model", flowsep_file, "--text", "a dog"]
    assert run(scene, tmp_path / "out", tagger_file, *words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "too little memory" in line and "0.0 GiB are free" in line
    assert not (tmp_path / "out").exists()


def test_a_published_name_brings_its_tokenizer(cache: Path) -> None:
    for name in ("flowsep", "flowsep-hive"):
        assert PUBLISHED[name].needs == ("flan-t5-large-tokenizer",)


@pytest.fixture(scope="module")
def discerning_tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tagger that hears a little of everything; the others are as sure as can be of any noise."""
    path = tmp_path_factory.mktemp("tagger") / "discerning.safetensors"
    save_tagger(path, tiny_tagger(), licence="CC0-1.0", provenance={})
    return path


@pytest.mark.parametrize("guide", [False, True])
def test_candidates_are_drawn_with_seeds_in_turn_and_the_best_is_kept(
    bundle_file: Path, discerning_tagger: Path, tmp_path: Path, guide: bool
) -> None:
    scene = write_scene(tmp_path / "scene.wav", 0.6, RATE, 2)
    words: list[object] = ["--model", bundle_file, "--class", "Dog", "--threshold", "0"]
    words += ["--steps", "1", "--seed", "4", *(["--guide"] if guide else [])]
    for name in ("out", "again"):
        assert run(scene, tmp_path / name, discerning_tagger, *words, "--candidates", "3") == 0
    report = json.loads((tmp_path / "out" / "scene" / "detections.json").read_text())
    (stem,) = report["stems"]
    candidates = stem["candidates"]
    assert [each["seed"] for each in candidates] == [4, 5, 6]
    (kept,) = [each for each in candidates if each["kept"]]
    assert kept["score"] == stem["score"]
    *_, second, best = sorted(each["score"]["f1"] for each in candidates)
    assert kept["score"]["f1"] == best
    # No rounding decides, and the first candidate is not the best.
    assert best > second + 1e-4 and kept is not candidates[0]
    assert stem["generated"] is not guide and report["settings"]["candidates"] == 3
    provenance = json.loads((tmp_path / "out" / "scene" / "provenance.json").read_text())
    assert provenance["seeds"] == [4, 5, 6]
    page = (tmp_path / "out" / "scene" / "report.html").read_text()
    assert f"seed {kept['seed']}: best of 3" in page

    files = [tmp_path / name / "scene" / "queries" / "Dog.wav" for name in ("out", "again")]
    assert files[0].read_bytes() == files[1].read_bytes()
    # It is the stem that this seed alone gives.
    assert run(scene, tmp_path / "one", discerning_tagger, *words, "--seed", kept["seed"]) == 0
    alone = (tmp_path / "one" / "scene" / "queries" / "Dog.wav").read_bytes()
    assert files[0].read_bytes() == alone
    total = read(files[0]) + read(files[0].with_name("residual.wav"))
    np.testing.assert_allclose(total, read(scene), atol=1e-6)


def test_a_mask_may_be_a_candidate_beside_what_is_drawn(
    bundle_file: Path, tagger_file: Path, tmp_path: Path
) -> None:
    scene = write_scene(tmp_path / "scene.wav", 2.0, 16_000, 1)
    words = ["--class", "Dog", "--threshold", "0", "--candidate-model", bundle_file]
    words = [*words, "--steps", "1", "--candidates", "2"]
    assert run(scene, tmp_path / "out", tagger_file, *words) == 0
    (stem,) = json.loads((tmp_path / "out" / "scene" / "detections.json").read_text())["stems"]
    assert [each["seed"] for each in stem["candidates"]] == [None, 0, 1]
    assert [each["model"] for each in stem["candidates"]] == [
        "default",
        str(bundle_file),
        str(bundle_file),
    ]
    kept = [each["kept"] for each in stem["candidates"]].index(True)
    assert stem["generated"] is (kept > 0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--candidates", "0"], "0 is too small; give 1 or more"),
        (["--candidates", "2"], "draws nothing, so 2 candidates would be the same"),
        (["--candidates", "2", "--detect-only"], "--candidates needs stems, --detect-only"),
        (["--score-stems", "--detect-only"], "--score-stems needs stems, --detect-only"),
        (["--candidate-model", "missing.pt"], "missing.pt: no such file"),
        (["--candidate-model", "BUNDLE", "--consistency"], "with consistency stems depend on"),
        (["--candidates", "2", "--blind"], "leave out --candidates, or --blind"),
    ],
)
def test_choices_that_cannot_be_are_refused(
    words: list[str],
    said: str,
    bundle_file: Path,
    tagger_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scene = write_scene(tmp_path / "scene.wav", 1.0, 16_000, 1)
    given = [str(bundle_file) if word == "BUNDLE" else word for word in words]
    assert run(scene, tmp_path / "out", tagger_file, *given) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert said in line
    assert not (tmp_path / "out").exists()


def test_a_result_of_other_candidates_is_not_kept(
    bundle_file: Path, tagger_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = write_scene(tmp_path / "scene.wav", 1.0, 16_000, 1)
    words = ["--model", bundle_file, "--class", "Dog", "--threshold", "0", "--steps", "1"]
    assert run(scene, tmp_path / "out", tagger_file, *words, "--candidates", "2") == 0
    capsys.readouterr()
    again = [*words, "--candidates", "2", "--resume"]
    assert run(scene, tmp_path / "out", tagger_file, *again) == 0
    assert "skipped" in capsys.readouterr().out
    assert run(scene, tmp_path / "out", tagger_file, *words, "--resume") == 0
    assert "skipped" not in capsys.readouterr().out
