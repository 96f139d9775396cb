"""Results as bags, validated by the Library of Congress's program."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import bagit
import numpy as np
import pytest
import soundfile

import uss
from tests.uss.evaluation.conftest import CAT, DOG, RATE, make_separator, tone
from uss.results.bags import are_tags_whole, close_bag, is_bag
from uss.results.earlier import EarlierResult
from uss.results.part_folder import sweep
from uss.results.result import SeparationResult
from uss.separation.separator import Separator

TAG_FILES = {"bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"}
VIEWS = {"detections.json", "timeline.png", "report.html", "provenance.json"}


@pytest.fixture
def separator() -> Separator:
    return make_separator(DOG, CAT)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "uss.results.views.draw_timeline", lambda path, *_: path.write_bytes(b"a picture")
    )


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return save(tmp_path / "scène 50%.wav", 500.0, 6_000.0)


def save(path: Path, *frequencies_hz: float) -> Path:
    total: Any = sum(tone(each, 0.6) for each in frequencies_hz)
    soundfile.write(path, total, RATE, subtype="FLOAT")
    return path


def run(scene: Path, separator: Separator, **options: Any) -> SeparationResult:
    settings = {"levels": [3], "bag": True, **options}
    return uss.separate_file(scene, scene.parent / "out", separator=separator, **settings)


def result(scene: Path) -> Path:
    return scene.parent / "out" / scene.stem


def files(folder: Path) -> set[str]:
    return {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}


def is_valid(folder: Path) -> bool:
    return bool(bagit.Bag(str(folder)).validate())


def test_a_bag_validates_and_holds_the_result(scene: Path, separator: Separator) -> None:
    made = run(scene, separator)
    folder = result(scene)
    assert is_valid(folder)
    stems = {"level3/Dog.wav", "level3/Cat.wav", "level3/residual.wav"}
    assert files(folder) == TAG_FILES | {f"data/{name}" for name in VIEWS | stems}
    assert set(made.files) == VIEWS | stems
    info = bagit.Bag(str(folder)).info
    assert made.identity is not None
    assert info["External-Identifier"] == f"sha256:{made.identity.sha256}"
    size = sum((folder / "data" / name).stat().st_size for name in made.files)
    assert info["Payload-Oxum"] == f"{size}.{len(made.files)}"
    total = sum(soundfile.read(folder / "data" / name)[0] for name in sorted(stems))
    np.testing.assert_allclose(total, soundfile.read(scene)[0], atol=1e-6)


def test_a_changed_file_makes_a_bag_invalid(scene: Path, separator: Separator) -> None:
    run(scene, separator)
    record = result(scene) / "data" / "detections.json"
    record.write_text(record.read_text("utf-8") + " ", "utf-8")
    with pytest.raises(bagit.BagValidationError):
        bagit.Bag(str(result(scene))).validate()


def test_names_that_are_not_ascii_are_in_the_manifest(scene: Path, separator: Separator) -> None:
    run(scene, separator, names="{stem} 🐕 100% {class}")
    assert is_valid(result(scene))
    manifest = (result(scene) / "manifest-sha256.txt").read_text("utf-8")
    assert "  data/level3/scène 50% 🐕 100% Dog.wav\n" in manifest


def test_a_new_run_replaces_its_own_bag_alone(scene: Path, separator: Separator) -> None:
    run(scene, separator)
    (result(scene) / "notes.txt").write_text("mine")
    (result(scene) / "metadata").mkdir()
    (result(scene) / "metadata" / "plan.md").write_text("a plan")
    run(scene, separator, levels=[1])
    folder = result(scene)
    assert is_valid(folder)
    assert {"notes.txt", "metadata/plan.md", "data/level1/Animal.wav"} <= files(folder)
    assert not (folder / "data" / "level3").exists()
    save(scene, 500.0)
    with pytest.raises(ValueError, match="is the result of another recording"):
        run(scene, separator)
    run(scene, separator, force=True)
    assert is_valid(folder) and "notes.txt" in files(folder)
    assert {path.name for path in folder.parent.iterdir()} == {scene.stem}


def test_what_is_not_the_results_cannot_be_in_its_bag(scene: Path, separator: Separator) -> None:
    run(scene, separator)
    mine = result(scene) / "data" / "level3" / "mine.wav"
    mine.write_text("my own cut")
    before = files(result(scene))
    with pytest.raises(
        ValueError, match=r"mine\.wav would be in the bag and is none of the"
    ) as bad:
        run(scene, separator, levels=[1])
    assert "\n" not in str(bad.value)
    assert files(result(scene)) == before and mine.read_text() == "my own cut"
    # Without a bag it is in nobody's way.
    run(scene, separator, levels=[1], bag=False)
    assert files(result(scene)) == VIEWS | {
        "data/level3/mine.wav",
        "level1/Animal.wav",
        "level1/residual.wav",
    }


@pytest.mark.parametrize("first", [False, True])
def test_a_bag_and_a_plain_result_replace_each_other(
    scene: Path, separator: Separator, first: bool
) -> None:
    run(scene, separator, bag=first)
    (result(scene) / "notes.txt").write_text("mine")
    plain = files(result(scene))
    run(scene, separator, bag=not first)
    folder = result(scene)
    assert is_bag(folder) == (not first)
    assert "notes.txt" in files(folder)
    assert (files(folder) >= TAG_FILES) == (not first)
    assert not (plain - {"notes.txt"}) & files(folder)
    assert first or is_valid(folder)


def test_resuming_keeps_a_bag_that_is_whole(scene: Path, separator: Separator) -> None:
    first = run(scene, separator)
    record = result(scene) / "data" / "detections.json"
    before = record.stat().st_mtime_ns

    def made_again(**options: Any) -> bool:
        nonlocal before
        run(scene, separator, resume=True, **options)
        now = (result(scene) / "data" / "detections.json").stat().st_mtime_ns
        changed, before = now != before, now
        return changed

    assert not made_again()
    assert run(scene, separator, resume=True).stems == first.stems
    info = result(scene) / "bag-info.txt"
    info.write_text(info.read_text("utf-8") + "Contact-Name: me\n")
    assert made_again()
    (result(scene) / "tagmanifest-sha256.txt").unlink()
    assert made_again()
    (result(scene) / "data" / "level3" / "Dog.wav").unlink()
    assert made_again() and is_valid(result(scene))
    run(scene, separator, resume=True, bag=False)
    assert not is_bag(result(scene))


def test_what_another_program_bagged_is_the_results_bag(scene: Path, separator: Separator) -> None:
    """The Library of Congress's program moves what is in a folder to data/, too."""
    run(scene, separator, bag=False)
    bagit.make_bag(str(result(scene)), checksums=["sha256", "sha512"])
    before = (result(scene) / "data" / "detections.json").stat().st_mtime_ns
    run(scene, separator, resume=True)
    assert (result(scene) / "data" / "detections.json").stat().st_mtime_ns == before
    run(scene, separator, levels=[1])
    assert is_valid(result(scene))
    assert not {"manifest-sha512.txt", "tagmanifest-sha512.txt"} & files(result(scene))


