"""Whose an earlier result is, which files are its own, and what a new run does with both."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.pipelines.separate.test_inputs import film_tracks, write_film
from tests.pipelines.separate.test_options import write_film as moving_pictures

WriteNoise = Callable[..., Path]
Separate = Callable[..., int]

VIEWS = {"detections.json", "timeline.png", "report.html", "provenance.json"}


@pytest.fixture
def scene(tmp_path: Path, write_noise: WriteNoise) -> Path:
    return write_noise(tmp_path / "scene.wav", 0.6)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def record(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "detections.json").read_text(encoding="utf-8"))
    return loaded


def the_error(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("uss-separate: ")
    return line


def as_earlier_versions_wrote(folder: Path) -> None:
    content = record(folder)
    del content["identity"], content["files"], content["settings"]["request_hash"]
    (folder / "detections.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "provenance.json").unlink()


# What is in the folder


def test_a_rerun_removes_no_notes_and_not_its_own_input(
    scene: Path, tmp_path: Path, separate: Separate
) -> None:
    folder = tmp_path / "out" / "scene"
    assert separate(scene, "--level", "1", "2") == 0
    copy = shutil.copy(scene, folder / "scene.wav")
    (folder / "notes.txt").write_text("ideas")
    (folder / "level1" / "mine.wav").write_bytes(b"cut by hand")
    before = tree(folder)
    inode = Path(copy).stat().st_ino
    assert separate(copy, "--level", "2") == 0
    after = tree(folder)
    for name in ("scene.wav", "notes.txt", "level1/mine.wav"):
        assert after[name] == before[name]
    assert Path(copy).stat().st_ino == inode
    assert {name for name in after if name.startswith("level1/")} == {"level1/mine.wav"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"scene"}


def test_a_result_lists_all_its_files_and_what_it_is_of(tmp_path: Path, separate: Separate) -> None:
    film = write_film(tmp_path / "film.mkv", film_tracks(20_000))
    assert separate(film, "--level", "1", "--track", "2") == 0
    folder = tmp_path / "out" / "film"
    noted = record(folder)
    assert set(noted["files"]) == set(tree(folder)) >= VIEWS
    assert noted["identity"] == {
        "path": str(film),
        "size_bytes": film.stat().st_size,
        "sha256": hashlib.sha256(film.read_bytes()).hexdigest(),
        "track": 2,
        "is_piped": False,
    }


def test_the_files_of_earlier_versions_are_their_stems_and_views(
    scene: Path, tmp_path: Path, separate: Separate
) -> None:
    folder = tmp_path / "out" / "scene"
    assert separate(scene, "--level", "1", "2") == 0
    as_earlier_versions_wrote(folder)
    (folder / "level1" / "mine.wav").write_bytes(b"cut by hand")
    assert separate(scene, "--level", "2") == 0
    left = {name for name in tree(folder) if not name.startswith("level2/")}
    assert left == {*VIEWS, "level1/mine.wav"}


def test_a_stem_that_is_an_input_is_not_replaced_by_its_own_stems(
    scene: Path, tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(scene, "--class", "Dog", "--name", "Dog") == 0
    before = tree(tmp_path / "out")
    stem = tmp_path / "out" / "Dog" / "queries" / "Dog.wav"
    capsys.readouterr()
    assert separate(stem, "--force") == 2
    line = the_error(capsys)
    assert str(stem) in line and "choose another output folder" in line
    assert tree(tmp_path / "out") == before
    # Nor by those of another input of the run; the stem itself has a result of its own.
    assert separate(scene, stem, "--name", "{name}", "--force") == 0
    assert separate(scene, "--class", "Dog", "--name", "Dog") == 0
    capsys.readouterr()
    link = tmp_path / "link.wav"
    link.symlink_to(stem)
    assert separate(scene, "--class", "Rain", "--name", "Dog", "--query", link) == 2
    assert str(stem) in the_error(capsys)
    assert stem.exists()


def test_an_input_that_another_inputs_result_would_remove(
    scene: Path, tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(scene, "--level", "3") == 0
    stem = tmp_path / "out" / "scene" / "level3" / "Dog.wav"
    assert separate(scene, stem, "--level", "1") == 2
    captured = capsys.readouterr()
    assert "is to be read" in captured.err
    assert stem.exists() and (tmp_path / "out" / "Dog" / "level1").is_dir()


def test_a_film_beside_its_result_is_not_replaced_by_its_copy(
    tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out" / "film"
    film = moving_pictures(tmp_path / "film.mkv", seconds=1.0)
    assert separate(film, "--level", "1") == 0
    copy = Path(shutil.copy(film, folder / "film.mkv"))
    before = tree(tmp_path / "out")
    capsys.readouterr()
    assert separate(copy, "--level", "1", "--mux") == 2
    assert f"{copy} is none of the earlier result's files" in the_error(capsys)
    assert tree(tmp_path / "out") == before
    assert separate(copy, "--level", "1") == 0
    assert copy.read_bytes() == film.read_bytes()


def test_the_copy_with_stems_is_not_replaced_by_its_own_stems(
    tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    film = moving_pictures(tmp_path / "film.mkv", seconds=1.0)
    assert separate(film, "--level", "1", "--mux") == 0
    before = tree(tmp_path / "out")
    copy = tmp_path / "out" / "film" / "film.mkv"
    assert copy.is_file()
    for options in ([], ["--force"]):
        capsys.readouterr()
        assert separate(copy, "--level", "1", *options) == 2
        the_error(capsys)
        assert tree(tmp_path / "out") == before
    # It is the result's own, and goes with it.
    assert separate(film, "--level", "1") == 0
    assert not copy.exists()


def test_what_is_in_the_way_of_a_stem_is_found_before_separating(
    scene: Path,
    tmp_path: Path,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert separate(scene, "--class", "Dog") == 0
    mine = tmp_path / "out" / "scene" / "queries" / "Rain.wav"
    mine.write_bytes(b"my own rain")
    before = tree(tmp_path / "out")
    capsys.readouterr()

    def fail(*_: object, **__: object) -> None:
        pytest.fail("nothing may be separated")

    monkeypatch.setattr("uss.separation.stream.StemStream.read", fail)
    assert separate(scene, "--class", "Rain") == 2
    assert f"{mine} is none of the earlier result's files" in the_error(capsys)
    assert tree(tmp_path / "out") == before


def test_detection_alone_over_a_folder_of_somebody_elses(
    scene: Path, tmp_path: Path, separate: Separate
) -> None:
    """Only stems are refused, not any folder."""
    assert separate(scene, "--detect-only") == 0
    (tmp_path / "out" / "scene" / "notes").mkdir()
    assert separate(scene, "--detect-only") == 0
    assert (tmp_path / "out" / "scene" / "notes").is_dir()


# Whose it is


@pytest.fixture
def mixtures(tmp_path: Path, write_noise: WriteNoise) -> list[Path]:
    """Two recordings of one name, as data sets have them."""
    return [
        write_noise(tmp_path / folder / "mixture.wav", 0.6, seed=seed)
        for seed, folder in enumerate("xy")
    ]


@pytest.mark.parametrize("version", ["this", "earlier"])
def test_another_recording_of_that_name_is_refused_before_any_work(
    mixtures: list[Path],
    tmp_path: Path,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    version: str,
) -> None:
    first, second = mixtures
    assert separate(first) == 0
    if version == "earlier":
        as_earlier_versions_wrote(tmp_path / "out" / "mixture")
        second = second.rename(second.with_suffix(".wave"))
    before = tree(tmp_path / "out")
    capsys.readouterr()
    with monkeypatch.context() as patched:
        patched.setattr(
            "uss.separation.separator.Separator.analyse", lambda *_: pytest.fail("work")
        )
        assert separate(second) == 2
    line = the_error(capsys)
    assert str(second) in line and '--name "{parent}/{stem}"' in line and "--force" in line
    assert (str(first) if version == "this" else "mixture.wav") in line
    assert tree(tmp_path / "out") == before
    # Both remedies.
    assert separate(second, "--name", "{parent}/{stem}") == 0
    assert tree(tmp_path / "out").items() >= before.items()
    assert separate(second, "--force") == 0
    assert record(tmp_path / "out" / "mixture")["identity"]["path"] == str(second)


def test_a_batch_goes_on_after_a_name_that_is_taken(
    mixtures: list[Path],
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, second = mixtures
    assert separate(first) == 0
    other = write_noise(tmp_path / "other.wav", 0.6)
    capsys.readouterr()
    assert separate(second, other) == 2
    assert "another recording" in the_error(capsys)
    assert (tmp_path / "out" / "other" / "level2").is_dir()


def test_both_of_a_name_in_one_run_are_refused_or_named(
    mixtures: list[Path], tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(*mixtures, "--model", "never loaded") == 2
    line = the_error(capsys)
    assert all(str(path) in line for path in mixtures)
    assert '--name "{parent}/{stem}"' in line
    assert not (tmp_path / "out").exists()
    assert separate(*mixtures, "--name", "{parent}/{stem}") == 0
    for path in mixtures:
        folder = tmp_path / "out" / path.parent.name / "mixture" / "level2"
        total = sum(soundfile.read(stem)[0] for stem in folder.iterdir())
        np.testing.assert_allclose(total, soundfile.read(path)[0], atol=1e-6)


@pytest.mark.parametrize("version", ["this", "earlier"])
def test_another_track_of_the_same_film(
    tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    film = write_film(tmp_path / "film.mkv", film_tracks(20_000))
    assert separate(film) == 0
    if version == "earlier":
        as_earlier_versions_wrote(tmp_path / "out" / "film")
    before = tree(tmp_path / "out")
    capsys.readouterr()
    assert separate(film, "--track", "2") == 2
    line = the_error(capsys)
    assert f"audio track 1 of {film if version == 'this' else 'film.mkv'}" in line
    assert '--name "{stem} {track}"' in line
    assert tree(tmp_path / "out") == before
    assert separate(film, "--track", "2", "--name", "{stem} {track}") == 0
    assert record(tmp_path / "out" / "film 2")["identity"]["track"] == 2


def test_a_recording_is_known_wherever_it_lies(
    mixtures: list[Path], tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _ = mixtures
    assert separate(first) == 0
    moved = first.rename(tmp_path / "mixture.wav")
    assert separate(moved, "--level", "1") == 0
    assert record(tmp_path / "out" / "mixture")["identity"]["path"] == str(moved)
    assert not (tmp_path / "out" / "mixture" / "level2").exists()
    # The same name with another content is another recording.
    with moved.open("ab") as file:
        file.write(b"LIST\0\0\0\0")
    capsys.readouterr()
    assert separate(moved) == 2
    assert "held something else then" in the_error(capsys)


def test_a_result_that_came_while_this_one_was_made_stays(
    mixtures: list[Path],
    tmp_path: Path,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = mixtures
    other = tmp_path / "other"
    assert separate(first, "-o", other) == 0

    def draw(path: Path, *_: object) -> None:
        path.write_bytes(b"a picture")
        shutil.copytree(other / "mixture", tmp_path / "out" / "mixture")

    monkeypatch.setattr("uss.results.views.draw_timeline", draw)
    capsys.readouterr()
    assert separate(second) == 2
    assert "another recording" in the_error(capsys)
    assert tree(tmp_path / "out") == tree(other)


def test_a_file_whose_stem_is_dots_gets_a_name(
    tmp_path: Path, write_noise: WriteNoise, separate: Separate
) -> None:
    """The stem of ``...wav`` is the folder above, that of ``..wav`` the output itself."""
    recording = write_noise(tmp_path / "tape" / "a.wav", 0.6)
    recording = recording.rename(recording.with_name("...wav"))
    assert separate(recording) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["wav"]
