"""``uss-models``: what is here, checked and removed."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from pipelines.models import main
from uss.checkpoints import cards, inventory
from uss.checkpoints.published import PUBLISHED

CONTENT = b"weights"
FILE = PUBLISHED["mn04_as"].file_name


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, for a published model of seven bytes."""
    small = replace(
        PUBLISHED["mn04_as"],
        size_bytes=len(CONTENT),
        checksum=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}",
    )
    published = {**PUBLISHED, "mn04_as": small}
    for module in (cards, inventory):
        monkeypatch.setattr(module, "PUBLISHED", published)
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("USS_CACHE", str(folder))
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(words)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def states(capsys: pytest.CaptureFixture[str], *names: str) -> dict[str, str]:
    return {each["name"]: each["state"] for each in manifest(capsys, *names)["models"]}


def manifest(capsys: pytest.CaptureFixture[str], *names: str) -> Any:
    status, out, _ = run(capsys, "--licences", *names)
    assert status == 0
    return json.loads(out)


def test_all_models_are_listed_with_what_is_to_be_known(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys)
    assert (status, err) == (0, "")
    head, *rows, place = out.splitlines()
    assert head.split() == ["name", "state", "size", "licence", "task", "space", "hash"]
    assert [row.split()[0] for row in rows] == ["default", "text", *PUBLISHED]
    by_name = {row.split()[0]: row for row in rows}
    assert "installed" in by_name["default"] and "Apache-2.0" in by_name["default"]
    assert "CC-BY-4.0" in by_name["cnn14"] and "cnn14-2048" in by_name["cnn14"]
    assert "327.4 MB" in by_name["cnn14"] and "md5:541141fa2ee1" in by_name["cnn14"]
    assert "by hand" in by_name["htsat"] and "USS_CACHE" in place


def test_licences_are_a_manifest(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cache / FILE).write_bytes(CONTENT)
    content = manifest(capsys)
    assert {each["name"]: each["licence"] for each in content["software"]}["uss-pipeline"] == (
        "Apache-2.0"
    )
    models = {each["name"]: each for each in content["models"]}
    assert models.keys() == {"default", "text", *PUBLISHED}
    own = models["mn04_as"]
    assert own["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert own["file"] == str(cache / FILE) and own["size_bytes"] == len(CONTENT)
    assert models["lass-net"]["licence"] == "NOASSERTION"
    assert models["default"]["provenance"]["steps"] == 14_500
    for each in models.values():
        assert each["trained_on"] not in ("", None) and each["task"] != "unknown"
        # Where somebody says under which licence, it is said in SPDX's words too.
        assert (each["licence"] == "NOASSERTION") == (each["licence_as_stated"] is None)


def test_the_states_of_the_cache_are_told_apart(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert states(capsys, "mn04_as", "htsat") == {"mn04_as": "downloadable", "htsat": "by hand"}
    (cache / f"{FILE}.part").write_bytes(CONTENT[:3])
    assert states(capsys, "mn04_as") == {"mn04_as": "incomplete"}
    (cache / FILE).write_bytes(CONTENT[:3])
    assert states(capsys, "mn04_as") == {"mn04_as": "wrong size"}
    (cache / FILE).write_bytes(CONTENT)
    assert states(capsys, "mn04_as") == {"mn04_as": "cached"}


def test_verifying_compares_what_is_here(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cache / FILE).write_bytes(CONTENT)
    (cache / PUBLISHED["lass-net"].file_name).write_bytes(b"anything")
    status, out, err = run(capsys, "verify")
    assert (status, err) == (0, "")
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert lines.keys() == {"default", "text", "lass-net", "mn04_as"}
    assert lines["mn04_as"] == "sha256 as published"
    assert hashlib.sha256(b"anything").hexdigest() in lines["lass-net"]
    assert "in the package" in lines["default"] or "as installed" in lines["default"]


@pytest.mark.parametrize(
    ("content", "said"), [(b"WEIGHTS", "has not the sha256"), (b"w", "has 1 bytes, not 7")]
)
def test_what_is_not_as_published_is_named_with_the_remedy(
    cache: Path, capsys: pytest.CaptureFixture[str], content: bytes, said: str
) -> None:
    (cache / FILE).write_bytes(content)
    status, _, err = run(capsys, "verify")
    assert status == 2 and err.count("\n") == 1
    assert said in err and "uss-models prune mn04_as" in err


def test_pruning_removes_what_broken_downloads_left_and_no_more(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = [cache / FILE, cache / f"{FILE}.lock", cache / "mine.pt", cache / "mine.pt.part"]
    gone = [cache / f"{FILE}.part", cache / f"{FILE}.part.etag"]
    for path in (*kept, *gone):
        path.write_bytes(CONTENT)
    status, out, _ = run(capsys, "prune", "--dry-run")
    assert status == 0 and all(str(path) in out for path in gone)
    assert all(path.exists() for path in gone)
    status, out, _ = run(capsys, "prune")
    assert status == 0 and [path for path in (*kept, *gone) if path.exists()] == kept


@pytest.mark.parametrize(
    "words", [("prune", "mn04_as"), ("prune", "--debug", "mn04_as"), ("prune", "--all")]
)
def test_pruning_removes_the_models_that_are_named(
    cache: Path, capsys: pytest.CaptureFixture[str], words: Sequence[str]
) -> None:
    (cache / FILE).write_bytes(CONTENT)
    (cache / "mine.pt").write_bytes(CONTENT)
    status, out, _ = run(capsys, *words)
    assert status == 0 and str(cache / FILE) in out and "0.0 MB are free" in out
    assert not (cache / FILE).exists() and (cache / "mine.pt").exists()


def test_what_another_process_downloads_stays(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = cache / f"{FILE}.part"
    part.write_bytes(CONTENT[:3])
    with FileLock(cache / f"{FILE}.lock"):
        status, _, err = run(capsys, "prune")
    assert status == 2 and part.exists()
    assert "is being downloaded, and stays" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cnn41",), "there is no model 'cnn41'; choose default, text,"),
        (("verify", "mn10_as"), "is not in the cache"),
        (("verify", "nothing"), "there is no model 'nothing'"),
        (("prune", "default"), "default is no model of the cache"),
        (("--all",), "--all and --dry-run go with prune"),
        (("prune", "--all", "mn04_as"), "leave out the names, or --all"),
        (("verify", "--licences"), "--licences lists; leave out verify"),
        (("--license",), "unrecognized arguments: --license"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], words: Sequence[str], said: str
) -> None:
    status, _, err = run(capsys, *words)
    assert status == 2 and said in err and err.count("\n") == 1
