"""Files that are read block by block, twice."""

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from uss.audio import AudioFile, AudioSource, read_audio
from uss.audio.ffmpeg import FfmpegDecoder

RATE = 16_000


def noise(num_channels: int, num_samples: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    return (0.1 * rng.standard_normal((num_channels, num_samples))).astype(np.float32)


def tone(frequency_hz: float, num_samples: int, sample_rate: int = RATE) -> NDArray[np.float32]:
    phase = 2.0 * np.pi * frequency_hz * np.arange(num_samples) / sample_rate
    return (0.5 * np.sin(phase)).astype(np.float32)


def write_aac(path: Path, waveform: NDArray[np.float32], sample_rate: int = RATE) -> Path:
    layout = "mono" if len(waveform) == 1 else "stereo"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=sample_rate, layout=layout)
        for start in range(0, waveform.shape[1], 1_024):
            piece = np.ascontiguousarray(waveform[:, start : start + 1_024])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = sample_rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write(path: Path, waveform: NDArray[np.float32]) -> Path:
    if path.suffix in (".mp4", ".mkv", ".aac"):
        return write_aac(path, waveform)
    soundfile.write(path, waveform.T, RATE)
    return path


def loudest_hz(waveform: NDArray[np.float32], sample_rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(spectrum.argmax() * sample_rate / len(waveform))


NAMES = ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff", "a.mp4", "a.mkv"]


@pytest.mark.parametrize("name", NAMES)
def test_two_passes_give_the_same_bits_in_blocks_of_a_second(tmp_path: Path, name: str) -> None:
    source: AudioSource = AudioFile(write(tmp_path / name, noise(2, 3 * RATE + 500)))
    assert (source.sample_rate, source.num_channels) == (RATE, 2)
    first, second = list(source.blocks()), list(source.blocks())
    assert {block.shape for block in first[:-1]} == {(2, RATE)}
    assert 0 < first[-1].shape[1] <= RATE
    assert all(block.dtype == np.float32 for block in first)
    for block, again in zip(first, second, strict=True):
        np.testing.assert_array_equal(block, again)
    whole = read_audio(tmp_path / name).waveform
    np.testing.assert_array_equal(np.concatenate(first, axis=1), whole)


@pytest.mark.parametrize("name", ["a.wav", "a.mp4"])
def test_passes_may_overlap(tmp_path: Path, name: str) -> None:
    source = AudioFile(write(tmp_path / name, noise(1, 3 * RATE)))
    for block, again in zip(source.blocks(), source.blocks(), strict=True):
        np.testing.assert_array_equal(block, again)


def peak_bytes(run: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp4", "a.mkv"])
def test_memory_does_not_grow_with_the_duration(tmp_path: Path, name: str) -> None:
    source = AudioFile(write(tmp_path / name, noise(2, 40 * RATE)))

    def go_through() -> None:
        for _ in source.blocks():
            pass

    whole_bytes = 40 * RATE * 2 * 4
    assert peak_bytes(go_through) < whole_bytes / 4


def open_files() -> set[str]:
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        pytest.skip("needs /proc")
    return {str(link.resolve()) for link in folder.iterdir()}


@pytest.mark.parametrize("name", ["a.wav", "a.mp4"])
def test_a_file_is_open_only_while_it_is_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, noise(2, 3 * RATE))
    source = AudioFile(path)
    assert str(path) not in open_files()
    blocks = source.blocks()
    next(blocks)
    assert str(path) in open_files()
    blocks.close()
    assert str(path) not in open_files()
    for _ in source.blocks():
        pass
    assert str(path) not in open_files()


def test_what_needs_no_decoding_is_checked_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("no audio\n" * 500)
    write(tmp_path / "a.wav", noise(1, RATE))
    for name, track, message in [
        ("empty.wav", 1, "is an empty file"),
        ("text.wav", 1, "check that it plays"),
        ("a.wav", 2, "has 1 audio track"),
        ("a.wav", 0, "the first is 1"),
        (".", 1, "is not a file"),
    ]:
        with pytest.raises(ValueError, match=message):
            AudioFile(tmp_path / name, track)
    with pytest.raises(FileNotFoundError, match="no such file"):
        AudioFile(tmp_path / "nowhere.wav")


def test_a_pass_without_samples_is_refused(tmp_path: Path) -> None:
    source = AudioFile(write(tmp_path / "a.wav", noise(2, 0)))
    for _ in range(2):
        with pytest.raises(ValueError, match=r"a\.wav holds no audio samples"):
            list(source.blocks())


def test_samples_that_are_no_numbers_are_found_when_their_block_is_read(tmp_path: Path) -> None:
    waveform = noise(2, 3 * RATE)
    waveform[1, 2 * RATE + RATE // 2] = np.nan
    soundfile.write(tmp_path / "a.wav", waveform.T, RATE, subtype="FLOAT")
    blocks = AudioFile(tmp_path / "a.wav").blocks()
    next(blocks)
    next(blocks)
    with pytest.raises(ValueError, match=r"a\.wav holds .* NaN or infinite, the first at 2\.5 s"):
        next(blocks)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mkv"])
def test_damage_is_reported_once_after_the_first_complete_pass(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    path = write(tmp_path / name, noise(1, 10 * RATE))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    source = AudioFile(path)
    next(source.blocks())
    assert not caplog.records
    seconds = sum(block.shape[1] for block in source.blocks()) / RATE
    list(source.blocks())
    (record,) = caplog.records
    expected = f"{path} is damaged or cut off; the {seconds:.1f} s of it that can be decoded"
    assert expected in record.getMessage()


def test_a_file_that_grows_between_two_passes_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(1, RATE))
    source = AudioFile(path)
    list(source.blocks())
    write(path, noise(1, 2 * RATE))
    with pytest.raises(ValueError, match=r"a\.wav changed while it was in use"):
        list(source.blocks())


@pytest.mark.parametrize("name", ["a.wav", "a.mp4"])
def test_a_file_that_vanishes_between_two_passes_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, noise(1, RATE))
    source = AudioFile(path)
    list(source.blocks())
    path.unlink()
    with pytest.raises((OSError, ValueError), match=name):
        list(source.blocks())


def set_flac_length(path: Path, num_samples: int) -> None:
    """The last 36 bits of this part of STREAMINFO are the number of samples."""
    content = bytearray(path.read_bytes())
    low = num_samples.to_bytes(5, "big")
    content[21:26] = bytes([content[21] & 0xF0 | low[0]]) + low[1:]
    path.write_bytes(content)


def test_flac_from_a_pipe_is_whole(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "a.flac", noise(2, 3 * RATE))
    whole = read_audio(path).waveform
    set_flac_length(path, 0)
    np.testing.assert_array_equal(read_audio(path).waveform, whole)
    assert not caplog.records


def test_a_header_that_promises_billions_of_samples_is_read_as_far_as_it_goes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "a.flac", noise(2, 3 * RATE))
    whole = read_audio(path).waveform
    set_flac_length(path, 2**36 - 1)
    np.testing.assert_array_equal(read_audio(path).waveform, whole)
    assert "a.flac is damaged or cut off; the 3.0 s" in caplog.text


