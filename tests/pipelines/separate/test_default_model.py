"""uss-separate with the model inside the package, on real and made scenes."""

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from pipelines.separate.command import main

ROOT = Path(__file__).parents[3]
SCENE = ROOT / "demo" / "scene.flac"
TELEPHONE = "telephone_and_speech_7s.wav"

pytestmark = [
    pytest.mark.skipif(
        not (resources.files("uss") / "weights" / "default.safetensors").is_file(),
        reason="the package holds no embedded default",
    ),
    pytest.mark.usefixtures("quick_pictures"),
]


def stems(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir()} - {"residual"}


def missed(folder: Path, recording: Path) -> float:
    """By how much the files of a folder miss the recording."""
    total = sum(soundfile.read(path, dtype="float64")[0] for path in folder.iterdir())
    return float(np.abs(total - soundfile.read(recording, dtype="float64")[0]).max())


@pytest.mark.parametrize("level", ["1", "2", "3"])
@pytest.mark.parametrize("amplitude", [0.0, 1e-5])
def test_silence_holds_no_sound(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    amplitude: float,
    level: str,
) -> None:
    noise = amplitude * np.random.default_rng(0).standard_normal(5 * 32_000)
    soundfile.write(tmp_path / "quiet.wav", noise, 32_000, subtype="FLOAT")
    options = ("--level", level, "-o", str(tmp_path / "out"))
    assert main([str(tmp_path / "quiet.wav"), *options]) == 0
    assert "nothing detected" in capsys.readouterr().out
    assert stems(tmp_path / "out" / "quiet" / f"level{level}") == set()


def test_a_person_speaks_on_the_telephone(shared: Path, tmp_path: Path) -> None:
    recording = shared / "scenes" / TELEPHONE
    assert main([str(recording), "--level", "1", "2", "3", "-o", str(tmp_path)]) == 0
    folder = tmp_path / recording.stem
    for level, name in ((1, "Human sounds"), (2, "Human voice"), (3, "Speech")):
        assert name in stems(folder / f"level{level}")
        assert missed(folder / f"level{level}", recording) <= 1e-6


def test_a_larger_tagger_also_hears_the_telephone_ring(shared: Path, tmp_path: Path) -> None:
    recording = shared / "scenes" / TELEPHONE
    tagger = shared / "weights" / "mn04_as_mAP_432.pt"
    if not tagger.is_file():
        pytest.skip("the reference weights of mn04_as are not here")
    options = ("--level", "1", "2", "3", "--tagger", str(tagger), "-o", str(tmp_path))
    assert main([str(recording), *options]) == 0
    folder = tmp_path / recording.stem
    assert {"Human voice", "Alarm"} <= stems(folder / "level2")
    assert "Speech" in stems(folder / "level3")
    report = json.loads((folder / "detections.json").read_text(encoding="utf-8"))
    assert report["settings"]["tagger"] == "mn04_as"
    assert missed(folder / "level2", recording) <= 1e-6


@pytest.mark.skipif(not SCENE.is_file(), reason="the demo scene is not here")
@pytest.mark.slow
def test_the_demo_scene_is_separated_in_the_shell(
    tmp_path: Path, run_command: Callable[..., Any]
) -> None:
    done = run_command("pipelines.separate", SCENE, "--level", "1", "2", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out" / "scene"
    assert "Human voice" in stems(folder / "level2")
    assert len(stems(folder / "level1")) >= 2
    for level in ("level1", "level2"):
        assert missed(folder / level, SCENE) <= 1e-6
    report = json.loads((folder / "detections.json").read_text(encoding="utf-8"))
    assert report["duration_seconds"] == pytest.approx(10.0)
    assert (folder / "timeline.png").stat().st_size > 10_000


def below_hearing(samples: np.ndarray) -> np.ndarray:
    """(T, C) means of 50 ms, of which the sound itself leaves next to nothing."""
    return np.apply_along_axis(np.convolve, 0, samples, np.full(1_600, 1.0 / 1_600), "same")


@pytest.fixture(scope="module")
def plain_scene(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is found in the demo scene as it is."""
    return separated_with(tmp_path_factory.mktemp("plain"), lambda times: 0.0 * times)


def separated_with(
    folder: Path, added: Callable[[np.ndarray], np.ndarray], *options: str
) -> dict[str, Any]:
    """Add a waveform to the demo scene at 32 kHz; returns stems by name, and ``residual``."""
    samples, rate = soundfile.read(SCENE, dtype="float64", always_2d=True)
    samples = np.stack([soxr.resample(channel, rate, 32_000) for channel in samples.T], axis=1)
    samples += added(np.arange(len(samples)) / 32_000)[:, None]
    soundfile.write(folder / "scene.wav", samples, 32_000, subtype="FLOAT")
    words = (str(folder / "scene.wav"), "--precision", "fp32", "-o", str(folder / "out"))
    assert main([*words, *options]) == 0
    out = folder / "out" / "scene"
    assert missed(out / "level2", folder / "scene.wav") <= 1e-6
    found = json.loads((out / "detections.json").read_text(encoding="utf-8"))["stems"]
    return {
        **{stem["name"]: stem for stem in found},
        "samples": {path.stem: soundfile.read(path)[0] for path in (out / "level2").iterdir()},
    }


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--consistency",), ("--full-band",)])
def test_an_offset_goes_to_the_residual(
    tmp_path: Path, plain_scene: dict[str, Any], options: tuple[str, ...]
) -> None:
    with_offset = separated_with(tmp_path, lambda times: np.full_like(times, 0.05), *options)
    assert with_offset.keys() == plain_scene.keys()
    for name, stem in with_offset.items():
        if name == "samples":
            continue
        assert stem["active_intervals"] == plain_scene[name]["active_intervals"]
        if not options:
            loudness = plain_scene[name]["loudness_dbfs"]
            assert stem["loudness_dbfs"] == pytest.approx(loudness, abs=0.1)
            # Neither a step where it begins or ends, nor an offset between.
            there = below_hearing(with_offset["samples"][name])
            before = below_hearing(plain_scene["samples"][name])
            assert np.abs(there - before).max() < 0.01
    rest = below_hearing(with_offset["samples"]["residual"])
    middle = slice(1_600, -1_600)
    assert np.median(rest[middle]) == pytest.approx(0.05, abs=1e-3)


@pytest.mark.slow
def test_a_rumble_goes_to_the_residual(tmp_path: Path, plain_scene: dict[str, Any]) -> None:
    def rumble(times: np.ndarray) -> np.ndarray:
        return np.asarray(0.07 * np.sin(2.0 * np.pi * 10.0 * times))

    with_rumble = separated_with(tmp_path, rumble)
    for name in plain_scene.keys() - {"samples"}:
        there, before = with_rumble["samples"][name], plain_scene["samples"][name]
        assert np.sqrt(np.mean(there**2) / np.mean(before**2)) == pytest.approx(1.0, abs=0.06)
        assert np.abs(below_hearing(there) - below_hearing(before)).max() < 0.01
