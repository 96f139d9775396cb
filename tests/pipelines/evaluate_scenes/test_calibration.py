"""Thresholds are found, shifted, and written beside all else."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.pipelines.conftest import MakeBundle
from tests.pipelines.evaluate_scenes.evaluated import (
    FAINT_DB,
    Evaluate,
    error_line,
    of,
    records,
    refuse_to_run,
    results,
    saved,
)
from tests.uss.evaluation.scene_examples import make_scene
from uss.checkpoints.bundle import load_bundle, save_bundle
from uss.detection.defaults import DEFAULT_THRESHOLD
from uss.evaluation.calibration import Calibration
from uss.separation.separator import Separator
from uss.taggers import NUM_CLASSES


@pytest.fixture
def yard(audio: Path) -> Path:
    """Dogs that are heard well, and faint rain that is taken for a dog, alike each time."""
    dogs = [make_scene(of("Dog", 0.1 * n), name=f"dog {n}") for n in range(5)]
    rains = [make_scene(of("Rain", gain_db=FAINT_DB), name=f"rain {n}") for n in range(3)]
    return saved(audio, *dogs, *rains)


@pytest.fixture(scope="session")
def dog_bundle(tmp_path_factory: pytest.TempPathFactory, make_bundle: MakeBundle) -> Path:
    """Hears dogs in all noise; knows where it comes from."""
    path = tmp_path_factory.mktemp("dog") / "dog.safetensors"
    bundle = load_bundle(make_bundle(path, ["Dog"]))
    save_bundle(path, replace(bundle, provenance={"data": "noise", "steps": 0}))
    return path


def with_thresholds(path: Path, bundle_file: Path, *, half: bool = False) -> Path:
    """A copy that detects next to nothing."""
    thresholds = np.full(NUM_CLASSES, 0.99999, np.float32)
    save_bundle(path, replace(load_bundle(bundle_file), thresholds=thresholds), half=half)
    return path


def test_calibration_finds_the_threshold_that_parts_right_from_wrong(
    evaluate: Evaluate,
    yard: Path,
    dog_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "calibrated.safetensors"
    before, after = tmp_path / "before", tmp_path / "after"
    assert evaluate(yard, "--model", dog_bundle, "-o", before) == 0
    dogs: list[float] = []
    rains: list[float] = []
    for record in records(before):
        (dogs if record["scene"].startswith("dog") else rains).append(max(record["class_scores"]))
    assert DEFAULT_THRESHOLD < min(rains) == max(rains) < 0.99 < min(dogs)
    capsys.readouterr()
    # Its older thresholds have no part in it.
    older = with_thresholds(tmp_path / "older.safetensors", dog_bundle)
    assert evaluate(yard, "--model", older, "--calibrate", target) == 0
    shown = capsys.readouterr().out.splitlines()

    # The rain is never heard as such: 5 of 5 detections are right, 5 of 8 events found.
    expected = (max(rains) + min(dogs)) / 2
    calibrated = Separator.from_pretrained(target, device="cpu", precision="fp32")
    thresholds = calibrated.detector.thresholds(None)
    assert thresholds.shape == (NUM_CLASSES,) and thresholds.dtype == np.float32
    np.testing.assert_allclose(thresholds, expected, rtol=1e-6)
    assert calibrated.bundle.provenance == {
        "data": "noise",
        "steps": 0,
        "thresholds": {
            "scenes": "scenes.csv",
            "scenes_sha256": hashlib.sha256(yard.read_bytes()).hexdigest(),
            "num_scenes": 8,
            "global_threshold": pytest.approx(expected),
            "strength": None,
            "held_out_f1": pytest.approx(10 / 13),
            "sensitivity": "medium",
        },
    }
    assert list(calibrated.bundle.sensitivities) == ["high", "low", "medium"]
    np.testing.assert_array_equal(calibrated.detector.thresholds("medium"), thresholds)
    assert shown[1].startswith("one for all classes (chosen)") and shown[1].endswith(" 0.769")
    assert shown[-2:] == [f"{expected:.3f} for all classes", f"-> {target}"]
    assert not (tmp_path / "out").exists()

    # It is used where the model is.
    assert evaluate(yard, "--model", target, "-o", after) == 0
    f1 = [results(each)["detectors"]["tiny"]["levels"]["2"]["f1"] for each in (before, after)]
    assert f1 == pytest.approx([10 / 16, 10 / 13])
    # What was found with other thresholds is no part of it.
    assert evaluate(yard, "--model", target, "-o", before) == 2
    assert "other settings (thresholds_hash)" in capsys.readouterr().err


def test_thresholds_can_be_shifted_together(
    evaluate: Evaluate,
    yard: Path,
    dog_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From where next to nothing is detected; the rain's class stays twice as sure as the dog's."""
    own = np.full(NUM_CLASSES, 0.9999, np.float32)
    own[1] = 0.99995
    model, target = tmp_path / "model.safetensors", tmp_path / "shifted.safetensors"
    save_bundle(model, replace(load_bundle(dog_bundle), thresholds=own))
    assert evaluate(yard, "--model", model, "--calibrate", target, "--shift-only") == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown[1:]] == ["low", "medium", "high", "->"]

    bundle = load_bundle(target)
    assert bundle.thresholds is not None and bundle.provenance["thresholds"]["num_scenes"] == 8
    np.testing.assert_array_equal(bundle.sensitivities["medium"], bundle.thresholds)
    odds = bundle.thresholds / (1.0 - bundle.thresholds)
    assert odds[1] / odds[0] == pytest.approx(2.0, rel=0.01)
    assert odds[0] < 9999 / 20

    output = tmp_path / "after"
    assert evaluate(yard, "--model", target, "-o", output) == 0
    # Five of five are right, and five of eight found: as good as any threshold does.
    f1 = results(output)["detectors"]["tiny"]["levels"]["2"]["f1"]
    assert f1 == pytest.approx(10 / 13)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        (["--shift-only"], "give that as well"),
        (["--shift-only", "--calibrate", "OUT"], "no thresholds of its own"),
    ],
    ids=["without a target", "without thresholds"],
)
def test_what_cannot_be_shifted_is_said(
    evaluate: Evaluate,
    yard: Path,
    dog_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    remedy: str,
) -> None:
    target = tmp_path / "shifted.safetensors"
    words = [target if word == "OUT" else word for word in options]
    assert evaluate(yard, "--model", dog_bundle, *words) == 2
    assert remedy in error_line(capsys)
    assert not target.exists()


