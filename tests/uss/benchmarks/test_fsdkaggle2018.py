from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from uss.benchmarks import BENCHMARKS, PrepareOptions
from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.mixtures import load_mixture

WriteTone = Callable[..., Path]
WriteTable = Callable[[Path, Sequence[Mapping[str, object]]], Path]

FSD = BENCHMARKS["fsdkaggle2018"]
OPTIONS = replace(FSD.defaults, sample_rate=2_000, per_class=5)
CLASSES = ("Bark", "Flute", "Oboe")


@pytest.fixture
def folder(tmp_path: Path, write_tone: WriteTone, write_table: WriteTable) -> Path:
    """Three classes with two test clips and three training clips each."""
    tests, trains = [], []
    for number, label in enumerate(CLASSES):
        for take in range(2):
            name = f"{number:07d}{take}.wav"
            write_tone(
                tmp_path / "FSDKaggle2018.audio_test" / name,
                seconds=0.3 + 2.0 * take,
                frequency_hz=100.0 + number,
            )
            tests.append(
                {
                    "fname": name,
                    "label": label,
                    "usage": "Public",
                    "freesound_id": number,
                    "license": "CC0",
                }
            )
        for take in range(3):
            trains.append(
                {
                    "fname": f"f{number:06d}{take}.wav",
                    "label": label,
                    "manually_verified": int(take < 2),
                    "freesound_id": number,
                    "license": "CC0",
                }
            )
    meta = tmp_path / "FSDKaggle2018.meta"
    write_table(meta / "test_post_competition_scoring_clips.csv", list(reversed(tests)))
    write_table(meta / "train_post_competition.csv", trains)
    return tmp_path


def make(folder: Path, options: PrepareOptions = OPTIONS) -> list[ListRow]:
    return FSD.make_rows(folder, options, list)


def test_each_class_is_the_target_so_often(folder: Path) -> None:
    rows = make(folder)
    assert Counter(row.class_name for row in rows) == dict.fromkeys(CLASSES, 5)
    assert all(row.class_name != row.interferer_class for row in rows)
    assert {(row.seconds, row.fill, row.sample_rate) for row in rows} == {(2.0, "repeat", 2_000)}
    assert {row.mids for row in rows if row.class_name == "Bark"} == {("/m/05tny_",)}


def test_the_protocol_has_a_hundred_mixtures_per_class() -> None:
    assert FSD.defaults.per_class == 100


def test_short_clips_are_repeated_and_long_ones_cut(folder: Path) -> None:
    for row in make(folder):
        mixture = load_mixture(row, folder)
        assert mixture.mixture.shape == (1, 4_000)
        # Nothing is padded: the last tenth of a second sounds too.
        assert np.abs(mixture.target[:, -200:]).max() > 0.4


def test_queries_are_checked_clips_of_the_training_split(folder: Path) -> None:
    for row in make(folder):
        number = CLASSES.index(row.class_name)
        assert row.query == tuple(
            f"FSDKaggle2018.audio_train/f{number:06d}{take}.wav" for take in (0, 1)
        )


def test_the_training_split_is_needed_for_queries_only(folder: Path) -> None:
    (folder / "FSDKaggle2018.meta/train_post_competition.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"train_post_competition\.csv; .*class 0"):
        make(folder)
    assert len(make(folder, replace(OPTIONS, queries_per_class=0))) == 15


def test_a_folder_without_the_data_set_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"scoring_clips\.csv; name the folder"):
        make(tmp_path)


def test_clapseps_samples_may_be_training_clips(folder: Path, write_table: WriteTable) -> None:
    pairs = write_table(
        folder / "pairs.csv",
        [
            {
                "source_file": "00000000.wav",
                "positive_caption": "The sound of bark",
                "noise_file": "00000011.wav",
                "negative_caption": "The sound of flute",
            }
        ],
    )
    samples = write_table(
        folder / "samples.csv",
        [{"class": "The sound of bark", "file": "['f0000000.wav', '00000001.wav']"}],
    )
    (folder / "FSDKaggle2018.meta/train_post_competition.csv").write_text(
        "fname,label\nf0000000.wav,Bark\n"
    )
    options = replace(OPTIONS, pairs=pairs, query_samples=samples)
    (row,) = make(folder, options)
    assert row.query == (
        "FSDKaggle2018.audio_train/f0000000.wav",
        "FSDKaggle2018.audio_test/00000001.wav",
    )
    assert (row.seconds, row.fill) == (10.0, "zeros")
    # Over 10 s the interferer, of 2.3 s, has the energy of the target, of 0.3 s.
    mixture = load_mixture(row, folder)
    energies = [np.square(w).sum() for w in (mixture.target, mixture.interferer)]
    assert energies[0] == pytest.approx(energies[1], rel=1e-3)
