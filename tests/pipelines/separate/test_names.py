"""How people name what they want: aliases, and what is said about unknown words."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ontology import load_ontology
from tests.pipelines.separate.outputs import record
from uss import Separator, separate_file

WriteNoise = Callable[..., Path]
Separate = Callable[..., int]
PRECISION = "fp32"

pytestmark = pytest.mark.usefixtures("quick_pictures")


def names(folder: Path) -> set[str]:
    return {path.stem for path in folder.iterdir()}


def test_a_stem_asked_for_by_an_alias_is_that_of_its_node(
    scene: Path, separate: Separate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert separate(scene, "--class", "Dialogue", "puppy") == 0
    folder = tmp_path / "out" / "scene"
    assert names(folder / "queries") == {"Dialogue", "puppy", "residual"}
    assert 'took "Dialogue" for Speech' in caplog.messages
    assert 'took "puppy" for Dog' in caplog.messages
    mids = {stem["name"]: stem["mid"] for stem in record(folder)["stems"]}
    assert mids == {
        "Dialogue": load_ontology().find("Speech").mid,
        "puppy": load_ontology().find("Dog").mid,
    }
    assert separate(scene, "--class", "Speech", "Dog", "-o", tmp_path / "named") == 0
    for word, name in (("Dialogue", "Speech"), ("puppy", "Dog")):
        asked, named = (
            soundfile.read(path)[0]
            for path in (
                folder / "queries" / f"{word}.wav",
                tmp_path / "named" / "scene" / "queries" / f"{name}.wav",
            )
        )
        assert np.abs(named).max() > 0.0
        np.testing.assert_array_equal(asked, named)


def test_names_of_audioset_are_called_as_ever_and_nothing_is_said(
    scene: Path, separate: Separate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert separate(scene, "--class", "dog", "/m/09x0r", "137") == 0
    assert names(tmp_path / "out" / "scene" / "queries") == {"Dog", "Speech", "Music", "residual"}
    assert not [line for line in caplog.messages if line.startswith("took ")]


def test_an_alias_of_several_nodes_is_one_stem(
    scene: Path, separate: Separate, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    # Sounds of animals are effects, those of rooms are not heard in noise.
    assert separate(scene, "--class", "effects", "room tone") == 0
    folder = tmp_path / "out" / "scene"
    assert names(folder / "queries") == {"effects", "room tone", "residual"}
    assert any(
        line.startswith('took "room tone" for Inside, small room; ') for line in caplog.messages
    )
    effects, room = record(folder)["stems"]
    assert (effects["name"], room["name"]) == ("effects", "room tone")
    assert (effects["mid"], effects["level"]) == (None, None)
    assert load_ontology().find("Animal").mid in effects["mids"]
    assert effects["active_intervals"] and not room["active_intervals"]
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "Asked for by audio" not in report
    assert "Asked for as several classes" in report


def test_aliases_say_what_must_be_in_no_stem(
    scene: Path, separate: Separate, tmp_path: Path
) -> None:
    assert separate(scene, "--level", "2", "--not", "voices", "effects") == 0
    folder = tmp_path / "out" / "scene"
    # Of Dog, Speech and Music only Music is left, which has no class at level 2.
    assert names(folder / "level2") == {"residual"}
    assert record(folder)["settings"]["without"] == ["voices", "effects"]


def test_a_recording_goes_before_an_alias_and_a_name_before_both(
    scene: Path,
    separate: Separate,
    tmp_path: Path,
    write_noise: WriteNoise,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.chdir(tmp_path)
    for folder in ("voices", "Speech"):
        write_noise(tmp_path / folder / "example.wav", 0.8, seed=5)
    assert separate(scene, "--class", "Dog", "--not", "voices", "Speech") == 0
    assert not [line for line in caplog.messages if line.startswith("took ")]


def test_contradictions_are_seen_through_aliases(
    scene: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(scene, "--class", "dialogue", "--not", "voices") == 2
    assert "dialogue is asked for, and voices, which is to be in no stem" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "meant"),
    [("dog barking", '"Bark", "Dog"'), ("footsteps on gravel", '"Walk, footsteps"')],
)
def test_unknown_words_are_answered_by_their_meaning(
    word: str,
    meant: str,
    scene: Path,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert separate(scene, "--class", word) == 2
    assert f'unknown class "{word}"; did you mean {meant}' in capsys.readouterr().err
    # After --not they are words like those of --text.
    assert separate(scene, "--not", word) == 0


def test_programs_find_stems_under_the_words_they_asked_with(
    scene: Path, bundle_file: Path, tmp_path: Path
) -> None:
    separator = Separator.from_pretrained(bundle_file, device="cpu", precision="fp32")
    waveform, rate = soundfile.read(scene, dtype="float32")
    stems = separator.separate(waveform, rate, classes=["dialogue", "effects"], without=["music"])
    assert set(stems) == {"dialogue", "effects"}
    assert np.abs(stems["dialogue"]).max() > 0.0
    assert separator.class_query("dialogue").mid == separator.class_query("Speech").mid
    written = separate_file(
        scene, tmp_path / "out", separator=separator, classes=["dialogue"], without=["foley"]
    )
    assert [stem.file for stem in written.stems] == ["queries/dialogue.wav"]
