"""Where recordings are kept, and until when."""

import os
import threading
import time
from pathlib import Path

import pytest

from pipelines.web.shelf import Shelf
from uss.core.errors import InputError


def put(shelf: Shelf, name: str = "a.wav") -> Path:
    path = shelf.root / "hash" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"sound")
    return path


def test_an_upload_gets_a_folder_that_nobody_guesses(shelf: Shelf) -> None:
    path = put(shelf)
    first, second = shelf.take(path), shelf.take(path)
    assert first != second and len(first) >= 20
    assert shelf.source(first).read_bytes() == b"sound"
    assert shelf.source(first).name == "a.wav"
    path.unlink()
    assert shelf.source(second).read_bytes() == b"sound"


@pytest.mark.parametrize("name", ["/etc/passwd", "../secret", "missing.wav"])
def test_only_uploads_are_taken(shelf: Shelf, name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    with pytest.raises(InputError, match="no such upload"):
        shelf.take(shelf.root / name)
    assert list(shelf.root.iterdir()) == []


def test_a_link_out_of_the_shelf_is_no_upload(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    (shelf.root / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="no such upload"):
        shelf.take(shelf.root / "link")


@pytest.mark.parametrize("token", ["", ".", "..", "hash", "../shelf", "unknown"])
def test_what_is_no_token_names_nothing(shelf: Shelf, token: str) -> None:
    put(shelf)
    with pytest.raises(InputError, match="deleted 10 minutes after their last use"):
        shelf.folder(token)


def test_old_things_are_deleted_unless_they_are_in_use(shelf: Shelf) -> None:
    old, used, new = (shelf.take(put(shelf)) for _ in range(3))
    now = time.time()
    for token in (old, used):
        os.utime(shelf.folder(token), (now - 1_000, now - 1_000))
    with shelf.using(used):
        shelf.sweep(now)
        assert {each.name for each in shelf.root.iterdir()} == {used, new, "hash"}
    # Its time began anew.
    shelf.sweep(now + 500)
    assert used in {each.name for each in shelf.root.iterdir()}
    shelf.sweep(time.time() + 601)
    assert list(shelf.root.iterdir()) == []


def test_everything_goes_with_the_server(shelf: Shelf) -> None:
    shelf.take(put(shelf))
    before = threading.active_count()
    with shelf.sweeping():
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    assert not shelf.root.exists()


def test_sweeping_goes_on_by_itself(tmp_path: Path) -> None:
    root = tmp_path / "quick"
    root.mkdir()
    shelf = Shelf(root, keep_seconds=0.2)
    with shelf.sweeping():
        put(shelf)
        end = time.monotonic() + 10.0
        while list(root.iterdir()):
            assert time.monotonic() < end
            time.sleep(0.05)
