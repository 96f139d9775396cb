"""What uss-separate does when it cannot do what it was asked."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from pipelines.separate import command

SAMPLE_RATE = 32_000

WriteNoise = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("quick_pictures")


@pytest.fixture
def folder(tmp_path: Path, write_noise: WriteNoise, bundle_file: Path, tagger_file: Path) -> Path:
    """A folder of good and bad files."""
    good = write_noise(tmp_path / "scene.wav", 0.7)
    (tmp_path / "model.safetensors").write_bytes(bundle_file.read_bytes())
    (tmp_path / "tagger.safetensors").write_bytes(tagger_file.read_bytes())
    cut = bundle_file.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(cut[: len(cut) // 2])
    (tmp_path / "text.safetensors").write_text("no weights\n" * 50)
    (tmp_path / "text.pt").write_text("no weights\n" * 50)
    (tmp_path / "text.wav").write_text("no audio\n" * 500)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "header.wav").write_bytes(good.read_bytes()[:20])
    soundfile.write(tmp_path / "nothing.wav", np.zeros(0), SAMPLE_RATE)
    not_finite = np.array([0.1, np.nan, np.inf], np.float32)
    soundfile.write(tmp_path / "nan.wav", not_finite, SAMPLE_RATE, subtype="FLOAT")
    (tmp_path / "folder.wav").mkdir()
    return tmp_path


BAD_INPUT: dict[str, tuple[Sequence[str], str]] = {
    "text": (("text.wav",), "check that it plays"),
    "empty file": (("empty.wav",), "empty file"),
    "half a header": (("header.wav",), "header.wav"),
    "no samples": (("nothing.wav",), "no audio samples"),
    "samples that are no numbers": (("nan.wav",), "NaN"),
    "missing file": (("nowhere.wav",), "check the path"),
    "a folder": (("folder.wav",), "name an audio or video file"),
    "no input": ((), "--help"),
    "the same name twice": (("scene.wav", "scene.flac"), "different output folders"),
    "track 0": (("scene.wav", "--track", "0"), "give 1 or more"),
    "track 2 of a WAV file": (("scene.wav", "--track", "2"), "has 1 audio track"),
    "level 9": (("scene.wav", "--level", "9"), "choose 1 to 6"),
    "level 0": (("scene.wav", "--level", "0"), "choose 1 to 6"),
    "level -1": (("scene.wav", "--level", "-1"), "choose 1 to 6"),
    "no number of a level": (("scene.wav", "--level", "two"), "two"),
    "misspelt class": (("scene.wav", "--class", "dgo"), "Dog"),
    "empty class": (("scene.wav", "--class", ""), "AudioSet name"),
    "index of no class": (("scene.wav", "--class", "527"), "0 to 526"),
    "threshold 7": (("scene.wav", "--threshold", "7"), "0 to 1"),
    "threshold nan": (("scene.wav", "--threshold", "nan"), "0 to 1"),
    "overlap 2": (("scene.wav", "--overlap", "2"), "0 to 0.5"),
    "overlap of words": (("scene.wav", "--overlap", "half"), "not a number"),
    "unknown subtype": (("scene.wav", "--subtype", "PCM_7"), "PCM_24"),
    "subtype of another format": (
        ("scene.wav", "--format", "flac", "--subtype", "FLOAT"),
        "PCM_24",
    ),
    "unknown format": (("scene.wav", "--format", "mp3"), "flac"),
    "unknown option": (("scene.wav", "--levels", "2"), "--help"),
    "abbreviated option": (("scene.wav", "--thresh", "0.2"), "--help"),
    "model that is text": (("scene.wav", "--model", "text.safetensors"), "text.safetensors"),
    "model that is audio": (("scene.wav", "--model", "scene.wav"), "scene.wav"),
    "half a model": (("scene.wav", "--model", "cut.safetensors"), "complete"),
    "missing model": (("scene.wav", "--model", "nowhere.safetensors"), "check the path"),
    "tagger as model": (("scene.wav", "--model", "tagger.safetensors"), "--tagger"),
    "tagger that is text": (("scene.wav", "--tagger", "text.pt"), "text.pt"),
    "missing tagger": (("scene.wav", "--tagger", "nowhere.pt"), "nowhere.pt"),
    "unknown device": (("scene.wav", "--device", "tpu"), "cuda"),
    "unknown precision": (("scene.wav", "--precision", "int4"), "bf16"),
}


def arguments(folder: Path, words: Sequence[str]) -> list[str]:
    """Make file names paths, and add the good model where no other is named."""
    files = {path.name for path in folder.iterdir()} | {"nowhere.wav", "scene.flac"}
    words = [str(folder / word) if word in files else word for word in words]
    model = [] if "--model" in words else ["--model", str(folder / "model.safetensors")]
    return [*words, *model, "-o", str(folder / "out")]


def assert_one_line(stderr: str, remedy: str) -> None:
    lines = [line for line in stderr.splitlines() if line.strip()]
    assert len(lines) == 1, stderr
    assert lines[0].startswith("uss-separate: ")
    assert remedy in lines[0]


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_one_line_and_status_2(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    words, remedy = BAD_INPUT[name]
    assert command.main(arguments(folder, words)) == 2
    captured = capsys.readouterr()
    assert_one_line(captured.err, remedy)
    assert captured.out == ""
    assert not (folder / "out").exists()


def test_bad_input_is_one_line_in_the_shell(folder: Path, run_command: Callable[..., Any]) -> None:
    """All imports, and the model's file, come before this one is noticed."""
    words, remedy = BAD_INPUT["misspelt class"]
    done = run_command("pipelines.separate", *arguments(folder, words))
    assert (done.returncode, done.stdout) == (2, "")
    assert_one_line(done.stderr, remedy)
    assert not (folder / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_cuda_device_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments(folder, ("scene.wav", "--device", "cuda"))) == 2
    assert_one_line(capsys.readouterr().err, "--device cpu")
    assert not (folder / "out").exists()


