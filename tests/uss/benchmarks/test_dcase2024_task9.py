import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from uss.benchmarks import BENCHMARKS
from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.mixtures import load_mixture

WriteTone = Callable[..., Path]
WriteTable = Callable[[Path, Sequence[Mapping[str, object]]], Path]

DCASE = BENCHMARKS["dcase2024-task9"]
OPTIONS = replace(DCASE.defaults, sample_rate=2_000)
ROW = {"source": "1001", "noise": "1002", "snr": -15, "query": "A dog barks, twice."}


@pytest.fixture
def folder(tmp_path: Path, write_tone: WriteTone, write_table: WriteTable) -> Path:
    write_tone(tmp_path / "lass_validation/1001.wav", 0.4, seconds=10.0)
    write_tone(tmp_path / "lass_validation/1002.wav", 0.2, seconds=10.0, frequency_hz=170.0)
    write_table(tmp_path / "lass_synthetic_validation.csv", [ROW, ROW | {"snr": 15}])
    return tmp_path


def make(folder: Path) -> list[ListRow]:
    return DCASE.make_rows(folder, OPTIONS, list)


def test_the_noise_is_mixed_at_the_lists_ratio(folder: Path) -> None:
    rows = make(folder)
    assert rows[0].target == ("lass_validation/1001.wav",)
    assert rows[0].interferer == ("lass_validation/1002.wav",)
    assert rows[0].caption == "A dog barks, twice."
    for row, snr_db in zip(rows, (-15.0, 15.0), strict=True):
        mixture = load_mixture(row, folder)
        ratio = np.square(mixture.target).sum() / np.square(mixture.interferer).sum()
        assert 10.0 * math.log10(ratio) == pytest.approx(snr_db, abs=1e-3)
    assert np.abs(load_mixture(rows[0], folder).mixture).max() == pytest.approx(0.9, abs=1e-3)
    assert rows[1].target_gain_db == 0.0


def test_the_challenge_runs_at_16_khz() -> None:
    assert DCASE.defaults.sample_rate == 16_000


def test_a_broken_row_is_named(folder: Path, write_table: WriteTable) -> None:
    path = write_table(folder / "lass_synthetic_validation.csv", [ROW, ROW | {"snr": "loud"}])
    with pytest.raises(
        ValueError, match=rf"{path.name}, row 3: '1001,1002,loud,.* is not a source"
    ):
        make(folder)
    write_table(folder / "lass_synthetic_validation.csv", [ROW | {"snr": "nan"}])
    with pytest.raises(ValueError, match=r"row 2: '1001,1002,nan,.* is not a source"):
        make(folder)
    write_table(folder / "lass_synthetic_validation.csv", [ROW | {"noise": "9"}])
    with pytest.raises(ValueError, match=r"row 2: .*9\.wav: no such file"):
        make(folder)


def test_a_folder_without_the_data_set_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no lass_synthetic_validation\.csv; name the"):
        make(tmp_path)
