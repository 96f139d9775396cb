"""Folders in folders."""

import os
from pathlib import Path

import pytest

from uss.audio.listing import find_recordings, list_recordings


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    folder = tmp_path / "tape"
    for name in (
        "b.wav",
        "notes.txt",
        "day 2/a.wav",
        "day 1/z.flac",
        "day 1/night/a.MP3",
        "day 1/.hidden/a.wav",
        ".trash/a.wav",
        "out/old/level2/Dog.wav",
        "empty/notes.txt",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def found(tape: Path, **options: Path) -> list[tuple[str, str]]:
    return [
        (each.path.relative_to(tape).as_posix(), each.below.as_posix())
        for each in find_recordings([tape], recursive=True, **options)
    ]


def test_folders_in_folders_are_searched_in_order(tape: Path) -> None:
    assert found(tape, but_not=tape / "out") == [
        ("b.wav", "."),
        ("day 1/z.flac", "day 1"),
        ("day 1/night/a.MP3", "day 1/night"),
        ("day 2/a.wav", "day 2"),
    ]
    assert len(found(tape)) == 5
    assert list_recordings([tape]) == [tape / "b.wav"]


def test_the_folder_for_results_is_known_by_any_name(
    tape: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(tape / "out")
    monkeypatch.chdir(tape)
    for name in (Path("out"), Path("../tape/out"), tmp_path / "link"):
        assert len(found(tape, but_not=name)) == 4
    with pytest.raises(ValueError, match="choose another output folder"):
        found(tape, but_not=Path("."))


def test_links_to_folders_are_not_followed(tape: Path) -> None:
    before = found(tape)
    (tape / "day 1" / "loop").symlink_to(tape)
    (tape / "again").symlink_to(tape / "day 2")
    assert found(tape) == before
    # One that is named is searched.
    named = find_recordings([tape / "again"], recursive=True)
    assert [each.path for each in named] == [tape / "again" / "a.wav"]


def test_a_tree_without_recordings_fails_alone_later(tape: Path) -> None:
    (only,) = find_recordings([tape / "empty"], recursive=True)
    assert only.path == tape / "empty"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may list everything")
def test_a_folder_that_cannot_be_listed_is_not_passed_over(tape: Path) -> None:
    (tape / "day 1").chmod(0)
    try:
        with pytest.raises(PermissionError, match="day 1"):
            found(tape)
    finally:
        (tape / "day 1").chmod(0o755)
