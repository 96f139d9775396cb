"""--text: stems of what words describe, and what they exclude."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pipelines.separate.command import main
from uss import Separator, separate_file
from uss.core.errors import InputError

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
        scene, tmp_path, separator=separator, texts=["a dog", "cats, no birds"], threshold=0.0
    )
    assert {stem.text for stem in result.stems} == {"a dog", "cats, no birds"}
    assert result.settings.without == ["birds"]


def test_what_an_exclusion_means_is_said(
    separate: Separate, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--text", "a dog without the traffic noise", "--not", "Cat")
    assert separate(scene, *words, "-o", tmp_path) == 0
    excluded = noted(tmp_path / "scene")["excluded"]
    assert [(each["name"], names(each)) for each in excluded] == [
        ("Cat", ["Cat"]),
        ("the traffic noise", ["Traffic noise, roadway noise"]),
    ]
    assert (
        "kept out of all stems: Cat; the traffic noise (Traffic noise, roadway noise)"
        in capsys.readouterr().out
    )


def test_words_at_some_times(separate: Separate, scene: Path, tmp_path: Path) -> None:
    assert separate(scene, "--text", "a dog@0-0.5", "cats@home and dogs", "-o", tmp_path) == 0
    stems = {stem["name"]: stem for stem in noted(tmp_path / "scene")["stems"]}
    assert set(stems) == {"a dog", "cats@home and dogs"}
    assert stems["a dog"]["active_intervals"] == [[0.0, 0.5]]
    samples, rate = soundfile.read(tmp_path / "scene" / stems["a dog"]["file"])
    assert np.abs(samples[: rate // 4]).max() > 0.0 and not samples[round(0.55 * rate) :].any()


def test_several_spellings_are_one_stem_called_like_the_first(
    separate: Separate, scene: Path, tmp_path: Path
) -> None:
    assert separate(scene, "--text", "a Dog", "A DOG", "a dog", "-o", tmp_path) == 0
    (stem,) = noted(tmp_path / "scene")["stems"]
    assert stem["name"] == "a Dog"


def test_a_text_may_go_to_standard_output_in_any_case(
    separate: Separate, scene: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    words = ("--text", "a dog barks", "--stdout", "A  Dog barks", "--threshold", "0")
    assert separate(scene, *words, "-o", tmp_path) == 0
    assert capfdbinary.readouterr().out.startswith(b"RIFF")
    assert [stem["name"] for stem in noted(tmp_path / "scene")["stems"]] == ["a dog barks"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--not", "noise.wav"), "'noise.wav' is to be in no stem, but there is no such file"),
        (("--not", ""), "names nothing to be left out"),
        (("--not", "qwzzt plugh"), "unknown class"),
        (("--not", "a dog without a cat"), "excludes something itself"),
        (("--text", "dog without dogs"), "asks for Dog, and excludes it"),
        (("--text-encoder", ""), "no text encoder is named"),
        (("--model", "nosuchmodel"), "choose default, "),
        (("--text", "don't remove the dog"), "excludes twice"),
    ],
)
def test_one_line_says_what_is_wrong(
    separate: Separate,
    scene: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    complaint: str,
) -> None:
    if "--model" in words:
        assert main([str(scene), *words, "-o", str(tmp_path / "out")]) == 2
    else:
        assert separate(scene, "--class", "Dog", *words, "-o", tmp_path / "out") == 2
    printed = capsys.readouterr().err
    assert complaint in printed and printed.count("\n") == 1
    assert "tokenizer" not in printed and "cnn14" not in printed
    assert not (tmp_path / "out").exists()


def test_an_option_that_took_the_input_is_named(
    scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--text", "a dog", str(scene)]) == 2
    assert f"(--text took {scene}; put inputs first)" in capsys.readouterr().err


@pytest.mark.parametrize("texts", [None, 5, True, b"dog", [None], [1], [["dog"]]])
def test_what_is_no_text_is_refused_in_python(bundle_file: Path, texts: Any) -> None:
    separator = Separator.from_pretrained(bundle_file)
    for refused in (
        lambda: separator.separate(np.zeros(8_000, np.float32), 8_000, texts=texts),
        lambda: separator.text_queries(texts),
    ):
        with pytest.raises(InputError, match="is no text"):
            refused()


def test_words_without_in_python(bundle_file: Path, scene: Path) -> None:
    separator = Separator.from_pretrained(bundle_file)
    samples, rate = soundfile.read(scene, dtype="float32")
    stems = separator.separate(
        samples, rate, texts="a dog", without=["a cat meowing loudly", "Bird"], threshold=0.0
    )
    np.testing.assert_allclose(stems["a dog"] + stems.residual, samples, atol=1e-6)
    assert [query.name for query in separator.text_queries("a dog").queries] == ["a dog"]
    nothing: Any
    for nothing in (None, [None], 2.5, b"dog"):
        with pytest.raises(InputError, match="cannot be left out"):
            separator.separate(samples, rate, without=nothing)
