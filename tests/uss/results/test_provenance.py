"""What is noted of how a result was made."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import uss
from tests.uss.evaluation.conftest import CAT, DOG, RATE, make_separator, tone
from uss.results.file_settings import FileSettings
from uss.results.outcomes import Outcome
from uss.results.separate_files import separate_files
from uss.separation.plan import Wanted
from uss.separation.separator import Separator

ROOT = Path(uss.__file__).parent


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.wav"
    soundfile.write(path, tone(500.0, 0.6) + tone(6_000.0, 0.6), RATE, subtype="FLOAT")
    return path


@pytest.fixture(scope="module")
def default() -> Separator:
    return Separator.from_pretrained("default", device="cpu", precision="fp32")


def noted(folder: Path) -> Any:
    return json.loads((folder / "provenance.json").read_text("utf-8"))


def test_input_command_versions_and_machine_are_noted(scene: Path, tmp_path: Path) -> None:
    outcomes: list[Outcome] = []
    separate_files(
        [scene],
        tmp_path / "out",
        make_separator(DOG, CAT),
        FileSettings(wanted=Wanted(levels=[3])),
        on_outcome=outcomes.append,
        command=["uss-separate", "scene.wav", "--level", "3"],
    )
    content = noted(tmp_path / "out" / "scene")
    assert content["command"] == ["uss-separate", "scene.wav", "--level", "3"]
    assert content["input"]["sha256"] == hashlib.sha256(scene.read_bytes()).hexdigest()
    assert content["input"]["size_bytes"] == scene.stat().st_size
    assert content["input"]["duration_seconds"] == pytest.approx(0.6)
    assert content["program"] == {"name": "uss-pipeline", "version": uss.__version__}
    assert content["packages"]["numpy"] == np.__version__
    assert content["machine"]["precision"] == "float32"
    assert content["machine"]["device"] == "cpu"
    assert content["seeds"] == []
    record = json.loads((tmp_path / "out" / "scene" / "detections.json").read_text("utf-8"))
    assert content["settings"] == record["settings"]
    assert "provenance.json" in record["files"] and "provenance.json" in record["fingerprints"]


def test_every_weight_has_its_licence_training_data_and_hash(
    scene: Path, tmp_path: Path, default: Separator
) -> None:
    uss.separate_file(scene, tmp_path / "out", separator=default, texts=["a dog barks"])
    models = {each["role"]: each for each in noted(tmp_path / "out" / "scene")["models"]}
    assert models.keys() == {"separator", "tagger", "class queries", "understanding of words"}
    weights = (ROOT / "weights" / "default.safetensors").read_bytes()
    for role in ("separator", "tagger", "class queries"):
        assert models[role]["name"] == "default"
        assert models[role]["sha256"] == hashlib.sha256(weights).hexdigest()
        assert models[role]["licence"] == "Apache-2.0"
        assert "freely licensed clips" in models[role]["trained_on"]
        assert len(models[role]["weights_hash"]) == 16
    assert models["separator"]["weights_hash"] == default.separator_hash
    assert models["understanding of words"]["file"] == "text.safetensors"
    assert "AudioCaps" in models["understanding of words"]["trained_on"]


def test_another_tagger_is_noted_as_what_it_is(
    scene: Path, tmp_path: Path, mn04_path: Path
) -> None:
    """The file has the bytes of the published one, whatever it is called."""
    mine = tmp_path / "mine.pt"
    mine.write_bytes(mn04_path.read_bytes())
    separator = Separator.from_pretrained(tagger=mine, device="cpu", precision="fp32")
    uss.separate_file(scene, tmp_path / "out", separator=separator, detect_only=True)
    tagger = next(
        each for each in noted(tmp_path / "out" / "scene")["models"] if each["role"] == "tagger"
    )
    assert tagger["name"] == str(mine) and tagger["file"] == "mine.pt"
    assert tagger["licence"] == "MIT" and "EfficientAT" in tagger["source"]
    assert tagger["sha256"] == hashlib.sha256(mine.read_bytes()).hexdigest()


def test_of_weights_that_say_nothing_nothing_is_asserted(scene: Path, tmp_path: Path) -> None:
    uss.separate_file(scene, tmp_path / "out", separator=make_separator(DOG, CAT))
    for each in noted(tmp_path / "out" / "scene")["models"]:
        assert (each["licence"], each["trained_on"]) == ("NOASSERTION", "not stated")


def test_results_of_before_are_not_made_again_for_lack_of_it(scene: Path, tmp_path: Path) -> None:
    separator = make_separator(DOG, CAT)

    def run() -> int:
        uss.separate_file(scene, tmp_path / "out", separator=separator, levels=[3], resume=True)
        return (tmp_path / "out" / "scene" / "detections.json").stat().st_mtime_ns

    run()
    folder = tmp_path / "out" / "scene"
    record = json.loads((folder / "detections.json").read_text("utf-8"))
    for later in ("time_reference", "timecode", "tags"):
        del record[later]
    record["files"].remove("provenance.json")
    del record["fingerprints"]["provenance.json"]
    (folder / "provenance.json").unlink()
    (folder / "detections.json").write_text(json.dumps(record), "utf-8")
    before = (folder / "detections.json").stat().st_mtime_ns
    assert run() == before
