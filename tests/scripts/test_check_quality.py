import csv
import importlib
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ontology import load_ontology
from tests.uss.evaluation.scene_examples import make_event, make_scene, write_clip
from uss.evaluation.lists.mixture_list import read_list
from uss.evaluation.scenes.scene_list import read_scenes, write_scenes

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
check_quality = importlib.import_module("check_quality")

ORACLE, LEVEL = "mixtures, oracle: SI-SDRi", "scenes, level 2: SI-SDRi"
FIGURES = {ORACLE: 7.0, LEVEL: 5.0}


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of recorded figures, of this test alone."""
    path = tmp_path / "recorded.json"
    path.write_text(json.dumps(FIGURES))
    monkeypatch.setattr(check_quality, "RECORDED", path)
    return path


def find(monkeypatch: pytest.MonkeyPatch, figures: Mapping[str, float | None]) -> None:
    """Has these figures found, whatever the audio."""
    monkeypatch.setattr(check_quality, "measure", lambda audio: dict(figures))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"a: SI-SDRi": None, "b: F1": 0.5}, ["a: SI-SDRi"]),
        ({"a: SI-SDRi": 5.0, "b: F1": 0.5}, []),
        ({"a: SI-SDRi": 4.7, "b: F1": 0.47}, []),
        ({"a: SI-SDRi": 4.69, "b: F1": 0.5}, ["a: SI-SDRi"]),
        ({"a: SI-SDRi": 9.0, "b: F1": 0.46}, ["b: F1"]),
        ({"a: SI-SDRi": 9.0, "b: F1": 0.9}, []),
    ],
    ids=["undefined", "same", "just", "0.31 dB below", "0.04 below", "better"],
)
def test_what_has_fallen(found: dict[str, float], expected: list[str]) -> None:
    """More than 0.3 dB is too much, and more than 0.03 of F1."""
    assert check_quality.fallen({"a: SI-SDRi": 5.0, "b: F1": 0.5}, found) == expected


@pytest.mark.parametrize("recorded", [{}, {"a: F1": 0.5}, {"a: F1": 0.5, "b: F1": 0.5, "c: F1": 1}])
def test_what_is_not_both_recorded_and_found_does_not_pass(recorded: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="is not both recorded and measured; run with --record"):
        check_quality.fallen(recorded, {"a: F1": 0.5, "b: F1": 0.5})


@pytest.mark.parametrize(
    ("level", "status", "verdict"),
    [(5.2, 0, "ok"), (4.7, 0, "ok"), (4.69, 1, "FALLEN"), (None, 1, "FALLEN")],
)
def test_a_fallen_figure_fails(
    recorded: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    level: float | None,
    status: int,
    verdict: str,
) -> None:
    find(monkeypatch, {ORACLE: 7.25, LEVEL: level})
    assert check_quality.main(["audio"]) == status
    now = "none" if level is None else f"{level:.2f}"
    assert capsys.readouterr().out.splitlines() == [
        f"{ORACLE} 7.25, recorded 7.00: ok",
        f"{LEVEL} {now}, recorded 5.00: {verdict}",
    ]
    assert json.loads(recorded.read_text()) == FIGURES


def test_figures_are_recorded_whole(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where they are worse than before: whoever records them wants them."""
    worse = {LEVEL: 1.5, ORACLE: 2.0}
    find(monkeypatch, worse)
    assert check_quality.main(["audio", "--record"]) == 0
    assert json.loads(recorded.read_text()) == worse
    assert recorded.read_text().endswith("}\n")
    assert "FALLEN" not in capsys.readouterr().out
    assert [path.name for path in recorded.parent.iterdir()] == [recorded.name]
    # The next run compares with them.
    assert check_quality.main(["audio"]) == 0
    find(monkeypatch, {**worse, ORACLE: 1.6})
    assert check_quality.main(["audio"]) == 1


