import errno
import hashlib
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.http_server import FakeSite
from uss.checkpoints import transfers
from uss.checkpoints.downloads import cache_folder, fetch
from uss.checkpoints.published import PUBLISHED, PublishedFile

# Whole chunks: of a chunk that breaks off nothing is kept.
PART_BYTES = 2 * transfers._CHUNK_BYTES
SIZE_BYTES = 5 * transfers._CHUNK_BYTES
CONTENT = np.random.default_rng(0).bytes(SIZE_BYTES)


@pytest.fixture
def site(site: FakeSite) -> FakeSite:
    site.content = CONTENT
    return site


@pytest.fixture
def model(site: FakeSite) -> PublishedFile:
    return PublishedFile(
        name="model",
        kind="tagger",
        file_name="model.pth",
        published_name="model=1.pth",
        url=site.url,
        size_bytes=len(CONTENT),
        checksum=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}",
        source="https://example.org/models",
    )


def unknown(model: PublishedFile) -> PublishedFile:
    """Return the same file with neither size nor hash known."""
    return replace(model, size_bytes=None, checksum=None)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def interrupt(site: FakeSite, model: PublishedFile, folder: Path) -> None:
    """Leave a part of PART_BYTES."""
    site.breaks_after = PART_BYTES
    with pytest.raises(OSError, match="run again to resume"):
        fetch(model, folder=folder)
    assert (folder / "model.pth.part").stat().st_size == PART_BYTES
    site.breaks_after = None
    site.ranges.clear()


