from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from uss.benchmarks import BENCHMARKS, PrepareOptions
from uss.core.errors import InputError
from uss.evaluation.lists.mixture_list import ListRow

WriteTone = Callable[..., Path]
WriteTable = Callable[[Path, Sequence[Mapping[str, object]]], Path]

FSD50K = BENCHMARKS["fsd50k"]
OPTIONS = replace(FSD50K.defaults, sample_rate=2_000, per_class=4)
MIDS = {
    "Bark": "/m/05tny_",
    "Dog": "/m/0bt9lr",
    "Meow": "/m/07qrkrw",
    "Cat": "/m/01yrx",
    "Animal": "/m/0jbk",
    "Rain": "/m/06mb1",
}
CLIPS = {
    "37199": "Bark,Dog,Animal",
    "175151": "Meow,Cat,Animal",
    "253463": "Rain",
    "329838": "Animal",
    "1277": "Rain,Bark,Dog,Animal",
}


def rows_of(clips: Mapping[str, str], **more: str) -> list[dict[str, object]]:
    return [
        {
            "fname": name,
            "labels": labels,
            "mids": ",".join(MIDS[label] for label in labels.split(",")),
            **more,
        }
        for name, labels in clips.items()
    ]


@pytest.fixture
def folder(tmp_path: Path, write_tone: WriteTone, write_table: WriteTable) -> Path:
    truth = tmp_path / "FSD50K.ground_truth"
    write_table(truth / "eval.csv", rows_of(CLIPS))
    write_table(truth / "dev.csv", rows_of({"64760": "Bark,Dog,Animal"}, split="train"))
    (truth / "vocabulary.csv").write_text(
        "".join(f"{index},{label},{mid}\n" for index, (label, mid) in enumerate(MIDS.items()))
    )
    for name in CLIPS:
        write_tone(tmp_path / f"FSD50K.eval_audio/{name}.wav")
    return tmp_path


def make(folder: Path, options: PrepareOptions = OPTIONS) -> list[ListRow]:
    return FSD50K.make_rows(folder, options, list)


def stem(files: tuple[str, ...]) -> str:
    return Path(files[0]).stem


def test_a_clips_class_is_its_first_label(folder: Path) -> None:
    rows = make(folder)
    classes = ("Animal", "Bark", "Meow", "Rain")
    assert Counter(row.class_name for row in rows) == dict.fromkeys(classes, 4)
    assert {row.mids for row in rows if row.class_name == "Bark"} == {("/m/05tny_",)}
    assert {(row.seconds, row.fill) for row in rows} == {(2.0, "repeat")}
    assert rows[0].target == ("FSD50K.eval_audio/329838.wav",)


def test_clips_that_share_a_label_are_not_mixed(folder: Path) -> None:
    rows = make(folder, replace(OPTIONS, per_class=40))
    pairs = {(stem(row.target), stem(row.interferer)) for row in rows}
    # Barking in the rain has a bark; an animal may be a dog or a cat.
    for first, second in (("37199", "1277"), ("253463", "1277")):
        assert (first, second) not in pairs
        assert (second, first) not in pairs
    (rain,) = {first for first, second in pairs if second == "329838"}
    assert rain == "253463"


def test_dog_and_cat_are_mixed_although_both_are_animals(folder: Path) -> None:
    rows = make(folder, replace(OPTIONS, per_class=40))
    assert ("37199", "175151") in {(stem(row.target), stem(row.interferer)) for row in rows}


def test_queries_are_of_the_development_split(folder: Path) -> None:
    queries = {row.class_name: row.query for row in make(folder)}
    assert queries["Bark"] == ("FSD50K.dev_audio/64760.wav",)
    assert queries["Rain"] == ()


@pytest.mark.parametrize("name", ["eval.csv", "dev.csv", "vocabulary.csv"])
def test_missing_ground_truth_is_named(folder: Path, name: str) -> None:
    (folder / "FSD50K.ground_truth" / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"holds no FSD50K.ground_truth/{name}; name the"):
        make(folder)


def test_a_label_outside_the_vocabulary_is_named(folder: Path) -> None:
    path = folder / "FSD50K.ground_truth/eval.csv"
    path.write_text(path.read_text().replace("Meow", "Miaow"))
    with pytest.raises(ValueError, match=r"eval\.csv, row 3: label 'Miaow'"):
        make(folder)


def test_a_vocabulary_of_other_columns_is_refused(folder: Path) -> None:
    (folder / "FSD50K.ground_truth/vocabulary.csv").write_text("Bark,/m/05tny_\n")
    with pytest.raises(ValueError, match="does not have three columns"):
        make(folder)


def test_a_vocabulary_that_is_no_text_is_refused(folder: Path) -> None:
    path = folder / "FSD50K.ground_truth/vocabulary.csv"
    path.write_bytes(path.read_bytes() + b"6,Caf\xe9,/m/020fb2\n")
    with pytest.raises(InputError, match=r"vocabulary\.csv is not a CSV file .*; unpack it"):
        make(folder)
