"""--text: stems of what words describe, and what they exclude."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from uss import Separator, separate_file

PRECISION = "fp32"

Separate = Callable[..., int]
WriteNoise = Callable[..., Path]


def noted(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "detections.json").read_text("utf-8"))
    return content


def names(stem: dict[str, Any]) -> list[str]:
    return [each["name"] for each in stem["understood"]]


def test_stems_are_called_like_their_texts_and_add_up(
    separate: Separate, scene: Path, tmp_path: Path
) -> None:
    words = ("--text", "a dog barks", "a cat", "--text", "a dog and a cat", "--threshold", "0")
    assert separate(scene, *words, "-o", tmp_path) == 0
    folder = tmp_path / "scene"
    files = {path.stem: soundfile.read(path)[0] for path in (folder / "queries").glob("*.wav")}
    assert set(files) == {"a dog barks", "a cat", "a dog and a cat", "residual"}
    np.testing.assert_allclose(sum(files.values()), soundfile.read(scene)[0], atol=1e-6)
    stems = {stem["text"]: stem for stem in noted(folder)["stems"]}
    assert {"Dog", "Bark"} & set(names(stems["a dog barks"])[:2])
    assert names(stems["a cat"])[0] == "Cat"
    assert {"Dog", "Cat"} <= set(names(stems["a dog and a cat"]))
    assert all(0.0 < each["weight"] <= 1.0 for each in stems["a cat"]["understood"])
    report = (folder / "report.html").read_text("utf-8")
    assert "Asked for in words" in report and "a dog barks" in report


def test_together_with_classes(separate: Separate, scene: Path, tmp_path: Path) -> None:
    assert separate(scene, "--class", "Dog", "--text", "the cat", "-o", tmp_path) == 0
    stems = noted(tmp_path / "scene")["stems"]
    assert {(stem["name"], stem["text"]) for stem in stems} == {
        ("Dog", None),
        ("the cat", "the cat"),
    }


def test_what_a_text_excludes_is_in_no_stem(
    separate: Separate, scene: Path, tmp_path: Path
) -> None:
    assert separate(scene, "--text", "the dog but not the cat", "-o", tmp_path) == 0
    content = noted(tmp_path / "scene")
    assert [stem["name"] for stem in content["stems"]] == ["the dog but not the cat"]
    assert content["settings"]["without"] == ["the cat"]
    assert "Cat" not in names(content["stems"][0])


def test_a_text_that_only_excludes_leaves_the_levels(
    separate: Separate, scene: Path, tmp_path: Path
) -> None:
    assert separate(scene, "--text", "no cats", "-o", tmp_path) == 0
    content = noted(tmp_path / "scene")
    assert content["settings"]["without"] == ["cats"]
    assert list(content["residuals"]) == ["level2"]


def test_words_may_be_kept_out(separate: Separate, scene: Path, tmp_path: Path) -> None:
    assert separate(scene, "--class", "Dog", "--not", "a cat meowing loudly", "-o", tmp_path) == 0
    assert noted(tmp_path / "scene")["settings"]["without"] == ["a cat meowing loudly"]


def test_the_name_of_a_stem_is_safe(separate: Separate, scene: Path, tmp_path: Path) -> None:
    text = 'dog: "bark" / dog?'
    assert separate(scene, "--text", text, "-o", tmp_path) == 0
    (stem,) = noted(tmp_path / "scene")["stems"]
    assert stem["text"] == stem["name"] == text
    assert not set(Path(stem["file"]).name) & set('<>:"/\\|?*')
    assert (tmp_path / "scene" / stem["file"]).is_file()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has no words"),
        ("a" * 10_000, "10000 letters"),
        ("\N{DOG FACE}", "has no words"),
        ("of the and", "names no sound"),
        ("un chien aboie", "ask in English"),
        ("blorptang", "not understood: 'blorptang'"),
        ("no blorptang", "not understood: 'blorptang'"),
    ],
)
@pytest.mark.parametrize("option", ["--text", "--not"])
def test_what_is_not_understood_is_refused_in_one_line(
    separate: Separate,
    scene: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    complaint: str,
    option: str,
) -> None:
    assert separate(scene, "--class", "Dog", option, text, "-o", tmp_path / "out") == 2
    printed = capsys.readouterr().err
    assert printed.startswith("uss-separate: ") and printed.count("\n") == 1
    if option == "--text":
        assert complaint in printed
    assert not (tmp_path / "out").exists()


def test_in_python(bundle_file: Path, scene: Path, tmp_path: Path) -> None:
    separator = Separator.from_pretrained(bundle_file)
    samples, rate = soundfile.read(scene, dtype="float32")
    stems = separator.separate(samples, rate, texts="a dog", threshold=0.0)
    assert list(stems) == ["a dog"]
    np.testing.assert_allclose(stems["a dog"] + stems.residual, samples, atol=1e-6)
    result = separate_file(
        scene, tmp_path, separator=separator, texts=["a dog", "cats, no dogs"], threshold=0.0
    )
    assert {stem.text for stem in result.stems} == {"a dog", "cats, no dogs"}
    assert result.settings.without == ["dogs"]