def one_line(caught: pytest.ExceptionInfo[BaseException]) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_file_is_downloaded_once(site: FakeSite, model: PublishedFile, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "cache"
    assert fetch(model, folder=folder) == folder / "model.pth"
    assert (folder / "model.pth").read_bytes() == CONTENT
    assert files(folder) == {"model.pth"}
    fetch(model, folder=folder)
    assert site.ranges == [None]


def test_nothing_is_printed_off_a_terminal(
    model: PublishedFile, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fetch(model, folder=tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_broken_download_is_resumed(
    site: FakeSite, model: PublishedFile, tmp_path: Path, known: bool, chunked: bool
) -> None:
    model = model if known else unknown(model)
    site.chunked = chunked
    site.breaks_after = PART_BYTES
    with pytest.raises(OSError) as caught:
        fetch(model, folder=tmp_path)
    message = one_line(caught)
    assert message.startswith(f"model: the connection to 127.0.0.1 broke off after {PART_BYTES:,}")
    assert (f" of {SIZE_BYTES:,} bytes" in message) == (known or not chunked)
    assert re.search(r" bytes \(.* ended .*\); run again to resume$", message)
    assert not (tmp_path / "model.pth").exists()
    site.breaks_after = None
    assert fetch(model, folder=tmp_path).read_bytes() == CONTENT
    assert site.ranges == [None, f"bytes={PART_BYTES}-"]
    assert files(tmp_path) == {"model.pth"}


def test_the_bar_starts_where_the_download_resumes(
    site: FakeSite, model: PublishedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(site, model, tmp_path)
    bars: list[Any] = []

    class Bar(transfers.tqdm):  # type: ignore[misc, type-arg, name-defined]
        def __init__(self, **options: Any) -> None:
            assert options["disable"] is None and options["file"] is sys.stderr
            super().__init__(**{**options, "disable": False})
            bars.append((self.n, self.total, self))

    monkeypatch.setattr(transfers, "tqdm", Bar)
    fetch(model, folder=tmp_path)
    ((start, total, bar),) = bars
    assert (start, total, bar.n) == (PART_BYTES, SIZE_BYTES, SIZE_BYTES)


def test_a_killed_download_is_resumed(site: FakeSite, model: PublishedFile, tmp_path: Path) -> None:
    site.breaks_after, site.stalls = PART_BYTES, threading.Event()
    script = (
        "import sys; from pathlib import Path; from uss.checkpoints.downloads import fetch; "
        "from uss.checkpoints.published import PublishedFile; "
        f"fetch({model!r}, folder=Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    part = tmp_path / "model.pth.part"
    try:
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size == PART_BYTES):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()
    site.stalls.set()
    site.breaks_after = None
    assert fetch(model, folder=tmp_path).read_bytes() == CONTENT
    assert site.ranges == [None, f"bytes={PART_BYTES}-"]


@pytest.mark.parametrize("known", [True, False])
def test_a_whole_part_needs_no_more_bytes(
    site: FakeSite, model: PublishedFile, tmp_path: Path, known: bool
) -> None:
    (tmp_path / "model.pth.part").write_bytes(CONTENT)
    path = fetch(model if known else unknown(model), folder=tmp_path)
    assert path.read_bytes() == CONTENT
    assert site.ranges == ([] if known else [f"bytes={SIZE_BYTES}-"])


@pytest.mark.parametrize("known", [True, False])
def test_a_part_longer_than_the_file_is_thrown_away(
    site: FakeSite, model: PublishedFile, tmp_path: Path, known: bool
) -> None:
    (tmp_path / "model.pth.part").write_bytes(CONTENT + b"more")
    path = fetch(model if known else unknown(model), folder=tmp_path)
    assert path.read_bytes() == CONTENT
    assert site.ranges == [f"bytes={SIZE_BYTES + 4}-", None]


def test_a_server_without_ranges_starts_over(
    site: FakeSite, model: PublishedFile, tmp_path: Path
) -> None:
    interrupt(site, model, tmp_path)
    site.knows_ranges = False
    assert fetch(model, folder=tmp_path).read_bytes() == CONTENT
    assert site.ranges == [f"bytes={PART_BYTES}-"]


def test_another_version_on_the_server_starts_over(
    site: FakeSite, model: PublishedFile, tmp_path: Path
) -> None:
    interrupt(site, unknown(model), tmp_path)
    site.content, site.etag = CONTENT[::-1], '"two"'
    assert fetch(unknown(model), folder=tmp_path).read_bytes() == CONTENT[::-1]
    assert site.ranges == [f"bytes={PART_BYTES}-", None]


def test_without_an_etag_the_hash_tells_versions_apart(
    site: FakeSite, model: PublishedFile, tmp_path: Path
) -> None:
    site.etag = None
    site.content = CONTENT[::-1]
    interrupt(site, model, tmp_path)
    site.content = CONTENT
    with pytest.raises(ValueError, match="run again"):
        fetch(model, folder=tmp_path)
    assert fetch(model, folder=tmp_path).read_bytes() == CONTENT
    assert site.ranges == [f"bytes={PART_BYTES}-", None]


def test_a_wrong_hash_deletes_the_part(
    site: FakeSite, model: PublishedFile, tmp_path: Path
) -> None:
    site.content = CONTENT[::-1]
    with pytest.raises(ValueError) as caught:
        fetch(model, folder=tmp_path)
    message = one_line(caught)
    assert hashlib.sha256(CONTENT[::-1]).hexdigest() in message
    assert str(model.checksum) in message and "deleted" in message
    assert files(tmp_path) == set()


def test_an_unknown_hash_is_logged_once(
    model: PublishedFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="uss"):
        fetch(replace(model, checksum=None), folder=tmp_path)
        fetch(replace(model, checksum=None), folder=tmp_path)
    download, unchecked = caplog.messages
    assert download == f"downloading model from {model.url} to {tmp_path / 'model.pth'}"
    assert unchecked.startswith(f"model has the checksum {model.checksum}; the published")


def test_a_cached_file_of_the_wrong_size_is_refused(
    site: FakeSite, model: PublishedFile, tmp_path: Path
) -> None:
    (tmp_path / "model.pth").write_bytes(CONTENT[:1234])
    with pytest.raises(ValueError) as caught:
        fetch(model, folder=tmp_path)
    message = one_line(caught)
    for fact in (
        str(tmp_path / "model.pth"),
        "1,234",
        f"{SIZE_BYTES:,}",
        "delete it",
        "finish copying",
    ):
        assert fact in message
    assert site.ranges == []


def test_a_file_put_there_by_hand_is_taken(
    site: FakeSite, model: PublishedFile, tmp_path: Path
) -> None:
    (tmp_path / "model.pth").write_bytes(CONTENT)
    for file in (model, unknown(model), replace(model, url=None)):
        assert fetch(file, folder=tmp_path) == tmp_path / "model.pth"
    assert site.ranges == []
    assert files(tmp_path) == {"model.pth"}


@pytest.mark.parametrize("resumed", [True, False])
def test_an_offer_of_the_wrong_size_is_refused(
    site: FakeSite, model: PublishedFile, tmp_path: Path, resumed: bool
) -> None:
    if resumed:
        interrupt(site, model, tmp_path)
    site.content = CONTENT + b"more"
    with pytest.raises(ValueError, match=f"offers {SIZE_BYTES + 4:,} bytes.*{SIZE_BYTES:,}"):
        fetch(model, folder=tmp_path)
    assert ("model.pth.part" in files(tmp_path)) == resumed


def test_a_server_that_claims_too_many_bytes_breaks_off(
    site: FakeSite, model: PublishedFile, tmp_path: Path
) -> None:
    site.claimed_length = 400_000
    with pytest.raises(OSError, match=f"after {SIZE_BYTES:,} of 400,000 bytes"):
        fetch(unknown(model), folder=tmp_path)
    with pytest.raises(ValueError, match="offers 400,000 bytes"):
        fetch(model, folder=tmp_path / "other")


def test_bytes_beyond_the_known_size_are_deleted(
    site: FakeSite, model: PublishedFile, tmp_path: Path
) -> None:
    site.content, site.chunked = CONTENT * 2, True
    with pytest.raises(ValueError, match=rf"sent 3\d\d,\d{{3}} bytes.*{SIZE_BYTES:,}"):
        fetch(model, folder=tmp_path)
    assert files(tmp_path) == set()


def test_too_few_bytes_of_unannounced_length_break_off(
    site: FakeSite, model: PublishedFile, tmp_path: Path
) -> None:
    site.content, site.chunked = CONTENT[:100], True
    with pytest.raises(OSError, match=rf"after 100 of {SIZE_BYTES:,} bytes \(it ended early\)"):
        fetch(model, folder=tmp_path)


@pytest.mark.parametrize("status", [403, 404, 416, 500])
@pytest.mark.parametrize("resumed", [True, False])
def test_refusals_name_the_status_and_keep_the_part(
    site: FakeSite, model: PublishedFile, tmp_path: Path, status: int, resumed: bool
) -> None:
    if resumed:
        interrupt(site, model, tmp_path)
    site.status = status
    with pytest.raises(OSError) as caught:
        fetch(model, folder=tmp_path)
    message = one_line(caught)
    assert site.url in message and f"answers {status} " in message
    assert str(tmp_path / "model.pth") in message
    if resumed:
        assert (tmp_path / "model.pth.part").stat().st_size == PART_BYTES


def test_a_web_page_is_not_a_checkpoint(
    site: FakeSite, model: PublishedFile, tmp_path: Path
) -> None:
    interrupt(site, model, tmp_path)
    site.knows_ranges, site.content_type = False, "text/html; charset=utf-8"
    with pytest.raises(OSError, match="web page"):
        fetch(unknown(model), folder=tmp_path)
    assert (tmp_path / "model.pth.part").stat().st_size == PART_BYTES


def test_offline_says_what_to_put_where(
    site: FakeSite, model: PublishedFile, tmp_path: Path
) -> None:
    closed = replace(model, url="http://127.0.0.1:1/model.pth")
    try:
        raise FileNotFoundError("what the caller was handling")
    except FileNotFoundError:
        with pytest.raises(OSError) as caught:
            fetch(closed, folder=tmp_path)
    assert one_line(caught) == (
        f"model is not in the cache and 127.0.0.1 cannot be reached "
        f"({os.strerror(errno.ECONNREFUSED)}); download http://127.0.0.1:1/model.pth elsewhere "
        f"and put it at {tmp_path / 'model.pth'}"
    )
    site.moved_to = "http://localhost:1/elsewhere"
    with pytest.raises(OSError, match="localhost cannot be reached"):
        fetch(model, folder=tmp_path)


def test_a_proxy_that_cannot_be_reached_is_blamed(
    model: PublishedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(OSError, match=r"example\.org cannot be reached through the proxy \("):
        fetch(replace(model, url="http://example.org/model.pth"), folder=tmp_path)


def test_a_silent_server_times_out_and_the_part_is_kept(
    site: FakeSite, model: PublishedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfers, "_READ_SECONDS", 0.2)
    site.breaks_after, site.stalls = PART_BYTES, threading.Event()
    with pytest.raises(OSError, match=rf"broke off after {PART_BYTES:,} of .*timed out"):
        fetch(model, folder=tmp_path)
    assert (tmp_path / "model.pth.part").stat().st_size == PART_BYTES


def test_without_an_address_the_message_names_the_page(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        fetch(PUBLISHED["htsat"], folder=tmp_path)
    assert one_line(caught) == (
        "htsat has no direct address; get HTSAT_AudioSet_Saved_1.ckpt from "
        f"https://github.com/RetroCirce/HTS-Audio-Transformer and put it at "
        f"{tmp_path / 'htsat.ckpt'}"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_named(site: FakeSite, model: PublishedFile, tmp_path: Path) -> None:
    (tmp_path / "model.pth.part").symlink_to("/dev/full")
    with pytest.raises(OSError) as caught:
        fetch(model, folder=tmp_path)
    message = one_line(caught)
    assert re.search(rf"model\.pth\.part cannot be written \({os.strerror(errno.ENOSPC)}", message)
    assert "kept" in message
    assert (tmp_path / "model.pth.part").is_symlink()


def test_a_cache_that_cannot_be_made_is_named(model: PublishedFile, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file.cache cannot be written \(.+\); set USS_CACHE"):
        fetch(model, folder=tmp_path / "file" / "cache")


def test_two_at_once_download_once(
    site: FakeSite, model: PublishedFile, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.stalls = threading.Event()
    with caplog.at_level(logging.INFO, logger="uss"), ThreadPoolExecutor(2) as pool:
        both = [pool.submit(fetch, model, folder=tmp_path) for _ in range(2)]
        deadline = time.monotonic() + 60
        while not any("waiting for another" in message for message in caplog.messages):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        site.stalls.set()
        assert {future.result() for future in both} == {tmp_path / "model.pth"}
    assert (tmp_path / "model.pth").read_bytes() == CONTENT
    assert site.ranges == [None]


def test_the_cache_is_where_the_environment_says(
    model: PublishedFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USS_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    assert fetch(model) == tmp_path / "mine" / "model.pth"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USS_CACHE", "~/ours")
    assert cache_folder() == Path("~/ours").expanduser()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="each system has its own place")
def test_the_cache_is_otherwise_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("USS_CACHE", raising=False)
    assert cache_folder() == tmp_path / "uss-pipeline"
    monkeypatch.setenv("USS_CACHE", "")
    assert cache_folder() == tmp_path / "uss-pipeline"
    assert not cache_folder().exists()


def test_a_publisher_may_give_an_md5(model: PublishedFile, tmp_path: Path) -> None:
    right = replace(model, checksum=f"md5:{hashlib.md5(CONTENT).hexdigest()}")
    assert fetch(right, folder=tmp_path / "right").read_bytes() == CONTENT
    wrong = replace(model, checksum=f"md5:{'0' * 32}")
    with pytest.raises(ValueError, match="md5:0000"):
        fetch(wrong, folder=tmp_path / "wrong")
    assert not (tmp_path / "wrong" / model.file_name).exists()
