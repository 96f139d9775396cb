"""What cannot be evaluated is told in one line."""

from pathlib import Path

import pytest

from tests.pipelines.evaluate_scenes.evaluated import Evaluate, error_line, refuse_to_run


def test_a_missing_clip_is_named_before_anything_is_rendered(
    evaluate: Evaluate,
    scenes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is that of the last scene."""
    monkeypatch.setattr("uss.evaluation.scenes.scene_job.evaluate_scene", refuse_to_run)
    gone = scenes.parent / "Rain.wav"
    gone.unlink()
    assert evaluate(scenes) == 2
    expected = f"{scenes}, scene rain: {gone}: no such file; correct the list, or name"
    assert expected in error_line(capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("calibrate", [False, True], ids=["measure", "calibrate"])
@pytest.mark.parametrize(
    "option", [["--condition", "oracle"], ["--metrics", "sdr"], ["--keep-going"]], ids=" ".join
)
def test_options_of_lists_are_refused(
    evaluate: Evaluate,
    scenes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: list[str],
    calibrate: bool,
) -> None:
    monkeypatch.setattr("uss.evaluation.scenes.scene_job.evaluate_scene", refuse_to_run)
    monkeypatch.setattr("uss.evaluation.calibration_job.detect_scene", refuse_to_run)
    target = ["--calibrate", tmp_path / "c.safetensors"] if calibrate else []
    assert evaluate(scenes, *option, *target) == 2
    assert "are for lists of mixtures; leave them out" in error_line(capsys)
    assert not (tmp_path / "out").exists()


def test_lists_cannot_calibrate(
    evaluate: Evaluate, audio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = audio / "list.csv"
    path.write_text("target,interferer\nDog.wav,Rain.wav\n")
    target = tmp_path / "calibrated.safetensors"
    assert evaluate(path, "--calibrate", target) == 2
    assert "are for scenes; leave them out" in error_line(capsys)
    assert not target.exists()
