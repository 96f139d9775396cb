from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ontology import load_ontology
from uss.benchmarks import BENCHMARKS
from uss.benchmarks.class_names import class_mids
from uss.core.errors import InputError
from uss.evaluation.lists.mixture_list import ListRow, read_list, write_list
from uss.evaluation.lists.mixtures import load_mixture
from uss.separation.presets import load_preset

WriteTone = Callable[..., Path]

DNR = BENCHMARKS["dnr"]
STEMS = ("speech", "music", "sfx")


def make(folder: Path, split: str | None = "test") -> list[ListRow]:
    return DNR.make_rows(folder, replace(DNR.defaults, split=split), list)


def write_item(folder: Path, write_tone: WriteTone, mixture: str = "mix.wav") -> None:
    write_tone(folder / mixture, 0.6)
    for number, name in enumerate(STEMS, start=1):
        write_tone(folder / f"{name}.wav", 0.1 * number)


@pytest.fixture
def folder(tmp_path: Path, write_tone: WriteTone) -> Path:
    """Version 2 with two mixtures for the test, and one each for validation and training."""
    for item in ("tt/1002", "tt/29", "cv/5", "tr/7"):
        write_item(tmp_path / item, write_tone)
        (tmp_path / item / "annots.csv").write_text("file,class\n")
    (tmp_path / "tt" / ".cache").mkdir()
    return tmp_path


def test_each_stem_is_separated_from_its_mixture(folder: Path) -> None:
    rows = make(folder)
    assert [(row.mixture, row.target, row.class_name) for row in rows] == [
        (f"tt/{item}/mix.wav", (f"tt/{item}/{stem}.wav",), stem)
        for item in (29, 1002)
        for stem in STEMS
    ]
    # Rate and channels stay, and whole mixtures are measured.
    assert {(row.sample_rate, row.seconds, row.group) for row in rows} == {(None, None, "")}
    write_list(folder / "list.csv", rows)
    assert read_list(folder / "list.csv") == rows
    mixture = load_mixture(rows[2], folder)
    assert np.abs(mixture.target).max() == pytest.approx(0.3, abs=0.01)
    assert np.abs(mixture.interferer).max() == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize(
    ("split", "name"), [("test", "tt"), ("validation", "cv"), ("train", "tr"), (None, "tt")]
)
def test_splits_have_the_folders_of_version_2(folder: Path, split: str | None, name: str) -> None:
    assert {row.mixture.split("/")[0] for row in make(folder, split)} == {name}


def test_the_archive_s_own_folder_need_not_be_named(tmp_path: Path, write_tone: WriteTone) -> None:
    write_item(tmp_path / "dnr_v2" / "tt" / "3", write_tone)
    assert make(tmp_path)[0].mixture == "dnr_v2/tt/3/mix.wav"
    assert make(tmp_path / "dnr_v2")[0].mixture == "tt/3/mix.wav"


@pytest.mark.parametrize(
    ("split", "name"), [("test", "test"), ("validation", "val"), ("train", "train")]
)
def test_version_3_has_other_names(
    split: str, name: str, tmp_path: Path, write_tone: WriteTone
) -> None:
    write_item(tmp_path / name / "000012", write_tone, "mixture.wav")
    rows = make(tmp_path, split)
    assert [row.mixture for row in rows] == [f"{name}/000012/mixture.wav"] * 3


def test_classes_are_the_stems_of_the_film_preset() -> None:
    """Lists join nodes, and cannot take bells from music; the preset can."""
    ontology = load_ontology()
    film = {query.name: set(query.class_indexes) for query in load_preset("film", ontology).stems}
    bells = set(ontology.class_indexes(ontology.find("Bell")))
    mids = class_mids("dnr")
    assert tuple(mids) == STEMS
    classes = {
        name: {index for mid in mids[name] for index in ontology.class_indexes(mid)}
        for name in STEMS
    }
    assert classes == {
        "speech": film["dialogue"],
        "music": film["music"] | bells,
        "sfx": film["effects"],
    }


def test_another_number_of_mixtures_is_noted(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(folder)
    assert "2 mixtures; version 2 has 973 in tt" in caplog.messages


def test_a_mixture_without_a_stem_is_named(folder: Path) -> None:
    (folder / "tt" / "29" / "sfx.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"29/sfx\.wav: no such file"):
        make(folder)


def test_a_folder_without_mixtures_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no folder tt or test; name the folder"):
        make(tmp_path)
    (tmp_path / "tt").mkdir()
    with pytest.raises(FileNotFoundError, match=r"tt holds no mixtures; name the folder"):
        make(tmp_path)


def test_a_split_that_there_is_not(folder: Path) -> None:
    with pytest.raises(InputError, match="unknown split 'tt'; choose one of train, validation"):
        make(folder, "tt")
