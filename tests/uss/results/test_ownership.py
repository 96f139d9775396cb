"""What a result's folder holds beside the result stays, whenever the run is killed."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from uss.results import ownership
from uss.results.earlier import EarlierResult
from uss.results.folder import result_folder
from uss.results.ownership import settle
from uss.results.part_folder import sweep

CHANGES = {"os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.mkdir", "open"}


def write_result(folder: Path, names: list[str], content: str) -> None:
    """A result of files that all say the same."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    record = {"stems": [], "said": content, "files": ["detections.json", *names]}
    (folder / "detections.json").write_text(json.dumps(record))


def make(output: Path, names: list[str], content: str) -> None:
    with result_folder(output, "song") as folder:
        write_result(folder, names, content)


OLD = ["level2/Dog.wav", "level2/Cat.wav", "level3/Bark.wav"]
NEW = ["level2/Dog.wav", "level2/residual.wav"]
OTHERS = {
    "notes.txt": "mine",
    "level2/take 2.wav": "my own cut",
    "level3/deep/er/plan.md": "a plan",
}


def add_others(song: Path) -> None:
    for name, content in OTHERS.items():
        (song / name).parent.mkdir(parents=True, exist_ok=True)
        (song / name).write_text(content)
    (song / "empty").mkdir()
    (song / "link").symlink_to("notes.txt")
    (song / "linked").symlink_to(song.parent.parent / "elsewhere")


