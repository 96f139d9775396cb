"""What films say of their pictures."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from uss.audio.pictures_of_films import film_facts

NTSC = Fraction(30_000, 1001)


def write_pictures(
    path: Path, rate: Fraction, timecode: str | None = None, num_frames: int = 30
) -> Path:
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=rate)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        if timecode is not None:
            pictures.metadata["timecode"] = timecode
        for number in range(num_frames):
            picture = av.VideoFrame.from_ndarray(np.full((48, 32), 128, np.uint8), "yuv420p")
            picture.pts, picture.time_base = number, 1 / rate
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
    return path


@pytest.mark.parametrize("suffix", ["mov", "mp4", "mkv", "avi"])
@pytest.mark.parametrize(
    "rate", [Fraction(24_000, 1001), Fraction(24), Fraction(25), NTSC, Fraction(60_000, 1001)]
)
def test_the_rate_is_the_one_that_is_meant(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    facts = film_facts(write_pictures(tmp_path / f"film.{suffix}", rate))
    assert facts is not None
    assert facts.frame_rate == rate
    assert facts.duration_seconds == pytest.approx(30 / float(rate), abs=0.002)
    assert facts.timecode is None


def test_an_unusual_rate_stays_as_it_is(tmp_path: Path) -> None:
    facts = film_facts(write_pictures(tmp_path / "film.mov", Fraction(18)))
    assert facts is not None
    assert facts.frame_rate == 18


@pytest.mark.parametrize("timecode", ["01:00:00;02", "10:59:58:00"])
@pytest.mark.parametrize("suffix", ["mov", "mp4"])
def test_the_timecode_of_the_first_frame(tmp_path: Path, suffix: str, timecode: str) -> None:
    facts = film_facts(write_pictures(tmp_path / f"film.{suffix}", NTSC, timecode))
    assert facts is not None
    assert facts.timecode == timecode


def test_sound_has_no_pictures(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "tape.wav", np.zeros(100), 8_000)
    assert film_facts(tmp_path / "tape.wav") is None
    (tmp_path / "words.mov").write_text("no film")
    assert film_facts(tmp_path / "words.mov") is None