def test_of_a_header_that_promises_billions_of_samples_what_there_is_is_separated(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder / "huge.flac"
    tone = 0.1 * np.sin(np.arange(SAMPLE_RATE))
    soundfile.write(path, tone, SAMPLE_RATE, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    # The last 36 bits of this part of STREAMINFO are the number of samples.
    content[21:26] = bytes([content[21] | 0x0F, 0xFF, 0xFF, 0xFF, 0xFF])
    path.write_bytes(content)
    assert command.main(arguments(folder, ("huge.flac",))) == 0
    assert "huge.flac is damaged or cut off; the 1.0 s of it" in caplog.text
    info = soundfile.info(folder / "out" / "huge" / "level2" / "residual.wav")
    assert (info.frames, info.samplerate) == (SAMPLE_RATE, SAMPLE_RATE)


def test_a_broken_input_does_not_stop_the_others(
    folder: Path, write_noise: WriteNoise, capsys: pytest.CaptureFixture[str]
) -> None:
    write_noise(folder / "last.wav", 0.6)
    words = ("scene.wav", "text.wav", "nowhere.wav", "last.wav")
    assert command.main(arguments(folder, words)) == 2
    captured = capsys.readouterr()
    errors = [line for line in captured.err.splitlines() if line.startswith("uss-separate: ")]
    assert ["text.wav" in errors[0], "nowhere.wav" in errors[1]] == [True, True]
    assert len(errors) == 2
    written = {path.name for path in (folder / "out").iterdir()}
    assert written == {"scene", "last", "summary.csv"}
    assert "scene.wav" in captured.out and "last.wav" in captured.out


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def full_disk(quick_pictures: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("uss.results.stem_writer.AudioWriter.write", fail)


@pytest.mark.usefixtures("full_disk")
def test_a_failure_while_writing_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(arguments(folder, ("scene.wav",))) == 2
    assert_one_line(capsys.readouterr().err, "No space left")
    assert not (folder / "out").exists()


def test_a_failure_while_writing_keeps_the_earlier_result(
    folder: Path, request: pytest.FixtureRequest
) -> None:
    assert command.main(arguments(folder, ("scene.wav", "--level", "1"))) == 0
    before = snapshot(folder / "out")
    request.getfixturevalue("full_disk")
    assert command.main(arguments(folder, ("scene.wav", "--level", "2"))) == 2
    assert snapshot(folder / "out") == before


def test_a_failure_while_replacing_keeps_the_earlier_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command.main(arguments(folder, ("scene.wav", "--level", "1"))) == 0
    before = snapshot(folder / "out")
    replace = os.replace

    def fail_on_the_result(source: Any, target: Any) -> None:
        if Path(target) == folder / "out" / "scene" and Path(source).suffix == ".part":
            raise OSError(13, "Permission denied")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_on_the_result)
    assert command.main(arguments(folder, ("scene.wav", "--level", "2"))) == 2
    assert snapshot(folder / "out") == before


def test_an_interruption_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("uss.results.views.draw_timeline", interrupt)
    assert command.main(arguments(folder, ("scene.wav",))) == 130
    assert_one_line(capsys.readouterr().err, "interrupted; nothing of scene.wav was written")
    assert not (folder / "out").exists()


def test_an_output_that_is_a_file_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "out").write_text("mine")
    assert command.main(arguments(folder, ("scene.wav",))) == 2
    assert_one_line(capsys.readouterr().err, "out")
    assert (folder / "out").read_text() == "mine"


def test_an_input_without_suffix_beside_the_output_is_kept(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = folder / "take"
    recording.write_bytes((folder / "scene.wav").read_bytes())
    model = str(folder / "model.safetensors")
    before = snapshot(folder)
    assert command.main([str(recording), "--model", model, "-o", str(folder)]) == 2
    assert_one_line(capsys.readouterr().err, "take")
    assert snapshot(folder) == before


def test_a_folder_that_is_no_result_is_not_deleted(folder: Path) -> None:
    diary = folder / "out" / "scene" / "diary.txt"
    diary.parent.mkdir(parents=True)
    diary.write_text("not to be lost")
    command.main(arguments(folder, ("scene.wav",)))
    assert diary.read_text() == "not to be lost"


def test_a_bundle_whose_metadata_miss_an_entry_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = folder / "broken.safetensors"
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        ((key, text),) = file.metadata().items()
    metadata = json.loads(text)
    del metadata["tagger"]
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors, broken, metadata={key: json.dumps(metadata)})
    assert command.main(arguments(folder, ("scene.wav", "--model", "broken.safetensors"))) == 2
    assert_one_line(capsys.readouterr().err, "broken.safetensors")
