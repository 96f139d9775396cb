"""What --preset writes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ontology import load_ontology
from pipelines.separate import command
from tests.pipelines.separate.outputs import assert_adds_up, energy, read, record, stems
from uss import Separator, separate_file

WriteNoise = Callable[..., Path]
Separate = Callable[..., int]
PRECISION = "fp32"
FILM = {"dialogue", "music", "effects", "residual"}

pytestmark = pytest.mark.usefixtures("quick_pictures")


@pytest.fixture(autouse=True)
def folder_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "presets"
    path.mkdir()
    monkeypatch.setenv("USS_PRESETS", str(path))
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out" / "scene"


def test_a_film_is_dialogue_music_effects_and_a_residual_that_add_up(
    scene: Path, separate: Separate, out: Path
) -> None:
    assert separate(scene, "--preset", "film") == 0
    folders = {path.name for path in out.iterdir() if path.is_dir()}
    assert folders == {"film"}
    written = stems(out / "film")
    assert set(written) == FILM
    assert_adds_up(out / "film", scene)
    # Noise is a dog, speech and music to this model.
    assert all(energy(samples) > 0.0 for samples in written.values())
    found = record(out)
    assert found["residuals"] == {"film": "film/residual.wav"}
    by_name = {stem["name"]: stem for stem in found["stems"]}
    assert set(by_name) == FILM - {"residual"}
    assert {stem["preset"] for stem in found["stems"]} == {"film"}
    assert by_name["dialogue"]["mids"] == [load_ontology().find("Human voice").mid]
    assert all(stem["mid"] is None and stem["level"] is None for stem in found["stems"])
    report = (out / "report.html").read_text(encoding="utf-8")
    assert '<h2 id="folder-film">film</h2>' in report
    assert "Asked for by audio" not in report


def test_a_stem_is_what_its_heard_class_alone_would_be(
    scene: Path, separate: Separate, out: Path, tmp_path: Path
) -> None:
    """Where one of a stem's classes is heard, the separator is asked for it alone."""
    assert separate(scene, "--preset", "film") == 0
    assert separate(scene, "--class", "Speech", "Music", "Dog", "-o", tmp_path / "named") == 0
    named = stems(tmp_path / "named" / "scene" / "queries")
    for stem, name in (("dialogue", "Speech"), ("music", "Music"), ("effects", "Dog")):
        written = read(out / "film" / f"{stem}.wav")
        assert energy(written - named[name]) < 1e-6 * energy(named[name])


def test_presets_levels_and_classes_each_have_a_folder(
    scene: Path, separate: Separate, out: Path, folder_of_ones_own: Path
) -> None:
    (folder_of_ones_own / "kennel.yaml").write_text("stems: {dogs: [Dog], rest of it: [Cat]}\n")
    assert separate(scene, "--level", "2", "--class", "Dog", "--preset", "film", "kennel") == 0
    folders = {path.name for path in out.iterdir() if path.is_dir()}
    assert folders == {"level2", "queries", "film", "kennel"}
    for folder in folders:
        assert_adds_up(out / folder, scene)
    assert set(stems(out / "kennel")) == {"dogs", "rest of it", "residual"}
    # What is not heard is silent.
    assert energy(stems(out / "kennel")["rest of it"]) == 0.0
    np.testing.assert_array_equal(
        read(out / "kennel" / "dogs.wav"), read(out / "queries" / "Dog.wav")
    )


def test_with_consistency_nothing_is_left_over(scene: Path, separate: Separate, out: Path) -> None:
    assert separate(scene, "--preset", "film", "--consistency") == 0
    written = stems(out / "film")
    assert energy(written.pop("residual")) < 1e-9 * energy(read(scene))
    total = np.sum(list(written.values()), axis=0)
    np.testing.assert_allclose(total, read(scene), rtol=0.0, atol=1e-5)


def test_what_must_be_in_no_stem_is_in_none_of_a_preset(
    scene: Path, separate: Separate, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(scene, "--preset", "film", "--not", "Dog") == 0
    assert energy(stems(out / "film")["effects"]) == 0.0
    assert_adds_up(out / "film", scene)
    assert separate(scene, "--preset", "film", "--not", "voices") == 2
    assert "dialogue is asked for, and voices, which is to be in no stem" in (
        capsys.readouterr().err
    )


def test_what_is_only_detected_is_named_with_its_preset(
    scene: Path, separate: Separate, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(scene, "--preset", "film", "--detect-only") == 0
    assert not [path for path in out.iterdir() if path.is_dir()]
    assert "film/dialogue" in capsys.readouterr().out
    assert {stem["name"] for stem in record(out)["stems"]} == FILM - {"residual"}


def test_presets_are_listed_with_ones_own_and_what_is_wrong_with_them(
    folder_of_ones_own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder_of_ones_own / "kennel.yaml").write_text("description: dogs\nstems: {dogs: [Dog]}\n")
    (folder_of_ones_own / "broken.yaml").write_text("stems: [")
    assert command.main(["--preset", "list"]) == 0
    said = capsys.readouterr()
    for line in (
        "film: dialogue, music and effects",
        "stems dialogue, music, effects, and",
        "nature: ",
        "speech: ",
        "kennel: dogs",
        f"in {folder_of_ones_own}",
    ):
        assert line in said.out
    (error,) = said.err.splitlines()
    assert "broken.yaml is no YAML file" in error


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("cinema", "unknown preset 'cinema'; there are film, nature, speech"),
        ("nowhere.yaml", "nowhere.yaml"),
    ],
)
def test_an_unknown_preset_is_refused_before_any_work(
    preset: str,
    message: str,
    scene: Path,
    separate: Separate,
    out: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert separate(scene, "--preset", preset) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not out.parent.exists()


def test_programs_take_presets(scene: Path, bundle_file: Path, tmp_path: Path) -> None:
    separator = Separator.from_pretrained(bundle_file, device="cpu", precision="fp32")
    waveform, rate = soundfile.read(scene, dtype="float32")
    found = separator.separate(waveform, rate, preset="film")
    assert set(found) == FILM - {"residual"}
    total = np.sum([*found.values(), found.residual], axis=0)
    np.testing.assert_allclose(total, waveform, rtol=0.0, atol=1e-6)
    with pytest.raises(ValueError, match="two calls"):
        separator.separate(waveform, rate, preset="film", classes=["Dog"])
    written = separate_file(scene, tmp_path / "out", separator=separator, presets=["film"])
    assert set(written.residuals) == {"film"}
    dialogue = read(tmp_path / "out" / "scene" / "film" / "dialogue.wav")[:, 0]
    np.testing.assert_allclose(dialogue, found["dialogue"], rtol=0.0, atol=1e-6)
