from pathlib import Path

import numpy as np
import pytest
import soundfile

from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.mixtures import load_mixture

RATE = 100


def save(path: Path, *channels: list[float], rate: int = RATE) -> str:
    soundfile.write(path, np.array(channels).T, rate, subtype="FLOAT")
    return path.name


@pytest.fixture
def files(tmp_path: Path) -> Path:
    save(tmp_path / "a.wav", [0.1, 0.2, 0.3, 0.4])
    save(tmp_path / "b.wav", [0.0, 0.1, 0.0, -0.1])
    save(tmp_path / "mixture.wav", [0.1, 0.3, 0.3, 0.3])
    return tmp_path


def test_a_mixture_file_and_its_target(files: Path) -> None:
    loaded = load_mixture(ListRow(mixture="mixture.wav", target=("a.wav",)), files)
    np.testing.assert_allclose(loaded.mixture, [[0.1, 0.3, 0.3, 0.3]])
    np.testing.assert_allclose(loaded.target, [[0.1, 0.2, 0.3, 0.4]])
    np.testing.assert_allclose(loaded.interferer, [[0.0, 0.1, 0.0, -0.1]], atol=1e-7)
    assert loaded.sample_rate == RATE


def test_an_interferer_of_its_own_is_not_the_difference(files: Path) -> None:
    row = ListRow(mixture="mixture.wav", target=("a.wav",), interferer=("a.wav",))
    np.testing.assert_allclose(load_mixture(row, files).interferer, [[0.1, 0.2, 0.3, 0.4]])


def test_sources_are_mixed_with_their_gains(files: Path) -> None:
    row = ListRow(
        target=("a.wav",),
        interferer=("b.wav",),
        target_gain_db=20.0 * np.log10(2.0),
        interferer_gain_db=-20.0,
    )
    loaded = load_mixture(row, files)
    np.testing.assert_allclose(loaded.target, [[0.2, 0.4, 0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(loaded.interferer, [[0.0, 0.01, 0.0, -0.01]], rtol=1e-6)
    np.testing.assert_array_equal(loaded.mixture, loaded.target + loaded.interferer)
    assert loaded.mixture.dtype == np.float32


def test_several_files_are_summed(files: Path) -> None:
    row = ListRow(target=("a.wav",), interferer=("b.wav", "b.wav", "a.wav"))
    np.testing.assert_allclose(
        load_mixture(row, files).interferer, [[0.1, 0.4, 0.3, 0.2]], atol=1e-7
    )


def test_excerpts_start_where_the_row_says(files: Path) -> None:
    row = ListRow(
        target=("a.wav",),
        interferer=("b.wav",),
        target_start_seconds=0.01,
        interferer_start_seconds=0.02,
        seconds=0.02,
    )
    loaded = load_mixture(row, files)
    np.testing.assert_allclose(loaded.target, [[0.2, 0.3]])
    np.testing.assert_allclose(loaded.interferer, [[0.0, -0.1]])


def test_a_sample_rate_makes_all_files_alike(tmp_path: Path) -> None:
    """A constant stays one at any rate, and channels are averaged."""
    save(tmp_path / "stereo.wav", [0.2] * 4_000, [0.4] * 4_000, rate=4_000)
    save(tmp_path / "mono.wav", [0.1] * 8_000, rate=8_000)
    row = ListRow(target=("stereo.wav",), interferer=("mono.wav",), sample_rate=2_000)
    loaded = load_mixture(row, tmp_path)
    assert loaded.sample_rate == 2_000 and loaded.mixture.shape == (1, 2_000)
    np.testing.assert_allclose(loaded.target[0, 500:1_500], 0.3, atol=1e-3)
    np.testing.assert_allclose(loaded.interferer[0, 500:1_500], 0.1, atol=1e-3)


@pytest.mark.parametrize(
    ("channels", "rate", "message"),
    [
        ([[0.0] * 3], RATE, r"a.wav has 4 samples, other.wav 3; cut them alike"),
        ([[0.0] * 5], RATE, r"a.wav has 4 samples, other.wav 5"),
        ([[0.0] * 4], 200, r"a.wav has 100 Hz, other.wav 200 Hz; bring them to one rate"),
        ([[0.0] * 4, [0.0] * 4], RATE, r"a.wav has 1 channels, other.wav 2"),
    ],
)
@pytest.mark.parametrize("column", ["mixture", "interferer", "second target"])
def test_what_does_not_fit_is_refused(
    files: Path, channels: list[list[float]], rate: int, message: str, column: str
) -> None:
    save(files / "other.wav", *channels, rate=rate)
    rows = {
        "mixture": ListRow(mixture="other.wav", target=("a.wav",)),
        "interferer": ListRow(target=("a.wav",), interferer=("other.wav",)),
        "second target": ListRow(target=("a.wav", "other.wav"), interferer=("b.wav",)),
    }
    with pytest.raises(ValueError, match=message):
        load_mixture(rows[column], files)


def test_samples_that_are_not_finite_are_refused(files: Path) -> None:
    save(files / "broken.wav", [0.0, np.nan, 0.0, 0.0])
    with pytest.raises(ValueError, match=r"broken.wav holds samples that are NaN"):
        load_mixture(ListRow(target=("a.wav",), interferer=("broken.wav",)), files)
