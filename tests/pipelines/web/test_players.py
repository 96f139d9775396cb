"""What browsers play: plain WAV whose samples are those of the recording."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.web.players import HEADER_BYTES, write_player
from uss.audio import Recording


def player_samples(path: Path, num_channels: int) -> np.ndarray:
    """Read as the page's script does."""
    return np.frombuffer(path.read_bytes()[HEADER_BYTES:], "<i2").reshape(-1, num_channels) / 2**15


def test_samples_follow_the_header(tmp_path: Path, rng: np.random.Generator) -> None:
    waveform = rng.uniform(-0.9, 0.9, (2, 20_000)).astype(np.float32)
    player = write_player(Recording(waveform, 16_000), tmp_path / "a.wav")
    assert (player.sample_rate, player.num_channels, player.num_samples) == (16_000, 2, 20_000)
    assert player.duration_seconds == 1.25
    np.testing.assert_allclose(player_samples(player.path, 2).T, waveform, atol=0.6 / 2**15)
    read, rate = soundfile.read(player.path, dtype="float32")
    assert rate == 16_000
    np.testing.assert_allclose(read.T, waveform, atol=0.6 / 2**15)


def test_peaks_are_the_highest_magnitudes(tmp_path: Path) -> None:
    waveform = np.zeros((1, 48_000), np.float32)
    waveform[0, 12_000:24_000] = -0.5
    waveform[0, 47_999] = 3.0
    player = write_player(Recording(waveform, 48_000), tmp_path / "a.wav")
    peaks = np.array(player.peaks)
    assert len(peaks) == 480
    assert set(peaks[:119]) == {0} and set(peaks[121:239]) == {128}
    assert peaks[-1] == 255
    # Full scale is as loud as it gets.
    assert player_samples(player.path, 1)[-1, 0] == (2**15 - 1) / 2**15


@pytest.mark.parametrize(("rate", "played"), [(96_000, 48_000), (4_000, 8_000), (44_100, 44_100)])
def test_rates_are_those_that_browsers_play(tmp_path: Path, rate: int, played: int) -> None:
    waveform = np.sin(2 * np.pi * 440.0 * np.arange(rate) / rate).astype(np.float32)[None]
    player = write_player(Recording(waveform, rate), tmp_path / "a.wav")
    assert (player.sample_rate, player.num_samples) == (played, played)
    wanted = np.sin(2 * np.pi * 440.0 * np.arange(played) / played)
    middle = slice(played // 4, 3 * played // 4)
    given = player_samples(player.path, 1)[:, 0]
    np.testing.assert_allclose(given[middle], wanted[middle], atol=2e-2)


def test_six_channels_become_two(tmp_path: Path, rng: np.random.Generator) -> None:
    waveform = rng.uniform(-0.1, 0.1, (6, 8_000)).astype(np.float32)
    player = write_player(Recording(waveform, 8_000), tmp_path / "a.wav")
    assert (player.num_channels, player.num_samples) == (2, 8_000)


def test_one_sample(tmp_path: Path) -> None:
    player = write_player(Recording(np.full((1, 1), 0.5, np.float32), 8_000), tmp_path / "a.wav")
    assert (player.num_samples, player.peaks) == (1, (128,))


def test_whoever_objects_to_a_block_leaves_nothing(tmp_path: Path) -> None:
    def refuse(block: np.ndarray) -> None:
        raise ValueError(f"{block.shape[1]} samples are too many")

    with pytest.raises(ValueError, match="8000 samples are too many"):
        write_player(Recording(np.zeros((1, 8_000), np.float32), 8_000), tmp_path / "a.wav", refuse)
    assert list(tmp_path.iterdir()) == []
