from pathlib import Path

import numpy as np
import pytest
import soundfile

from uss.audio.probing import problem_of

RATE = 8_000


def write(path: Path, seconds: float, *, sound_at: float | None = 0.0) -> Path:
    """A file that is silent but for one sample."""
    waveform = np.zeros(round(seconds * RATE), np.float32)
    if sound_at is not None:
        waveform[round(sound_at * RATE)] = 0.5
    soundfile.write(path, waveform, RATE)
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac", "aiff"])
@pytest.mark.parametrize("sound_at", [0.0, 0.999])
def test_one_sample_that_is_not_0_is_a_sound(tmp_path: Path, suffix: str, sound_at: float) -> None:
    assert problem_of(write(tmp_path / f"a.{suffix}", 1.0, sound_at=sound_at), 0.3) is None


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_file_without_any_is_silent(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", 1.0, sound_at=None)
    assert problem_of(path, 0.3) == ("silent", "1.000 s")


def test_what_is_too_short_is_so_whether_it_sounds_or_not(tmp_path: Path) -> None:
    assert problem_of(write(tmp_path / "a.wav", 0.299), 0.3) == ("short", "0.299 s")
    assert problem_of(write(tmp_path / "b.wav", 0.1, sound_at=None), 0.3) == ("short", "0.100 s")
    assert problem_of(write(tmp_path / "c.wav", 0.3), 0.3) is None


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.flac").write_text("no audio at all, " * 50)
    (tmp_path / "headerless.raw").write_bytes(b"\1\2" * 500)
    for name, reason in (("empty.wav", "empty file"), ("text.flac", "no audio samples")):
        found = problem_of(tmp_path / name, 0.3)
        assert found is not None
        assert found[0] == "unreadable"
        assert reason in found[1]
        assert "\n" not in found[1]
    found = problem_of(tmp_path / "headerless.raw", 0.3)
    assert found is not None and found[0] == "unreadable"
    found = problem_of(tmp_path / "gone.wav", 0.3)
    assert found is not None and found[0] == "missing"
    found = problem_of(tmp_path, 0.3)
    assert found is not None and found[0] == "unreadable"
