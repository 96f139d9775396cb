import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from uss.benchmarks.gains import ExcerptGains, in_db, loudness_of, matching_gain
from uss.benchmarks.mixed_rows import Excerpt, Source, mixed_row
from uss.evaluation.lists.mixtures import load_mixture

WriteTone = Callable[..., Path]
EXCERPT = Excerpt(0.4, "repeat", 2_000)


def sources(*files: str) -> list[Source]:
    return [Source(file, file) for file in files]


def test_loudness_is_energy_and_peak_over_all_channels() -> None:
    waveform = np.array([[0.5, -0.5], [0.0, -1.0]], np.float32)
    assert loudness_of(waveform) == (1.5, 1.0)


@pytest.mark.parametrize(
    ("target", "interferer", "gain"), [(4.0, 1.0, 2.0), (1e6, 1.0, 50.0), (1.0, 1e6, 0.02)]
)
def test_the_gain_matches_energies_within_bounds(
    target: float, interferer: float, gain: float
) -> None:
    assert matching_gain(target, interferer) == gain


def test_a_gain_of_one_is_zero_db_without_a_sign() -> None:
    assert str(in_db(1.0)) == "0.0"
    assert in_db(10.0) == 20.0


def test_matched_sources_have_equal_energy_where_the_list_is_loaded(
    tmp_path: Path, write_tone: WriteTone
) -> None:
    # Shorter than the excerpt, of another rate, and not a whole number of periods.
    write_tone(tmp_path / "a.wav", 0.4, seconds=0.33, sample_rate=4_000)
    write_tone(tmp_path / "b.wav", 0.1, seconds=0.6, frequency_hz=170.0)
    target, interferer = sources("a.wav", "b.wav")
    mixing = ExcerptGains(tmp_path, EXCERPT)
    row = mixed_row(target, interferer, EXCERPT, mixing.matched(target, interferer))
    mixture = load_mixture(row, tmp_path)
    energies = [float(np.square(w).sum()) for w in (mixture.target, mixture.interferer)]
    assert energies[0] == pytest.approx(energies[1], rel=1e-4)
    assert row.target_gain_db == 0.0


@pytest.mark.parametrize("snr_db", [-15.0, 0.0, 6.0])
def test_a_mixture_beyond_full_scale_is_brought_to_nine_tenths(
    tmp_path: Path, write_tone: WriteTone, snr_db: float
) -> None:
    write_tone(tmp_path / "a.wav", 0.9)
    write_tone(tmp_path / "b.wav", 0.3, frequency_hz=170.0)
    target, interferer = sources("a.wav", "b.wav")
    gains = ExcerptGains(tmp_path, EXCERPT).limited(target, interferer, snr_db)
    mixture = load_mixture(mixed_row(target, interferer, EXCERPT, gains), tmp_path)
    assert np.abs(mixture.mixture).max() == pytest.approx(0.9, abs=1e-4)
    ratio = np.square(mixture.target).sum() / np.square(mixture.interferer).sum()
    assert 10.0 * math.log10(ratio) == pytest.approx(snr_db, abs=1e-3)


def test_a_mixture_within_full_scale_keeps_its_target(
    tmp_path: Path, write_tone: WriteTone
) -> None:
    write_tone(tmp_path / "a.wav", 0.2)
    write_tone(tmp_path / "b.wav", 0.1)
    gains = ExcerptGains(tmp_path, EXCERPT).limited(*sources("a.wav", "b.wav"))
    assert gains == (0.0, pytest.approx(20.0 * math.log10(2.0), abs=1e-3))


def test_what_stays_below_minus_80_db_is_silent(tmp_path: Path, write_tone: WriteTone) -> None:
    write_tone(tmp_path / "loud.wav", 0.5)
    write_tone(tmp_path / "soft.wav", 0.9e-4)
    loud, soft = sources("loud.wav", "soft.wav")
    mixing = ExcerptGains(tmp_path, EXCERPT)
    assert mixing.sounds(loud)
    assert not mixing.sounds(soft)
    with pytest.raises(ValueError, match=r"soft\.wav is silent from 0 s on"):
        mixing.matched(loud, soft)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.wav: no such file"):
        ExcerptGains(tmp_path, EXCERPT).sounds(*sources("gone.wav"))