def test_figures_that_there_are_not_cannot_be_recorded(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A level at which nothing right is found has no mean; the older figures stay."""
    find(monkeypatch, {ORACLE: 7.0, LEVEL: None})
    assert check_quality.main(["audio", "--record"]) != 0
    assert json.loads(recorded.read_text()) == FIGURES
    assert LEVEL in "".join(capsys.readouterr())


@pytest.mark.parametrize("option", [[], ["--record"]], ids=["compare", "record"])
def test_missing_audio_is_said_and_nothing_recorded(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    """With the default model and the benchmark as they are."""
    assert check_quality.main([str(tmp_path / "nowhere"), *option]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("uss-evaluate: ") and f"{tmp_path / 'nowhere'}/" in first
    assert second == "check_quality: the evaluation of mixtures.csv failed; see above"
    assert json.loads(recorded.read_text()) == FIGURES


@pytest.mark.parametrize("content", [None, "{"], ids=["missing", "broken"])
def test_without_recorded_figures_nothing_can_be_said(
    recorded: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
) -> None:
    recorded.unlink()
    if content is not None:
        recorded.write_text(content)
    find(monkeypatch, FIGURES)
    assert check_quality.main(["audio"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("check_quality: ") and error.count("\n") == 1


def test_figures_are_those_of_the_evaluations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """One mixture and one scene, with the default model; nothing else is left out of the way."""
    audio, lists, kept = tmp_path / "audio", tmp_path / "lists", tmp_path / "kept"
    for folder in (lists, kept):
        folder.mkdir()
    for name in ("speech.wav", "rain.wav"):
        write_clip(audio, name, 0.1 * rng.standard_normal(16_000))
    (lists / "mixtures.csv").write_text(
        "target,interferer,class\nspeech.wav,rain.wav,Speech\n", encoding="utf-8"
    )
    events = (make_event("Rain", path="rain.wav"), make_event("Speech", path="speech.wav"))
    write_scenes(lists / "scenes.csv", [make_scene(*events)])
    commands: list[Sequence[str]] = []

    def evaluate(words: Sequence[str]) -> int:
        commands.append(words)
        status = check_quality_evaluate(words)
        output = Path(words[words.index("-o") + 1])
        shutil.copy(output / "results.json", kept / f"{output.name}.json")
        return int(status)

    check_quality_evaluate = check_quality.evaluate
    monkeypatch.setattr(check_quality, "evaluate", evaluate)
    monkeypatch.setattr(check_quality, "QUALITY", lists)
    found = check_quality.measure(audio)
    mixtures, scenes = (
        json.loads((kept / f"{name}.json").read_text()) for name in ("mixtures", "scenes")
    )
    means = {name: output["mean"]["SI-SDRi"] for name, output in mixtures["outputs"].items()}
    (levels,) = (detector["levels"] for detector in scenes["detectors"].values())
    fields = {"SI-SDRi": "mean_si_sdri_db", "CA-SDRi": "mean_ca_sdri_db", "F1": "f1"}
    assert found == {
        "mixtures, oracle: SI-SDRi": means["oracle"],
        "mixtures, class-average: SI-SDRi": means["class-average"],
        **{
            f"scenes, level {level}: {score}": levels[level][field]
            for level in "123"
            for score, field in fields.items()
        },
    }
    assert means["oracle"] is not None and means["oracle"] != means["class-average"]
    for words, limit in zip(commands, ("60", "20"), strict=True):
        assert words[words.index("--limit") + 1] == limit
        assert words[words.index("--precision") + 1] == "fp32"
        assert words[words.index("--device") + 1] == "cpu"
        assert "--model" not in words


@pytest.fixture(scope="module")
def manifest() -> dict[str, dict[str, Any]]:
    """The labelled clips by their paths."""
    path = ROOT / "data_manifests" / "labelled-clips.csv"
    with path.open(newline="", encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_the_mixtures_are_of_clips_that_the_model_has_not_seen(
    manifest: dict[str, dict[str, Any]],
) -> None:
    rows = read_list(ROOT / "quality" / "mixtures.csv")
    assert len(rows) >= 60
    for row in rows:
        assert load_ontology().find(row.class_name).mid in row.mids
        for file in row.files:
            assert manifest[file]["split"] == "validation"


def test_the_scenes_are_of_clips_that_the_model_has_not_seen(
    manifest: dict[str, dict[str, Any]],
) -> None:
    scenes = read_scenes(ROOT / "quality" / "scenes.csv")
    assert len(scenes) >= 20
    for event in (event for scene in scenes for event in scene.events):
        assert manifest[event.path]["split"] == "validation"
        assert manifest[event.path]["mids"].split(";") == list(event.mids)
    # Those that are measured have some of everything.
    assert {len(scene.events) for scene in scenes[:20]} >= {0, 1, 2, 3}
    assert {scene.background is None for scene in scenes[:20]} == {False, True}
