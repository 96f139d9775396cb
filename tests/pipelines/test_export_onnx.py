"""``uss-export-onnx``, and its folder in use: by ``uss-separate``, and in a browser."""

import argparse
import hashlib
import importlib
import inspect
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from ontology import load_ontology
from pipelines.export_onnx import export_parser, main
from pipelines.separate.command import main as separate_main
from tests.web_demo import distance_db, opened
from uss.checkpoints.bundle import Bundle, save_bundle
from uss.checkpoints.loading import load_model
from uss.checkpoints.onnx_export import export_onnx
from uss.checkpoints.onnx_layout import TAGGER
from uss.models import ConvTasNet
from uss.separation.separator import Separator

pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
pytest.importorskip("onnxscript", reason="needs the extra 'onnx'")

ROOT = Path(__file__).resolve().parents[2]
SCENE = ROOT / "demo" / "scene.flac"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx") / "model"
    assert main(["-o", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, int]:
    samples, sample_rate = soundfile.read(SCENE, dtype="float32")
    return samples, sample_rate


@pytest.fixture(scope="module")
def expected(scene: tuple[np.ndarray, int]) -> dict[str, np.ndarray]:
    stems = Separator.from_pretrained(precision="fp32").separate(*scene, level=2)
    return {name: np.asarray(stems[name]) for name in stems}


@pytest.mark.slow
def test_stems_are_those_of_the_model_it_was_exported_from(
    exported: Path, scene: tuple[np.ndarray, int], expected: dict[str, np.ndarray]
) -> None:
    stems = Separator.from_pretrained(exported).separate(*scene, level=2)
    assert list(stems) == list(expected)
    assert len(expected) > 1
    for name, stem in expected.items():
        assert np.abs(stem).max() > 0.05, name
        assert np.abs(np.asarray(stems[name]) - stem).max() < 1e-4, name


@pytest.mark.slow
def test_tagger_hears_what_it_heard(exported: Path) -> None:
    tagger, loaded = load_model().tagger, load_model(exported).tagger
    assert tagger is not None and loaded is not None
    assert (loaded.sample_rate, loaded.frames_per_second) == (32_000, tagger.frames_per_second)
    assert loaded.embedding_size == tagger.embedding_size
    generator = torch.Generator().manual_seed(0)
    for num_rows, num_samples in ((1, 1), (3, 64_000), (2, 128_000)):
        waveform = 0.1 * torch.randn(num_rows, num_samples, generator=generator)
        with torch.inference_mode():
            expected, given = tagger(waveform), loaded(waveform)
        for want, got in zip(expected, given, strict=True):
            assert got.shape == want.shape
            assert (got - want).abs().max() < 1e-4


@pytest.mark.slow
def test_uss_separate_takes_the_folder(exported: Path, tmp_path: Path) -> None:
    words = [str(SCENE), "-o", str(tmp_path), "--model", str(exported), "--class", "Speech"]
    assert separate_main(words) == 0
    result = json.loads((tmp_path / "scene" / "detections.json").read_text("utf-8"))
    assert result["settings"]["precision"] == "float32"
    provenance = json.loads((tmp_path / "scene" / "provenance.json").read_text("utf-8"))
    assert [each["role"] for each in provenance["models"]] == [
        "separator",
        "tagger",
        "class queries",
    ]
    for each in provenance["models"]:
        assert each["licence"] == "Apache-2.0"
        assert each["sha256"] == hashlib.sha256((exported / "model.json").read_bytes()).hexdigest()
    samples, _ = soundfile.read(tmp_path / "scene" / "queries" / "Speech.wav")
    assert np.abs(samples).max() > 0.05


@pytest.mark.slow
def test_another_precision_is_refused(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(SCENE), "-o", str(tmp_path), "--model", str(exported), "--precision", "bf16"]
    assert separate_main(words) == 2
    assert "computes in float32, not in bf16" in capsys.readouterr().err


@pytest.mark.slow
def test_description_has_what_other_programs_need(exported: Path) -> None:
    described = json.loads((exported / "model.json").read_text("utf-8"))
    ontology = load_ontology()
    assert [each["mid"] for each in described["detection"]["classes"]] == [
        node.mid for node in ontology.classes
    ]
    nodes = {each["mid"]: each for each in described["detection"]["nodes"]}
    dog = ontology.find("Dog")
    assert nodes[dog.mid]["classes"] == list(ontology.class_indexes(dog))
    assert nodes[dog.mid]["levels"] == list(ontology.levels(dog))
    assert described["detection"]["rules"]["release"] == 0.25
    assert set(described["files"]) == {
        path.name for path in exported.iterdir() if path.name != "model.json"
    }


@pytest.fixture
def script(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Any:
    """Runs one of the scripts; gives what it prints."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))

    def run(name: str, *words: str | Path) -> str:
        # They choose a level of their own, which is theirs alone.
        with caplog.at_level(logging.WARNING):
            assert importlib.import_module(name).main([str(word) for word in words]) == 0
        return capsys.readouterr().out

    return run


@pytest.mark.slow
def test_scripts_make_int8_of_it_and_measure(exported: Path, tmp_path: Path, script: Any) -> None:
    int8 = tmp_path / "int8"
    script("quantise_onnx", exported, "-o", int8, "--kind", "dynamic", "--graphs", TAGGER)
    sizes = [(folder / TAGGER).stat().st_size for folder in (exported, int8)]
    assert sizes[1] < 0.5 * sizes[0]
    few = ("--threads", "1", "--segments", "1", "--repeats", "1")
    lines = script("bench_onnx", "default", exported, int8, *few).splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("|")][2:]
    assert [row[0].strip() for row in rows] == ["default", "default", "model", "int8"]
    assert all(float(cell) > 0.0 for row in rows for cell in row[3:6])
    assert float(rows[2][6].split()[0]) > 60.0


@pytest.mark.slow
def test_browser_separates_as_python_does(
    exported: Path,
    scene: tuple[np.ndarray, int],
    expected: dict[str, np.ndarray],
    tmp_path: Path,
) -> None:
    with opened(tmp_path, exported) as page:
        assert page.wait().startswith("Choose a recording")
        assert page.choose(SCENE) == "Choose what to separate."
        assert page.found() == list(expected)
        page.browser.click("#separate")
        assert page.wait().startswith("Done")
        stems = page.stems()
        page.browser.evaluate("document.getElementById('words').value = 'a dog barks'")
        page.browser.click("#ask")
        assert page.wait() == "That is Dog."
        assert page.found() == [*expected, "Dog"]
        outside = [url for url in page.browser.requests if url.startswith("http")]
        assert {url.split("/")[2].split(":")[0] for url in outside} == {"127.0.0.1"}
        assert page.browser.errors == []
    assert set(stems) == {*expected, "residual"}
    for name, stem in expected.items():
        assert distance_db(stems[name], stem, scene[0]) < -60.0, name
    # Browsers divide 16-bit samples by 32767 where they are positive.
    assert np.abs(sum(stems.values()) - scene[0]).max() < 1e-4


@pytest.mark.slow
def test_browser_tells_a_file_that_is_no_audio(exported: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no sound")
    with opened(tmp_path, exported) as page:
        page.wait()
        assert "notes.txt is no audio file" in page.choose(tmp_path / "notes.txt")


def test_browser_tells_that_the_model_is_missing(tmp_path: Path) -> None:
    with opened(tmp_path, None) as page:
        assert "uss-export-onnx -o web-demo/model" in page.wait()


@pytest.fixture
def in_vain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Any]:
    """Run the command on what it cannot export; gives what it says."""

    def run(*words: str) -> str:
        assert main([*words, "-o", str(tmp_path / "model")]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.count("\n") == 1
        return printed.err

    yield run
    assert not (tmp_path / "model").exists()


def test_a_wrong_opset_is_told(in_vain: Any) -> None:
    assert "opset 12 cannot be written; choose 18 to 23" in in_vain("--opset", "12")


def test_a_model_that_cannot_be_exported_is_told(in_vain: Any, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_bundle(path, Bundle(None, ConvTasNet("tiny-5", 5)))
    assert "ConvTasNet cannot be exported to ONNX" in in_vain(str(path))


def test_a_missing_model_is_told(in_vain: Any) -> None:
    assert "no such file" in in_vain("nowhere.safetensors")


def test_defaults_are_those_of_the_library() -> None:
    parsed: argparse.Namespace = export_parser().parse_args(["-o", "model"])
    assert parsed.opset == inspect.signature(export_onnx).parameters["opset"].default