def test_a_wav_header_that_promises_too_much(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "a.wav", noise(2, 3 * RATE))
    whole = read_audio(path).waveform
    content = bytearray(path.read_bytes())
    size = content.index(b"data") + 4
    content[size : size + 4] = struct.pack("<I", 0x70000000)
    path.write_bytes(content)
    np.testing.assert_array_equal(read_audio(path).waveform, whole)
    assert "a.wav is damaged or cut off; the 3.0 s" in caplog.text


def test_a_header_with_an_absurd_rate_needs_little_memory(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(2, 1_000).T, 2**31 - 1)
    source = AudioFile(tmp_path / "a.wav")
    assert source.sample_rate == 2**31 - 1
    assert peak_bytes(lambda: list(source.blocks())) < 2**27


def test_a_cut_rf64_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(1, 4 * RATE).T, RATE, format="RF64")
    read_audio(path)
    assert not caplog.records
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert read_audio(path).num_samples == pytest.approx(2 * RATE, abs=100)
    assert "is damaged or cut off" in caplog.text


def test_of_a_damaged_flac_file_only_the_damaged_frame_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "a.flac", noise(2, 20 * RATE))
    whole = read_audio(path).waveform
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 500] = b"\xff" * 500
    path.write_bytes(content)
    source = AudioFile(path)
    damaged, again = (np.concatenate(list(source.blocks()), axis=1) for _ in range(2))
    np.testing.assert_array_equal(damaged, again)
    assert damaged.shape == whole.shape
    wrong = np.flatnonzero((damaged != whole).any(axis=0))
    assert 0 < len(wrong) <= 4_608
    assert wrong[-1] - wrong[0] < 4_608
    assert not damaged[:, wrong].any()
    assert "is damaged or cut off" in caplog.text


