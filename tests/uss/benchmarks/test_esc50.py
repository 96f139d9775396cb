from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from uss.benchmarks import BENCHMARKS, PrepareOptions
from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.mixtures import load_mixture

WriteTone = Callable[..., Path]
WriteTable = Callable[[Path, Sequence[Mapping[str, object]]], Path]

ESC50 = BENCHMARKS["esc50"]
OPTIONS = replace(ESC50.defaults, sample_rate=2_000)
CLASSES = {"dog": 0, "rooster": 1, "can_opening": 34}


@pytest.fixture
def folder(tmp_path: Path, write_tone: WriteTone, write_table: WriteTable) -> Path:
    """Three classes in two folds, two clips each, as ESC-50's archive holds them."""
    root = tmp_path / "ESC-50-master"
    rows = []
    for category, target in CLASSES.items():
        for fold in (1, 2):
            for take in "AB":
                name = f"{fold}-{1000 + target}-{take}-{target}.wav"
                write_tone(root / "audio" / name, 0.1 * fold, frequency_hz=100.0 + target)
                rows.append(
                    {
                        "filename": name,
                        "fold": fold,
                        "target": target,
                        "category": category,
                        "esc10": category != "can_opening",
                        "src_file": 1000 + target,
                        "take": take,
                    }
                )
    write_table(root / "meta/esc50.csv", list(reversed(rows)))
    return tmp_path


def make(folder: Path, options: PrepareOptions = OPTIONS) -> list[ListRow]:
    return ESC50.make_rows(folder, options, list)


def test_every_clip_is_a_target_once(folder: Path) -> None:
    rows = make(folder)
    assert len({row.target for row in rows}) == len(rows) == 12
    assert Counter(row.class_name for row in rows) == dict.fromkeys(CLASSES, 4)
    assert all(row.class_name != row.interferer_class for row in rows)
    (row,) = (row for row in rows if row.target == ("ESC-50-master/audio/1-1000-A-0.wav",))
    assert (row.mids, row.seconds, row.fill, row.sample_rate, row.seed) == (
        ("/m/0bt9lr",),
        5.0,
        "zeros",
        2_000,
        0,
    )
    mixture = load_mixture(row, folder)
    assert mixture.mixture.shape == (1, 10_000)


def test_queries_are_of_the_class_and_another_fold(folder: Path) -> None:
    for row in make(folder):
        (name,) = row.target
        fold, target = Path(name).name[0], Path(name).stem.rsplit("-")[-1]
        assert len(row.query) == 2
        for query in row.query:
            assert Path(query).name[0] != fold
            assert Path(query).stem.rsplit("-")[-1] == target
    assert not any(row.query for row in make(folder, replace(OPTIONS, queries_per_class=0)))


def test_the_archives_content_can_be_named_as_well(folder: Path) -> None:
    inside = make(folder / "ESC-50-master")
    assert [f"ESC-50-master/{row.target[0]}" for row in inside] == [
        row.target[0] for row in make(folder)
    ]


def test_the_seed_decides_the_pairs(folder: Path) -> None:
    assert make(folder) == make(folder)
    other = make(folder, replace(OPTIONS, seed=1))
    assert [row.interferer for row in other] != [row.interferer for row in make(folder)]
    assert {row.seed for row in other} == {1}


def test_there_can_be_fewer_per_class(folder: Path) -> None:
    rows = make(folder, replace(OPTIONS, per_class=1))
    assert [row.class_name for row in rows] == sorted(CLASSES)


