"""Folders that results grow in, of runs that live and of runs that have died."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from uss.results import part_folder
from uss.results.folder import result_folder
from uss.results.part_folder import PartFolder, sweep

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")

_DAY_SECONDS = 86_400.0
_WORK = """
import sys, time
from pathlib import Path
from uss.results.folder import result_folder

with result_folder(Path(sys.argv[1]), "scene") as part:
    (part / "level1").mkdir()
    (part / "level1" / "Dog.wav").write_bytes(b"half")
    print("working", flush=True)
    time.sleep(60.0)
"""

RECORD = '{"version": 1, "input": "NAME", "settings": {"track": 1}, "stems": [], "residuals": {}}'


@pytest.fixture
def worker(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A run in another process, which has written something."""
    with subprocess.Popen(
        [sys.executable, "-c", _WORK, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "working\n"
        yield process
        process.kill()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def age(*paths: Path) -> None:
    then = time.time() - _DAY_SECONDS - 60.0
    for path in paths:
        for each in (path, *path.rglob("*")):
            os.utime(each, (then, then))


def test_what_a_living_run_works_in_is_kept(
    tmp_path: Path, worker: "subprocess.Popen[str]"
) -> None:
    age(*tmp_path.iterdir())
    before = names(tmp_path)
    sweep(tmp_path)
    assert names(tmp_path) == before
    assert len(before) == 2


def test_so_is_what_another_job_of_the_same_process_works_in(tmp_path: Path) -> None:
    with result_folder(tmp_path, "scene") as part:
        sweep(tmp_path)
        assert part.is_dir()
        (part / "detections.json").write_text("{}")
    assert names(tmp_path) == {"scene"}
    assert names(tmp_path / "scene") == {"detections.json"}


def test_what_a_dead_run_has_left_is_swept(tmp_path: Path, worker: "subprocess.Popen[str]") -> None:
    (tmp_path / "scene").mkdir()
    kill(worker)
    assert len(names(tmp_path)) == 3
    sweep(tmp_path)
    assert names(tmp_path) == {"scene"}


def test_of_another_machine_only_what_is_a_day_old_is_swept(
    tmp_path: Path, worker: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may live, as not every file system tells other hosts of locks."""
    kill(worker)
    monkeypatch.setattr(part_folder, "_machine", lambda: "another")
    before = names(tmp_path)
    sweep(tmp_path)
    assert names(tmp_path) == before
    age(*tmp_path.iterdir())
    sweep(tmp_path)
    assert names(tmp_path) == set()


def test_without_locks_nothing_is_swept(
    tmp_path: Path, worker: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    kill(worker)
    monkeypatch.setattr(part_folder.fcntl, "flock", unsupported)
    monkeypatch.setattr("uss.results.locking._PATIENCE_SECONDS", 0.1)
    before = names(tmp_path)
    sweep(tmp_path)
    assert names(tmp_path) == before
    with result_folder(tmp_path, "other") as part:
        (part / "detections.json").write_text("{}")
    assert names(tmp_path) == {*before, "other"}


def test_a_part_without_a_lock_is_swept_when_it_is_a_day_old(tmp_path: Path) -> None:
    """As earlier versions of the program left them."""
    part = tmp_path / ".separating.abcdefgh.part"
    (part / "level1").mkdir(parents=True)
    (part / "level1" / "Dog.wav").write_bytes(b"half")
    sweep(tmp_path)
    assert names(tmp_path) == {part.name}
    age(tmp_path / part.name / "level1", part)
    sweep(tmp_path)
    assert names(tmp_path) == set()


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_result_that_was_being_replaced_comes_back(tmp_path: Path, is_replaced: bool) -> None:
    """Killed after the earlier result was moved away, or after the new one was in its place."""
    dead = os.fork()
    if dead == 0:
        growing = PartFolder(tmp_path, "scene")
        growing.earlier.mkdir()
        (growing.earlier / "detections.json").write_text(RECORD.replace("NAME", "earlier"))
        (growing.path / "detections.json").write_text(RECORD.replace("NAME", "new"))
        if is_replaced:
            growing.path.rename(tmp_path / "scene")
        os._exit(0)
    os.waitpid(dead, 0)
    sweep(tmp_path)
    assert names(tmp_path) == {"scene"}
    said = json.loads((tmp_path / "scene" / "detections.json").read_text())
    assert said["input"] == ("new" if is_replaced else "earlier")


def test_other_hidden_files_are_not_ours(tmp_path: Path) -> None:
    for name in (".separating", "separating.x.part", ".other.part", ".lock"):
        (tmp_path / name).mkdir()
    age(*tmp_path.iterdir())
    before = names(tmp_path)
    sweep(tmp_path)
    sweep(tmp_path / "nowhere")
    assert names(tmp_path) == before


def test_what_people_keep_in_an_earlier_result_survives_a_killed_exchange(tmp_path: Path) -> None:
    """Also that of a result in a folder of folders, which goes back to where it was."""
    output = tmp_path / "out"
    output.mkdir()
    growing = PartFolder(output, "day 1/scene")
    growing.earlier.mkdir()
    (growing.earlier / "notes.txt").write_text("mine")
    # As if the process had died between the two renames.
    assert growing._file is not None
    os.close(growing._file)
    sweep(output)
    assert (output / "day 1" / "scene" / "notes.txt").read_text() == "mine"
    assert [path.name for path in output.iterdir()] == ["day 1"]
