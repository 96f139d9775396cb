from pathlib import Path

import numpy as np
import pytest
import soundfile

from uss.evaluation.excerpts import find_audio, load_excerpt

RATE = 100


def save(path: Path, waveform: list[float], rate: int = RATE) -> None:
    soundfile.write(path, waveform, rate, subtype="FLOAT")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    save(tmp_path / "a.wav", [0.1, 0.2, 0.3, 0.4])
    return tmp_path


@pytest.mark.parametrize(
    ("fill", "expected"),
    [("zeros", [0.3, 0.4, 0.0, 0.0, 0.0]), ("repeat", [0.3, 0.4, 0.3, 0.4, 0.3])],
)
def test_what_is_too_short_is_filled(files: Path, fill: str, expected: list[float]) -> None:
    recording = load_excerpt("a.wav", files, start_seconds=0.02, seconds=0.05, fill=fill)  # type: ignore[arg-type]
    np.testing.assert_allclose(recording.waveform, [expected])


def test_a_long_file_is_read_as_far_as_it_is_needed(tmp_path: Path) -> None:
    """What comes later does not matter, be it broken; resampling hears a second of it."""
    rng = np.random.default_rng(0)
    whole = 0.1 * rng.standard_normal(40 * 1_000)
    broken = whole.copy()
    broken[20_000:] = np.nan
    for name, waveform in (("whole.wav", whole), ("broken.wav", broken)):
        save(tmp_path / name, waveform.tolist(), rate=1_000)
    for sample_rate in (None, 800):
        first, second = (
            load_excerpt(name, tmp_path, start_seconds=3.0, seconds=2.0, sample_rate=sample_rate)
            for name in ("whole.wav", "broken.wav")
        )
        np.testing.assert_allclose(first.waveform, second.waveform, atol=1e-6)
    np.testing.assert_allclose(
        load_excerpt("whole.wav", tmp_path, start_seconds=3.0, seconds=2.0).waveform[0],
        whole[3_000:5_000],
        atol=1e-6,
    )


def test_tracks_of_a_film_follow_a_hash_unless_a_file_is_called_so(tmp_path: Path) -> None:
    for name in ("film.mp4", "take#2.wav"):
        (tmp_path / name).touch()
    assert find_audio("film.mp4#5", tmp_path) == (tmp_path / "film.mp4", 5)
    assert find_audio("film.mp4", tmp_path) == (tmp_path / "film.mp4", 1)
    assert find_audio("take#2.wav", tmp_path) == (tmp_path / "take#2.wav", 1)
    for missing in ("film.mp4#0", "other.mp4#1", "film.mp4#", "take"):
        with pytest.raises(FileNotFoundError, match="no such file"):
            find_audio(missing, tmp_path)


def test_an_excerpt_behind_the_end_is_refused(files: Path) -> None:
    with pytest.raises(ValueError, match=r"a.wav has 0.04 s; an excerpt cannot start at 0.04 s"):
        load_excerpt("a.wav", files, start_seconds=0.04, seconds=1.0)