def test_a_missing_clip_is_named(folder: Path) -> None:
    (folder / "ESC-50-master/audio/1-1000-A-0.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"1-1000-A-0\.wav: no such file"):
        make(folder)


def test_a_folder_without_the_data_set_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no meta/esc50\.csv; name the folder"):
        make(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        make(tmp_path / "gone")


def test_audioseps_pairs_are_taken_as_they_are(folder: Path, write_table: WriteTable) -> None:
    pairs = write_table(
        folder / "pairs.csv",
        [
            {
                "idx": 0,
                "caption": "can opening",
                "src_wav": "1-1034-A-34.wav",
                "noise_wav": "2-1000-B-0.wav",
            }
        ],
    )
    (row,) = make(folder, replace(OPTIONS, pairs=pairs))
    assert row.target == ("ESC-50-master/audio/1-1034-A-34.wav",)
    assert row.interferer == ("ESC-50-master/audio/2-1000-B-0.wav",)
    assert (row.class_name, row.mids) == ("can_opening", ())
    assert (row.interferer_class, row.interferer_mids) == ("dog", ("/m/0bt9lr",))
    # The noise is twice as loud as the target.
    assert (row.target_gain_db, row.interferer_gain_db) == (0.0, pytest.approx(-6.0206, abs=0.02))
    assert len(row.query) == 2


CLAPSEP_ROW = {
    "source_file": "1-1000-A-0.wav",
    "positive_caption": "the sound of dog",
    "noise_file": "2-1001-A-1.wav",
    "negative_caption": "the sound of rooster",
}


def test_clapseps_pairs_and_samples_are_taken_as_they_are(
    folder: Path, write_table: WriteTable
) -> None:
    pairs = write_table(folder / "pairs.csv", [CLAPSEP_ROW])
    samples = write_table(
        folder / "samples.csv",
        [{"class": "the sound of dog", "file": "['1-1000-B-0.wav', '2-1000-B-0.wav']"}],
    )
    (row,) = make(folder, replace(OPTIONS, pairs=pairs, query_samples=samples))
    assert row.query == (
        "ESC-50-master/audio/1-1000-B-0.wav",
        "ESC-50-master/audio/2-1000-B-0.wav",
    )
    assert row.interferer_gain_db == pytest.approx(-6.0206, abs=0.02)
    assert row.seed is None
    # With pairs of our own a sample can be the target itself.
    for row in make(folder, replace(OPTIONS, query_samples=samples)):
        assert not set(row.query) & set(row.files)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"noise_file": "9-9-A-9.wav"}, "esc50 has no file '9-9-A-9.wav'"),
        ({"positive_caption": "the sound of cat"}, "it calls 1-1000-A-0.wav 'the sound of cat'"),
        ({"positive_caption": "the sound of music"}, "means no class of esc50"),
    ],
)
def test_a_wrong_pair_is_named_by_its_row(
    folder: Path, write_table: WriteTable, change: dict[str, str], problem: str
) -> None:
    pairs = write_table(folder / "pairs.csv", [CLAPSEP_ROW, CLAPSEP_ROW | change])
    with pytest.raises(ValueError, match=rf"pairs\.csv, row 3: .*{problem}"):
        make(folder, replace(OPTIONS, pairs=pairs))


def test_a_pair_whose_audio_is_missing_is_named_by_its_row(
    folder: Path, write_table: WriteTable
) -> None:
    (folder / "ESC-50-master/audio/2-1001-A-1.wav").unlink()
    pairs = write_table(folder / "pairs.csv", [CLAPSEP_ROW])
    with pytest.raises(ValueError, match=r"pairs\.csv, row 2: .*2-1001-A-1\.wav: no such file"):
        make(folder, replace(OPTIONS, pairs=pairs))


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"class": "the sound of dog", "file": "a.wav"}, "row 2: 'a.wav' is no list of files"),
        ({"class": "the sound of dog", "file": "['a.wav']"}, "has no file 'a.wav'"),
        ({"class": "dog"}, "lacks the column file"),
    ],
)
def test_broken_samples_are_refused(
    folder: Path, write_table: WriteTable, table: dict[str, str], problem: str
) -> None:
    pairs = write_table(folder / "pairs.csv", [CLAPSEP_ROW])
    samples = write_table(folder / "samples.csv", [table])
    with pytest.raises(ValueError, match=problem):
        make(folder, replace(OPTIONS, pairs=pairs, query_samples=samples))


def test_a_list_of_other_columns_or_none_is_refused(folder: Path, write_table: WriteTable) -> None:
    other = write_table(folder / "other.csv", [{"target": "a.wav"}])
    with pytest.raises(ValueError, match="lacks the column caption"):
        make(folder, replace(OPTIONS, pairs=other))
    with pytest.raises(FileNotFoundError, match="no such list of pairs"):
        make(folder, replace(OPTIONS, pairs=folder / "gone.csv"))