@pytest.mark.parametrize(
    ("half", "precision"), [(False, "bf16"), (True, "fp32")], ids=["float32", "float16"]
)
def test_calibration_leaves_all_else_as_it_was(
    evaluate: Evaluate,
    yard: Path,
    dog_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    half: bool,
    precision: str,
) -> None:
    """Also how numbers are stored: what float16 holds exactly stays in it, and nothing else."""
    model = with_thresholds(tmp_path / "model.safetensors", dog_bundle, half=half)
    target = tmp_path / "calibrated.safetensors"
    found = Calibration(np.linspace(0.1, 0.9, NUM_CLASSES, dtype=np.float32), 0.3, 2.0, {2.0: 0.5})
    monkeypatch.setattr("uss.evaluation.calibration_job.calibrate", lambda records, *, rng: found)
    options = ["--limit", "1", "--precision", precision]
    assert evaluate(yard, "--model", model, "--calibrate", target, *options) == 0
    before, after = load_file(model), load_file(target)
    np.testing.assert_array_equal(after.pop("thresholds").numpy(), found.thresholds)
    np.testing.assert_array_equal(after.pop("thresholds.medium").numpy(), found.thresholds)
    # In this one scene nothing is wrong or missed, so there is nothing to shift.
    for name in ("low", "high"):
        np.testing.assert_array_equal(after.pop(f"thresholds.{name}").numpy(), found.thresholds)
    del before["thresholds"]
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        assert after[name].dtype == tensor.dtype, name
        assert torch.equal(after[name], tensor), name
    assert (torch.float16 in {tensor.dtype for tensor in after.values()}) == half
    old, new = load_bundle(model), load_bundle(target)
    assert new.licence == old.licence == "CC0-1.0"
    assert old.class_queries is not None and new.class_queries is not None
    assert new.class_queries.space == old.class_queries.space
    assert new.class_queries.class_indexes == old.class_queries.class_indexes


@pytest.mark.parametrize("option", ["--tagger", "--separator", "--compare-tagger"])
def test_calibration_is_for_one_file(
    evaluate: Evaluate,
    yard: Path,
    tagger_file: Path,
    bundle_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
) -> None:
    target = tmp_path / "calibrated.safetensors"
    file = bundle_file if option == "--separator" else tagger_file
    assert evaluate(yard, "--calibrate", target, option, file) == 2
    assert f"leave out {option}" in error_line(capsys)
    assert not target.exists()


def test_the_folder_of_the_calibrated_model_is_asked_for_first(
    evaluate: Evaluate,
    yard: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("uss.evaluation.calibration_job.detect_scene", refuse_to_run)
    target = tmp_path / "gone" / "calibrated.safetensors"
    assert evaluate(yard, "--calibrate", target) == 2
    assert f"{tmp_path / 'gone'}: no such folder; make it" in error_line(capsys)
    assert not target.parent.exists()


@pytest.mark.parametrize("content", [b"no audio", None], ids=["broken", "missing"])
def test_calibration_writes_nothing_where_a_clip_is_bad(
    evaluate: Evaluate,
    yard: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
) -> None:
    target = tmp_path / "calibrated.safetensors"
    target.write_bytes(b"older")
    clip = yard.parent / "Rain.wav"
    clip.unlink()
    if content is not None:
        clip.write_bytes(content)
    assert evaluate(yard, "--calibrate", target) == 2
    assert str(clip) in error_line(capsys)
    assert target.read_bytes() == b"older"
    assert not list(tmp_path.glob("*.part"))


def test_too_few_scenes_to_calibrate_on(
    evaluate: Evaluate, yard: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "calibrated.safetensors"
    assert evaluate(yard, "--calibrate", target, "--limit", "4") == 2
    assert "4 scenes are too few to calibrate on; give 5" in error_line(capsys)
    assert not target.exists()


def test_a_fault_is_not_blamed_on_the_scene(
    evaluate: Evaluate,
    yard: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def misfit(*_: Any, **__: Any) -> Any:
        return np.zeros(2) + np.zeros(3)

    monkeypatch.setattr("uss.evaluation.scenes.scene_job.evaluate_scene", misfit)
    assert evaluate(yard, "--limit", "1") == 1
    assert "a fault of this program, ValueError: operands" in error_line(capsys)