def test_a_broadcast_whose_channels_change_keeps_those_of_its_beginning(tmp_path: Path) -> None:
    mono = write_aac(tmp_path / "mono.aac", tone(440.0, 3 * RATE)[None])
    stereo = write_aac(tmp_path / "stereo.aac", np.stack([tone(1_000.0, 3 * RATE)] * 2))
    for parts, num_channels, expected in [
        ((mono, stereo), 1, (440.0, 1_000.0)),
        ((stereo, mono), 2, (1_000.0, 440.0)),
    ]:
        path = tmp_path / "both.aac"
        path.write_bytes(b"".join(part.read_bytes() for part in parts))
        recording = read_audio(path)
        assert (recording.sample_rate, recording.num_channels) == (RATE, num_channels)
        assert recording.num_samples == pytest.approx(6 * RATE, abs=5_000)
        for channel in recording.waveform:
            halves = (channel[RATE : 2 * RATE], channel[-2 * RATE : -RATE])
            for half, frequency_hz in zip(halves, expected, strict=True):
                assert loudest_hz(half, RATE) == pytest.approx(frequency_hz, abs=2.0)
                assert np.abs(half).max() == pytest.approx(0.5, abs=0.05)


def test_a_broadcast_whose_rate_changes_keeps_that_of_its_beginning(tmp_path: Path) -> None:
    slow = write_aac(tmp_path / "slow.aac", tone(440.0, 3 * RATE)[None])
    fast = write_aac(tmp_path / "fast.aac", tone(1_000.0, 3 * 48_000, 48_000)[None], 48_000)
    path = tmp_path / "both.aac"
    path.write_bytes(slow.read_bytes() + fast.read_bytes())
    source = AudioFile(path)
    assert (source.sample_rate, source.num_channels) == (RATE, 1)
    waveform = np.concatenate(list(source.blocks()), axis=1)[0]
    assert len(waveform) == pytest.approx(6 * RATE, abs=5_000)
    assert loudest_hz(waveform[RATE : 2 * RATE], RATE) == pytest.approx(440.0, abs=2.0)
    assert loudest_hz(waveform[-2 * RATE : -RATE], RATE) == pytest.approx(1_000.0, abs=2.0)


@pytest.mark.parametrize("num_channels", [1, 2, 6, 8, 9, 16])
def test_ffmpeg_keeps_every_channel(tmp_path: Path, num_channels: int) -> None:
    integers = np.random.default_rng(0).integers(-9_000, 9_000, (RATE, num_channels), np.int16)
    soundfile.write(tmp_path / "a.wav", integers, RATE)
    decoder = FfmpegDecoder(tmp_path / "a.wav", 1)
    waveform = np.concatenate(list(decoder.blocks()), axis=1)
    np.testing.assert_array_equal(waveform, integers.T / np.float32(32_768))


def test_large_frames_are_cut_and_small_ones_joined(tmp_path: Path) -> None:
    # Frames are 1024 samples of AAC, and all 9000 of this PCM.
    write(tmp_path / "a.mkv", noise(1, 3 * RATE))
    with av.open(str(tmp_path / "b.mkv"), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=1_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(noise(1, 9_000), format="flt", layout="mono")
        frame.sample_rate, frame.pts = 1_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for name, sample_rate in (("a.mkv", RATE), ("b.mkv", 1_000)):
        blocks = list(FfmpegDecoder(tmp_path / name, 1).blocks())
        assert {block.shape[1] for block in blocks[:-1]} == {sample_rate}
        assert 0 < blocks[-1].shape[1] <= sample_rate
