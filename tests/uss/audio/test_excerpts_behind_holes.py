"""Excerpts of recordings whose samples cannot be counted by the time they are heard at."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.uss.audio.test_clocks import write_film
from tests.uss.audio.test_holes import HELD, RATE, shift_second_cluster, write_track
from uss.audio import AudioFile
from uss.audio.excerpting import Excerpt
from uss.audio.ffmpeg import FfmpegDecoder

Samples = NDArray[np.float32]


def whole(path: Path) -> Samples:
    return np.concatenate(list(AudioFile(path).blocks()), axis=1)


def assert_cut_from_the_whole(path: Path, start: float, end: float) -> None:
    file = AudioFile(path)
    first, last = (round(seconds * file.sample_rate) for seconds in (start, end))
    cut = np.concatenate(list(Excerpt(file, start, end).blocks()), axis=1)
    # Codecs with a memory are close to the whole after a quarter of a second, not equal.
    np.testing.assert_allclose(cut, whole(path)[:, first:last], rtol=0.0, atol=1e-3)


@pytest.mark.parametrize("start", [2.5, 4.8])
@pytest.mark.parametrize(("codec", "suffix"), HELD)
def test_a_hole_before_or_in_the_excerpt(
    tmp_path: Path, codec: str, suffix: str, start: float
) -> None:
    path = write_track(tmp_path / f"a.{suffix}", codec, hole=(2.0, 3.0))
    assert_cut_from_the_whole(path, start, 5.9)


@pytest.mark.parametrize("suffix", ["mka", "ts"])
def test_a_jump_before_the_excerpt(tmp_path: Path, suffix: str) -> None:
    path = write_track(tmp_path / f"a.{suffix}", "mp2", shifts=((2.0, 3_600.0),))
    assert_cut_from_the_whole(path, 4.0, 5.0)


@pytest.mark.parametrize("milliseconds", [-300, 20, 300, -4_000])
def test_a_slip_of_the_clock_in_the_excerpt(tmp_path: Path, milliseconds: int) -> None:
    """Matroska's second cluster begins at 5 s."""
    path = write_track(tmp_path / "a.mka", "pcm")
    shift_second_cluster(path, milliseconds)
    for span in ((4.5, 5.6), (5.1, 5.6)):
        assert_cut_from_the_whole(path, *span)


@pytest.mark.parametrize("suffix", ["flac", "wav", "ogg"])
def test_files_that_follow_each_other(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    content = b""
    for seconds in (2, 3):
        part = tmp_path / f"part.{suffix}"
        soundfile.write(part, 0.1 * rng.standard_normal(seconds * RATE), RATE)
        content += part.read_bytes()
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(content)
    assert whole(path).shape[1] == 5 * RATE
    for span in ((1.0, 1.5), (1.5, 2.5), (2.0, 3.0), (3.5, 4.9)):
        assert_cut_from_the_whole(path, *span)


def test_films_with_clocks_of_their_own(tmp_path: Path) -> None:
    first, second = (write_film(tmp_path / f"{n}.ts", 3, clock_seconds=n) for n in (0, 0.5))
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    assert_cut_from_the_whole(path, 4.0, 5.5)
    assert FfmpegDecoder(path, 1).blocks_from(4 * RATE) is None