def test_a_result_called_data_makes_no_bag_of_its_output(
    tmp_path: Path, separator: Separator
) -> None:
    data = save(tmp_path / "data.wav", 500.0)
    uss.separate_file(data, tmp_path / "scene", separator=separator)
    assert EarlierResult.find(tmp_path / "scene" / "data") is not None
    with pytest.raises(ValueError, match="exists and is no earlier result"):
        EarlierResult.find(tmp_path / "scene")


def test_detecting_alone_makes_a_bag_too(scene: Path, separator: Separator) -> None:
    run(scene, separator, detect_only=True)
    assert is_valid(result(scene))
    assert files(result(scene)) == TAG_FILES | {f"data/{name}" for name in VIEWS}


def test_a_run_that_fails_leaves_the_bag_that_was_there(
    scene: Path, separator: Separator, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(scene, separator)
    before = {name: (result(scene) / name).read_bytes() for name in files(result(scene))}

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("uss.results.recording_job.close_bag", fail)
    with pytest.raises(OSError, match="no space left"):
        run(scene, separator, levels=[1])
    assert {name: (result(scene) / name).read_bytes() for name in files(result(scene))} == before
    assert {path.name for path in result(scene).parent.iterdir()} == {scene.stem}


def test_a_killed_exchange_of_bags_is_ended_by_the_next_run(
    scene: Path, separator: Separator, tmp_path: Path
) -> None:
    """Killed after the new bag took the old one's place, with the old one still there."""
    run(scene, separator)
    output = result(scene).parent
    old = output / ".separating.abc.old"
    shutil.copytree(result(scene), old)
    (result(scene) / "notes.txt").write_text("mine")
    os.link(result(scene) / "notes.txt", old / "notes.txt")
    (output / ".separating.abc.lock").write_text(f"machine\n{scene.stem}")
    past = time.time() - 200_000
    for path in (output / ".separating.abc.lock", old, *old.rglob("*")):
        os.utime(path, (past, past))
    sweep(output)
    assert not old.exists()
    assert is_valid(result(scene)) and (result(scene) / "notes.txt").read_text() == "mine"


def test_tags_are_whole_only_as_they_are_listed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_text("a")
    assert not are_tags_whole(tmp_path)
    close_bag(tmp_path, {"External-Description": "two\nlines"})
    assert are_tags_whole(tmp_path) and is_valid(tmp_path)
    assert bagit.Bag(str(tmp_path)).info["External-Description"] == "two lines"
    (tmp_path / "bagit.txt").write_text("BagIt-Version: 2.0\n")
    assert not are_tags_whole(tmp_path)


def test_the_record_says_what_is_in_the_bag(scene: Path, separator: Separator) -> None:
    run(scene, separator)
    content = json.loads((result(scene) / "data" / "detections.json").read_text("utf-8"))
    assert all((result(scene) / "data" / name).is_file() for name in content["files"])
