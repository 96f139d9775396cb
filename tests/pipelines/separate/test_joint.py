"""--joint and --independent: who gets what where stems are alike."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

PRECISION = "fp32"

Separate = Callable[..., int]
BOTH = ("--class", "Dog", "--class", "Cat", "--threshold", "0")


def stems(folder: Path) -> dict[str, np.ndarray]:
    """(T,) of all files in a folder, by name."""
    return {path.stem: soundfile.read(path)[0] for path in folder.glob("*.wav")}


def run(separate: Separate, out: Path, *arguments: str | Path) -> dict[str, np.ndarray]:
    assert separate(*arguments, "-o", out) == 0
    return stems(out / "scene" / "queries")


def test_models_that_were_not_trained_so_separate_independently(
    separate: Separate, scene: Path, tmp_path: Path
) -> None:
    default = run(separate, tmp_path / "default", scene, *BOTH)
    independent = run(separate, tmp_path / "independent", scene, *BOTH, "--independent")
    for name, samples in independent.items():
        np.testing.assert_array_equal(default[name], samples)
    noted = json.loads((tmp_path / "default" / "scene" / "detections.json").read_text())
    assert noted["settings"]["joint"] is False


def test_joint_stems_hold_no_more_than_there_is(
    separate: Separate, scene: Path, tmp_path: Path
) -> None:
    """Two classes that the tiny model cannot tell apart share what each of them took alone."""
    independent = run(separate, tmp_path / "independent", scene, *BOTH)
    joint = run(separate, tmp_path / "joint", scene, *BOTH, "--joint")
    noted = json.loads((tmp_path / "joint" / "scene" / "detections.json").read_text())
    assert noted["settings"]["joint"] is True
    mixture = soundfile.read(scene)[0]
    np.testing.assert_allclose(sum(joint.values()), mixture, atol=1e-6)
    energy = {name: np.square(samples).sum() for name, samples in independent.items()}
    for name in ("Dog", "Cat"):
        assert 0.0 < np.square(joint[name]).sum() < energy[name]
    assert np.square(joint["residual"]).sum() < np.square(mixture).sum()


def test_one_stem_has_no_rival(separate: Separate, scene: Path, tmp_path: Path) -> None:
    one = ("--class", "Dog", "--threshold", "0")
    alone = run(separate, tmp_path / "independent", scene, *one)
    joint = run(separate, tmp_path / "joint", scene, *one, "--joint")
    np.testing.assert_array_equal(alone["Dog"], joint["Dog"])


def test_what_is_to_be_in_no_stem_competes_too(
    separate: Separate, scene: Path, tmp_path: Path
) -> None:
    one = ("--class", "Dog", "--threshold", "0", "--joint")
    alone = run(separate, tmp_path / "alone", scene, *one)
    without = run(separate, tmp_path / "without", scene, *one, "--not", "Cat")
    assert sorted(without) == ["Dog", "residual"]
    assert np.square(without["Dog"]).sum() < np.square(alone["Dog"]).sum()


def test_only_one_of_both_can_be_asked_for(
    separate: Separate, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(scene, "--joint", "--independent") == 2
    assert "not allowed with argument --joint" in capsys.readouterr().err


def test_an_option_that_is_repeated_adds_to_the_first(
    separate: Separate, scene: Path, tmp_path: Path
) -> None:
    separated = run(separate, tmp_path / "out", scene, *BOTH)
    assert sorted(separated) == ["Cat", "Dog", "residual"]