def tree(folder: Path) -> dict[str, str | None]:
    """Files with their content, links with where they lead, empty folders with nothing."""
    found: dict[str, str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            found[name] = path.read_text()
        elif not any(path.iterdir()):
            found[name] = None
    return found


def others(tmp_path: Path) -> dict[str, str | None]:
    return {
        **OTHERS,
        "empty": None,
        "link": "notes.txt",
        "linked": str(tmp_path / "elsewhere"),
    }


def record_of(names: list[str], content: str) -> dict[str, str | None]:
    record = {"stems": [], "said": content, "files": ["detections.json", *names]}
    return {"detections.json": json.dumps(record), **dict.fromkeys(names, content)}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """The old result among other files."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "treasure").write_text("far away")
    make(tmp_path / "out", OLD, "old")
    add_others(tmp_path / "out" / "song")
    return tmp_path / "out"


def test_only_the_results_own_files_go(output: Path, tmp_path: Path) -> None:
    notes = output / "song" / "notes.txt"
    before = notes.stat()
    make(output, NEW, "new")
    assert tree(output / "song") == {**record_of(NEW, "new"), **others(tmp_path)}
    assert [path.name for path in output.iterdir()] == ["song"]
    # The very file, not a copy of it.
    assert (notes.stat().st_ino, notes.stat().st_nlink) == (before.st_ino, 1)
    assert (tmp_path / "elsewhere" / "treasure").read_text() == "far away"
    # What the next run leaves out goes, although others lie beside it.
    make(output, ["level1/Dog.wav"], "third")
    assert tree(output / "song") == {**record_of(["level1/Dog.wav"], "third"), **others(tmp_path)}


def refuse(*_: object, **__: object) -> None:
    raise PermissionError("this file system knows no hard links")


def test_without_hard_links_files_are_moved(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership.os, "link", refuse)
    make(output, NEW, "new")
    assert tree(output / "song") == {**record_of(NEW, "new"), **others(tmp_path)}
    assert [path.name for path in output.iterdir()] == ["song"]


@pytest.mark.parametrize(
    ("mine", "new"),
    [
        ("level2/residual.wav", NEW),
        ("level1", ["level1/Dog.wav"]),
        ("Dog.wav/plan.md", ["Dog.wav"]),
    ],
)
def test_what_is_in_the_way_is_named_and_all_stays(output: Path, mine: str, new: list[str]) -> None:
    path = output / "song" / mine
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    before = tree(output)
    with pytest.raises(ValueError, match="is none of the earlier result's files"):
        make(output, new, "new")
    assert tree(output) == before


def test_what_comes_while_folders_are_exchanged_stays(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.replace

    def late(source: Path, target: Path) -> None:
        if Path(source).name == "song":
            (Path(source) / "late.txt").write_text("just in time")
        rename(source, target)

    monkeypatch.setattr(os, "replace", late)
    make(output, NEW, "new")
    expected = {**record_of(NEW, "new"), **others(tmp_path), "late.txt": "just in time"}
    assert tree(output / "song") == expected
    assert [path.name for path in output.iterdir()] == ["song"]


@pytest.mark.parametrize(
    "listed",
    ["../treasure", "/etc/hosts", "level2/../../treasure", "..\\treasure", "C:\\treasure", "", 7],
)
def test_a_list_of_files_cannot_reach_out_of_the_folder(tmp_path: Path, listed: object) -> None:
    (tmp_path / "out" / "song").mkdir(parents=True)
    (tmp_path / "out" / "treasure").write_text("far away")
    record = tmp_path / "out" / "song" / "detections.json"
    record.write_text(json.dumps({"stems": [{"file": listed}], "files": ["a.wav", listed]}))
    earlier = EarlierResult.find(tmp_path / "out" / "song")
    assert earlier is not None and earlier.stems == frozenset()
    assert earlier.files == {"a.wav", "detections.json"}
    make(tmp_path / "out", NEW, "new")
    assert (tmp_path / "out" / "treasure").read_text() == "far away"


def test_what_lies_behind_a_link_in_the_folder_is_not_touched(tmp_path: Path) -> None:
    """Somebody moved the stems to another disk and left a link."""
    output = tmp_path / "out"
    make(output, OLD, "old")
    shutil.move(output / "song" / "level2", tmp_path / "disk")
    (output / "song" / "level2").symlink_to(tmp_path / "disk")
    before = tree(tmp_path)
    with pytest.raises(ValueError, match="level2 is none of the earlier result's files"):
        make(output, NEW, "new")
    assert tree(tmp_path) == before
    make(output, ["level1/Dog.wav"], "new")
    assert tree(tmp_path / "disk") == {"Cat.wav": "old", "Dog.wav": "old"}


def test_a_result_that_is_a_link_gives_way_unless_others_lie_behind_it(tmp_path: Path) -> None:
    output = tmp_path / "out"
    make(output, OLD, "old")
    shutil.move(output / "song", tmp_path / "disk")
    (output / "song").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="song is a link to a folder with other files"):
        make(output, NEW, "new")
    (tmp_path / "disk" / "notes.txt").unlink()
    make(output, NEW, "new")
    assert not (output / "song").is_symlink()
    assert tree(tmp_path / "disk") == record_of(OLD, "old")


def test_a_link_that_leads_nowhere_is_found_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "song").symlink_to(tmp_path / "a disk that is not there")
    with (
        pytest.raises(ValueError, match="song exists and is no earlier result"),
        result_folder(tmp_path, "song"),
    ):
        pytest.fail("nothing may be separated")


@pytest.mark.parametrize("content", ["[]", "7", "no JSON", '{"boxes": []}', '"stems"'])
def test_a_record_that_is_none_of_ours_makes_no_result(tmp_path: Path, content: str) -> None:
    """Other programs write ``detections.json`` too."""
    (tmp_path / "song").mkdir()
    (tmp_path / "song" / "detections.json").write_text(content)
    with pytest.raises(ValueError, match="song exists and is no earlier result"):
        make(tmp_path, NEW, "new")
    assert tree(tmp_path) == {"song/detections.json": content}


def test_another_run_may_write_the_same_name_meanwhile(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="song exists and is no earlier result"),
        result_folder(tmp_path, "song") as folder,
    ):
        write_result(folder, NEW, "new")
        (tmp_path / "song").mkdir()
        (tmp_path / "song" / "thesis.txt").write_text("years of work")
    assert tree(tmp_path) == {"song/thesis.txt": "years of work"}


# Kills


def die_before_change(number: int, work: Callable[[], None]) -> bool:
    """Do the work in a process that ends at once before it changes a folder that often.

    Returns:
        Whether it was killed.
    """
    child = os.fork()
    if child == 0:
        left = number

        def count(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            if event in CHANGES and not (event == "open" and arguments[1] == "r"):
                if left == 0:
                    os._exit(9)
                left -= 1

        try:
            sys.addaudithook(count)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9)
    return status == 9


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a kill in a child process")
@pytest.mark.parametrize("has_links", [True, False])
def test_a_kill_at_any_moment_leaves_the_old_or_the_new_result_and_all_else(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:
        monkeypatch.setattr(ownership.os, "link", refuse)
    kept = tmp_path / "kept"
    shutil.copytree(output, kept, symlinks=True)
    song = output / "song"
    number, missing, states = 0, 0, []
    while die_before_change(number, lambda: make(output, NEW, "new")):
        if not song.exists():
            # Between the two renames both lie complete beside each other.
            missing += 1
        elif has_links:
            assert tree(song).items() >= others(tmp_path).items()
        # As the next run does.
        sweep(output)
        assert [path.name for path in output.iterdir()] == ["song"]
        state = tree(song)
        expected = {name: record_of(*result) for name, result in results().items()}
        (which,) = [name for name in expected if state == {**expected[name], **others(tmp_path)}]
        states.append(which)
        shutil.rmtree(output)
        shutil.copytree(kept, output, symlinks=True)
        number += 1
    assert missing == 1
    assert states == sorted(states, reverse=True) and set(states) == {"old", "new"}
    assert tree(song) == {**record_of(NEW, "new"), **others(tmp_path)}


def test_what_cannot_be_told_apart_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, final = tmp_path / ".separating.x.old", tmp_path / "song"
    for folder in (old, final):
        folder.mkdir()
        (folder / "notes.txt").write_text(folder.name)
    settle(old, final)
    assert (old / "notes.txt").read_text() == old.name
    assert (final / "notes.txt").read_text() == final.name
    assert f"{old} holds files that could not be moved" in caplog.text


def results() -> dict[str, tuple[list[str], str]]:
    return {"old": (OLD, "old"), "new": (NEW, "new")}
