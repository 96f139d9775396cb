"""Evaluations that were stopped, and folders that hold others."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.evaluate_scenes.evaluated import (
    Evaluate,
    Run,
    error_line,
    refuse_to_run,
    results,
    saved,
    table,
)
from uss.evaluation.scenes.records import SceneRecord
from uss.evaluation.scenes.running import evaluate_scene
from uss.evaluation.scenes.scene import Scene
from uss.evaluation.scenes.scene_list import read_scenes
from uss.separation.separator import Separator


def test_a_stopped_evaluation_goes_on(
    evaluate: Evaluate,
    scenes: Path,
    measured: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A clip of the second scene cannot be read at first."""
    music = scenes.parent / "Music.wav"
    content = music.read_bytes()
    music.write_bytes(b"no audio")
    assert evaluate(scenes) == 2
    error = error_line(capsys)
    assert error.startswith("uss-evaluate: scene talk: ") and str(music) in error
    out = tmp_path / "out"
    kept = (out / "results.jsonl.part").read_bytes()
    assert kept.count(b'"scene": "dog"') == kept.count(b'"record"') == 1
    assert not (out / "results.json").exists() and not (out / "results.csv").exists()
    music.write_bytes(content)
    rendered = []

    def note(separator: Separator, scene: Scene, root: Path, **options: Any) -> SceneRecord:
        rendered.append(scene.name)
        return evaluate_scene(separator, scene, root, **options)

    monkeypatch.setattr("uss.evaluation.scenes.scene_job.evaluate_scene", note)
    assert evaluate(scenes) == 0
    assert rendered == ["talk", "walk", "rain"]
    assert (out / "results.jsonl").read_bytes().startswith(kept)
    assert not (out / "results.jsonl.part").exists()
    for name in ("detectors", "mean", "median"):
        assert results(out)[name] == results(measured.folder)[name]
    assert table(out) == table(measured.folder)


def test_a_finished_evaluation_is_not_made_again(
    evaluate: Evaluate, measured: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(measured.folder, out)
    (out / "results.json").unlink()
    (out / "results.csv").unlink()
    monkeypatch.setattr("uss.evaluation.scenes.scene_job.evaluate_scene", refuse_to_run)
    assert evaluate(measured.scenes) == 0
    assert results(out)["detectors"] == results(measured.folder)["detectors"]
    assert table(out) == table(measured.folder)
    # Fewer of the same.
    assert evaluate(measured.scenes, "--limit", "2") == 0
    assert table(out) == table(measured.folder)[:6]
    assert results(out)["detectors"]["tiny"]["levels"]["2"]["recall"] == 1.0


def test_the_journal_of_an_older_version_is_refused(
    evaluate: Evaluate, measured: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its records lack what half the mixture would have."""
    out = tmp_path / "out"
    shutil.copytree(measured.folder, out)
    settings, *lines = (out / "results.jsonl").read_text(encoding="utf-8").splitlines()
    older = [json.loads(line) for line in lines]
    for each in older:
        for level in each["record"]["levels"].values():
            del level["half_ca_sdri_db"]
    lines = [settings, *map(json.dumps, older)]
    (out / "results.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert evaluate(measured.scenes) == 2
    assert "this is no record of a scene (KeyError: 'half_ca_sdri_db')" in error_line(capsys)


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        (["--threshold", "0.5"], "threshold, thresholds_hash"),
        (["--overlap", "0"], "overlap"),
        (["--psds"], "psds"),
        (["--compare-tagger", "RAIN"], "compared_hashes"),
        (["--tagger", "RAIN"], "tagger_hash"),
        (["REVERSED"], "scenes_sha256"),
    ],
)
def test_the_results_of_another_evaluation_are_not_mixed_in(
    evaluate: Evaluate,
    measured: Run,
    scenes: Path,
    rain_tagger: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    settings: str,
) -> None:
    out = tmp_path / "out"
    shutil.copytree(measured.folder, out)
    if "REVERSED" in options:
        saved(scenes.parent, *read_scenes(scenes)[::-1])
    words = [str(rain_tagger) if word == "RAIN" else word for word in options]
    assert evaluate(scenes, *(word for word in words if word != "REVERSED")) == 2
    # The audio of this test lies elsewhere.
    message = f"other settings (audio_root_hash, {settings}); choose another output folder"
    assert message in error_line(capsys)
    for file in out.iterdir():
        assert file.read_bytes() == (measured.folder / file.name).read_bytes()
