"""What is left of a run in which something fails: the stems, and the other files."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.image
import numpy as np
import pytest

from pipelines.separate import command
from tests.pipelines.separate.test_options import write_film
from uss.results import opening

WriteNoise = Callable[..., Path]
Separate = Callable[..., int]

NOT_STEMS = {"detections.json", "timeline.png", "report.html", "provenance.json"}


@pytest.fixture
def separate_with_pictures(tmp_path: Path, bundle_file: Path) -> Separate:
    """Runs uss-separate as it is, pictures included."""

    def run(*arguments: str | Path) -> int:
        options = ("--model", bundle_file, "--device", "cpu", "-o", tmp_path / "out")
        return command.main([str(word) for word in (*options, *arguments)])

    return run


@pytest.fixture
def in_the_shell(
    tmp_path: Path, bundle_file: Path, command_environment: dict[str, str]
) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs uss-separate in a shell, with redirections and variables."""

    def run(
        *arguments: str | Path, redirection: str = "", **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        options = ("--model", bundle_file, "--device", "cpu", "-o", tmp_path / "out")
        words = [sys.executable, "-m", "pipelines.separate", *map(str, (*options, *arguments))]
        return subprocess.run(
            ["sh", "-c", f'"$@" {redirection}', "sh", *words],
            capture_output=True,
            text=True,
            env={**command_environment, **variables},
            timeout=120,
        )

    return run


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def summary(folder: Path) -> list[dict[str, str]]:
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def is_picture(path: Path) -> bool:
    height, width = matplotlib.image.imread(path).shape[:2]
    return bool(height > 100 and width == 1_320)


# Pictures


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_a_name_that_is_no_utf_8_has_a_picture(
    tmp_path: Path, write_noise: WriteNoise, separate_with_pictures: Separate
) -> None:
    recording = write_noise(tmp_path / "1.wav", 0.6).rename(tmp_path / os.fsdecode(b"caf\xe9.wav"))
    query = write_noise(tmp_path / "2.wav", 0.6).rename(tmp_path / os.fsdecode(b"na\xefve.wav"))
    assert separate_with_pictures(recording, "--level", "2", "--query", query) == 0
    folder = tmp_path / "out" / recording.stem
    assert is_picture(folder / "timeline.png")
    assert names(folder) == {"level2", "queries", *NOT_STEMS}


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_the_table_is_utf_8_whatever_names_are(
    tmp_path: Path, write_noise: WriteNoise, separate: Separate
) -> None:
    names = [b"caf\xe9.wav", b"caf\xe8.wav", b"caf\\udce9.wav", "café.wav".encode()]
    takes = [
        write_noise(tmp_path / "1.wav", 0.5, seed=seed).rename(tmp_path / os.fsdecode(name))
        for seed, name in enumerate(names)
    ]
    for _ in range(2):
        assert separate(*takes, "--level", "1") == 0
        # Each input has a row of its own, which is found again by the next run.
        assert [Path(row["input"]).name for row in summary(tmp_path / "out")] == [
            *("caf\\udce9.wav", "caf\\udce8.wav", "caf\\u005cudce9.wav", "café.wav")
        ]
    table = tmp_path / "out" / "summary.csv"
    as_before = table.read_bytes().replace(b"\\udce8", b"\xe8")
    table.write_bytes(as_before)
    assert separate(takes[1], "--level", "1") == 0
    assert len(summary(tmp_path / "out")) == 4


@pytest.mark.parametrize("backend", ["module://a_notebook_that_is_not_installed", "?"])
def test_a_notebooks_backend_draws_nothing(
    tmp_path: Path, write_noise: WriteNoise, in_the_shell: Any, backend: str
) -> None:
    done = in_the_shell(write_noise(tmp_path / "scene.wav", 0.6), MPLBACKEND=backend)
    assert (done.returncode, done.stderr) == (0, "")
    assert is_picture(tmp_path / "out" / "scene" / "timeline.png")


def test_a_users_style_is_neither_used_nor_changed(
    tmp_path: Path, write_noise: WriteNoise, separate_with_pictures: Separate
) -> None:
    recording = write_noise(tmp_path / "scene.wav", 0.6)
    assert separate_with_pictures(recording) == 0
    plain = matplotlib.image.imread(tmp_path / "out" / "scene" / "timeline.png")
    users = {"text.usetex": True, "axes.facecolor": "black", "font.size": 30.0}
    with matplotlib.rc_context(users):
        before = dict(matplotlib.rcParams)
        assert separate_with_pictures(recording) == 0
        assert dict(matplotlib.rcParams) == before
    np.testing.assert_array_equal(
        matplotlib.image.imread(tmp_path / "out" / "scene" / "timeline.png"), plain
    )


def test_a_file_of_settings_is_not_read(
    tmp_path: Path, write_noise: WriteNoise, in_the_shell: Any
) -> None:
    (tmp_path / "mine").write_bytes(b"text.usetex: True\n\xff\xfe is no text\n")
    recording = write_noise(tmp_path / "scene.wav", 0.6)
    done = in_the_shell(recording, MATPLOTLIBRC=str(tmp_path / "mine"))
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert is_picture(tmp_path / "out" / "scene" / "timeline.png")


# Streams


@pytest.mark.skipif(os.name != "posix", reason="redirects as POSIX does")
@pytest.mark.parametrize(
    "redirection",
    ["2>&-", ">&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full", "2>&1 | true"],
)
def test_streams_that_are_closed_or_full_do_no_harm(
    tmp_path: Path, write_noise: WriteNoise, in_the_shell: Any, redirection: str
) -> None:
    folder = tmp_path / "tape"
    write_noise(folder / "a.wav", 0.6)
    write_noise(folder / "b.wav", 0.6, seed=1)
    done = in_the_shell(folder, redirection=redirection)
    assert done.returncode == 0
    assert names(tmp_path / "out") == {"a", "b", "summary.csv"}
    for name in "ab":
        assert names(tmp_path / "out" / name) == {
            "level2",
            "detections.json",
            "provenance.json",
            *NOT_STEMS,
        }
    assert [row["status"] for row in summary(tmp_path / "out")] == ["ok", "ok"]


@pytest.mark.skipif(os.name != "posix", reason="redirects as POSIX does")
def test_an_error_that_nobody_sees_still_has_its_status(tmp_path: Path, in_the_shell: Any) -> None:
    assert in_the_shell(tmp_path / "nowhere.wav", redirection="2>&-").returncode == 2


# The copy of a film


@pytest.mark.parametrize(("length", "suffix"), [(251, ".mkv"), (252, ".avi"), (250, ".mp4")])
def test_a_film_with_the_longest_name_there_can_be(
    tmp_path: Path, separate: Separate, length: int, suffix: str
) -> None:
    made = write_film(tmp_path / f"film{suffix.replace('.avi', '.mkv')}", seconds=0.6)
    film = made.rename(tmp_path / f"{'f' * (length - 4)}{suffix}")
    assert separate(film, "--mux") == 0
    folder = tmp_path / "out" / film.stem
    (copy,) = names(folder) - {"level2", *NOT_STEMS}
    assert copy.startswith("f" * 240) and len(copy) <= 255
    assert (folder / copy).stat().st_size > 0


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_a_film_whose_name_is_no_utf_8(
    tmp_path: Path, separate: Separate, write_noise: WriteNoise
) -> None:
    film = write_film(tmp_path / "film.mkv", seconds=0.6)
    film = film.rename(tmp_path / os.fsdecode(b"caf\xe9.mkv"))
    query = write_noise(tmp_path / "q.wav", 0.6).rename(tmp_path / os.fsdecode(b"na\xefve.wav"))
    assert separate(film, "--mux", "--query", query) == 0
    assert (tmp_path / "out" / film.stem / film.name).stat().st_size > 0


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), MemoryError(), KeyError("x")]
)
def test_a_copy_that_fails_leaves_the_stems(
    tmp_path: Path,
    separate: Separate,
    write_noise: WriteNoise,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    def fail(film: Path, *_: object, **__: object) -> None:
        if film.stem == "first":
            raise error

    monkeypatch.setattr("uss.results.views.mux_stems", fail)
    films = [write_film(tmp_path / f"{name}.mkv", seconds=0.6) for name in ("first", "second")]
    assert separate(*films, "--mux") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("uss-separate: first.mkv: the copy of the film is missing (")
    out = tmp_path / "out"
    assert names(out) == {"first", "second", "summary.csv"}
    assert names(out / "first") == {"level2", *NOT_STEMS}
    first, second = summary(out)
    assert (first["status"], second["status"]) == ("incomplete", "ok")
    assert f"uss-separate: {first['error']}" == line
    assert first["stems"] == second["stems"] != ""


# Faults and a lack of memory


@pytest.mark.parametrize("debug", [False, True])
def test_a_fault_with_one_file_stops_none_of_the_others(
    tmp_path: Path,
    separate: Separate,
    write_noise: WriteNoise,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    debug: bool,
) -> None:
    opened = opening.open_recording

    def fail(path: Path, track: int) -> Any:
        if path.stem == "b":
            raise MemoryError("cannot allocate 20 GiB")
        return opened(path, track)

    monkeypatch.setattr(opening, "open_recording", fail)
    paths = [write_noise(tmp_path / f"{name}.wav", 0.6) for name in "abc"]
    paths.insert(1, tmp_path / "nowhere.wav")
    assert separate(*paths, *["--debug"] * debug) == 1
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if line.startswith("uss-separate: ")]
    assert len(lines) == 2 and "nowhere.wav: no such file" in lines[0]
    fault = f"uss-separate: {paths[2]}: there is not enough memory (cannot allocate 20 GiB)"
    assert lines[1].startswith(fault)
    assert ("Traceback" in printed.err) == debug
    assert names(tmp_path / "out") == {"a", "c", "summary.csv"}
    assert [row["status"] for row in summary(tmp_path / "out")] == ["ok", "failed", "failed", "ok"]
    assert "not enough memory (cannot allocate" in summary(tmp_path / "out")[2]["error"]


def test_a_table_that_cannot_be_written_leaves_the_stems(
    tmp_path: Path,
    separate: Separate,
    write_noise: WriteNoise,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.separate.running.write_summary", fail)
    assert separate(*[write_noise(tmp_path / f"{name}.wav", 0.6) for name in "ab"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "No space left on device" in line
    for name in "ab":
        written = json.loads((tmp_path / "out" / name / "detections.json").read_text())
        assert all((tmp_path / "out" / name / stem["file"]).is_file() for stem in written["stems"])
