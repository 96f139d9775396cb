from pathlib import Path

import numpy as np
import pytest
import soundfile

from ontology import OwnClass
from uss.core.errors import InputError
from uss.data.folder_manifest import FolderManifest, make_folder_manifest
from uss.data.new_manifest import Probing, Problem

DOG, BARK, SPEECH = "/m/0bt9lr", "/m/05tny_", "/m/09x0r"


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, np.full(4_000, 0.1, np.float32), 8_000)
    return folder


def make(folder: Path, **options: object) -> FolderManifest:
    return make_folder_manifest(folder, Probing(workers=1), **options)  # type: ignore[arg-type]


def labels_of(made: FolderManifest) -> dict[str, str]:
    return {row.path: row.mids for row in made.manifest.rows}


def test_folders_called_like_audiosets_classes_are_these(tmp_path: Path) -> None:
    write(
        tmp_path, "dogs/a.wav", "Dog/b.flac", "BARK/deep/er/c.wav", "male_speech_man_speaking/d.wav"
    )
    made = make(tmp_path)
    assert labels_of(made) == {
        "dogs/a.wav": DOG,
        "Dog/b.flac": DOG,
        "BARK/deep/er/c.wav": BARK,
        "male_speech_man_speaking/d.wav": "/m/05zppz",
    }
    assert made.own == ()
    assert made.meanings["dogs"] == made.meanings["Dog"] == DOG


def test_names_in_other_letters_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path, "ドア/a.wav", "猫/b.wav")
    assert labels_of(make(tmp_path)) == {"ドア/a.wav": "/own/ドア", "猫/b.wav": "/own/猫"}


def test_all_others_are_classes_of_ones_own(tmp_path: Path) -> None:
    write(tmp_path, "my_machine/a.wav", "My Machine/b.wav", "puppy/c.wav")
    made = make(tmp_path)
    assert labels_of(made) == {
        "my_machine/a.wav": "/own/my_machine",
        "My Machine/b.wav": "/own/my_machine",
        # An alias; data are not guessed at.
        "puppy/c.wav": "/own/puppy",
    }
    assert [(own.mid, own.parent) for own in made.own] == [
        ("/own/my_machine", ""),
        ("/own/puppy", ""),
    ]


def test_own_classes_that_are_known_keep_their_ids_and_parents(tmp_path: Path) -> None:
    write(tmp_path, "lathe/a.wav", "mill/b.wav")
    known = [OwnClass("/own/old", "Unused"), OwnClass("/own/l", "Lathe", DOG)]
    made = make(tmp_path, own=known)
    assert labels_of(made) == {"lathe/a.wav": "/own/l", "mill/b.wav": "/own/mill"}
    assert made.own == (*known, OwnClass("/own/mill", "mill"))


def test_some_of_each_class_are_kept_to_validate_with(tmp_path: Path) -> None:
    names = [f"{kind}/{number}.wav" for kind in ("dog", "x", "y") for number in range(4)]
    write(tmp_path, *names, "alone/0.wav")
    rows = make(tmp_path).manifest.rows
    kept = [row.path.split("/")[0] for row in rows if row.split == "validation"]
    assert sorted(kept) == ["dog", "x", "y"]
    assert {row.split for row in make(tmp_path, validation=0.0).manifest.rows} == {"train"}
    half = make(tmp_path, validation=0.5).manifest.rows
    assert sum(row.split == "validation" for row in half) == 6
    # More files do not move those that were there.
    write(tmp_path, "dog/4.wav")
    again = {row.path: row.split for row in make(tmp_path, validation=0.4).manifest.rows}
    before = {row.path: row.split for row in half if row.path.startswith("dog")}
    assert sum(again[path] != split for path, split in before.items()) <= 1


def test_a_list_of_labels_goes_before_folders(tmp_path: Path) -> None:
    folder = write(tmp_path / "sounds", "a.wav", "any/b.wav", "c.wav", "d.wav")
    table = tmp_path / "labels.csv"
    table.write_text(
        "filename,category,split\na.wav,dog;my machine,test\nany/b.wav,Speech,train\n"
        "any/b.wav,/m/0bt9lr,train\ngone.wav,dog,train\nd.wav,,train\nc.wav,/m/01v_m0,train\n"
    )
    made = make(folder, labels=table)
    assert labels_of(made) == {
        "a.wav": f"{DOG};/own/my_machine",
        "any/b.wav": f"{SPEECH};{DOG}",
        "c.wav": "/m/01v_m0",
    }
    assert {row.path: row.split for row in made.manifest.rows}["a.wav"] == "test"
    assert made.manifest.counts() == {"unlabelled": 1, "missing": 1}


def test_what_has_no_folder_or_no_sound_is_reported(tmp_path: Path) -> None:
    write(tmp_path, "dog/a.wav", "top.wav", ".hidden/x.wav")
    (tmp_path / "dog" / "broken.wav").write_text("")
    (tmp_path / "dog" / "notes.txt").write_text("no sound")
    made = make(tmp_path)
    assert list(labels_of(made)) == ["dog/a.wav"]
    first, second = made.manifest.problems
    assert first == Problem("top.wav", "top.wav", "unlabelled", "it lies in no folder of a class")
    assert (second.path, second.problem) == ("dog/broken.wav", "unreadable")


def test_what_can_be_no_class_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "digits", "7/a.wav")
    with pytest.raises(InputError, match='no class can be called "7"; give it a name'):
        make(tmp_path / "digits")
    write(tmp_path / "heading", "human_sounds/a.wav")
    with pytest.raises(InputError, match=r'"human sounds" is a heading of .*; sort its sounds'):
        make(tmp_path / "heading")
    with pytest.raises(FileNotFoundError, match="no such folder; name the one"):
        make(tmp_path / "nowhere")
    write(tmp_path / "flat", "a.wav")
    with pytest.raises(InputError, match="in a folder that is called like a class; make one per"):
        make(tmp_path / "flat")
    with pytest.raises(FileNotFoundError, match=r"gone\.csv: no such file; name a CSV"):
        make(tmp_path / "flat", labels=tmp_path / "gone.csv")
    (tmp_path / "ids.csv").write_text("path,label\na.wav,/m/nobody\n")
    with pytest.raises(InputError, match="'/m/nobody' is no id of AudioSet's, nor of the classes"):
        make(tmp_path / "flat", labels=tmp_path / "ids.csv")
    (tmp_path / "odd.csv").write_text("sound,label\na.wav,dog\n")
    with pytest.raises(InputError, match=r"odd\.csv has no column path, filename, file; name one"):
        make(tmp_path / "flat", labels=tmp_path / "odd.csv")
