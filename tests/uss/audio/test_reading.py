from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from uss.audio import read_audio, read_mono, resample

RATE = 16_000


def tone(frequency_hz: float, num_samples: int, sample_rate: int = RATE) -> NDArray[np.float32]:
    phase = 2.0 * np.pi * frequency_hz * np.arange(num_samples) / sample_rate
    return (0.5 * np.sin(phase)).astype(np.float32)


@pytest.fixture
def stereo() -> NDArray[np.float32]:
    return np.stack([tone(440.0, RATE), tone(1_000.0, RATE)])


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        ("wav", "FLOAT", 0.0),
        ("wav", "PCM_16", 2.0**-15),
        ("wav", "PCM_24", 2.0**-23),
        ("wav", "PCM_U8", 2.0**-7),
        ("flac", "PCM_16", 2.0**-15),
        ("aiff", "PCM_16", 2.0**-15),
        ("ogg", "VORBIS", 0.1),
    ],
)
def test_formats_of_libsndfile(
    tmp_path: Path, stereo: NDArray[np.float32], suffix: str, subtype: str, tolerance: float
) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, stereo.T, RATE, subtype=subtype)
    recording = read_audio(path)
    assert recording.sample_rate == RATE
    assert (recording.num_channels, recording.num_samples) == (2, RATE)
    assert recording.waveform.dtype == np.float32
    assert recording.waveform.flags.c_contiguous
    np.testing.assert_allclose(recording.waveform, stereo, atol=tolerance, rtol=0.0)


def write_film(path: Path, waveform: NDArray[np.float32], audio_codec: str | None) -> None:
    """A film of black pictures; without a codec it is silent, that is, has no audio track."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        if audio_codec:
            audio = container.add_stream(audio_codec, rate=RATE, layout="stereo")
        for _ in range(10):
            picture = av.VideoFrame(64, 64, "yuv420p")
            for plane in picture.planes:
                plane.update(bytes(plane.buffer_size))
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        if audio_codec:
            for start in range(0, waveform.shape[1], 1024):
                piece = np.ascontiguousarray(waveform[:, start : start + 1024])
                frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
                frame.sample_rate, frame.pts = RATE, start
                container.mux(audio.encode(frame))
            container.mux(audio.encode(None))


@pytest.mark.parametrize("path", [Path("film.mp4"), "film.mkv"])
def test_the_sound_of_a_film(tmp_path: Path, stereo: NDArray[np.float32], path: str | Path) -> None:
    write_film(tmp_path / path, stereo, "aac")
    recording = read_audio(tmp_path / path)
    assert recording.sample_rate == RATE
    assert recording.num_channels == 2
    assert recording.num_samples == pytest.approx(RATE, abs=2_048)
    assert recording.waveform.dtype == np.float32
    for channel, frequency_hz in zip(recording.waveform, (440.0, 1_000.0), strict=True):
        spectrum = np.abs(np.fft.rfft(channel[:RATE] * np.hanning(len(channel[:RATE]))))
        loudest = spectrum.argmax() * RATE / len(channel[:RATE])
        assert loudest == pytest.approx(frequency_hz, abs=2.0)
        assert np.sqrt(np.mean(channel[2_000:14_000] ** 2)) == pytest.approx(0.354, abs=0.02)


def test_a_film_without_sound(tmp_path: Path, stereo: NDArray[np.float32]) -> None:
    write_film(tmp_path / "film.mp4", stereo, None)
    with pytest.raises(ValueError, match=r"film\.mp4 has no audio track"):
        read_audio(tmp_path / "film.mp4")


def test_a_truncated_film(tmp_path: Path, stereo: NDArray[np.float32]) -> None:
    path = tmp_path / "film.mp4"
    write_film(path, stereo, "aac")
    path.write_bytes(path.read_bytes()[:1_000])
    with pytest.raises(ValueError, match=r"film\.mp4"):
        read_audio(path)


def test_integers_are_scaled_so_that_full_scale_is_1(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([-32768, 0, 16384], np.int16), RATE, subtype="PCM_16")
    assert read_audio(path).waveform.tolist() == [[-1.0, 0.0, 0.5]]


def test_floats_beyond_full_scale_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([2.5, -3.0], np.float32), RATE, subtype="FLOAT")
    assert read_audio(path).waveform.tolist() == [[2.5, -3.0]]


def test_one_sample(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.5], np.float32), RATE, subtype="FLOAT")
    assert read_audio(tmp_path / "a.wav").waveform.tolist() == [[0.5]]


def test_silence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(100, np.float32), RATE)
    assert not read_audio(tmp_path / "a.wav").waveform.any()


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.wav: no such file"):
        read_audio(tmp_path / "nowhere.wav")
    with pytest.raises(ValueError, match="is not a file"):
        read_audio(tmp_path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    with pytest.raises(ValueError, match=r"a\.wav is an empty file"):
        read_audio(tmp_path / "a.wav")


def test_a_file_without_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 2), np.float32), RATE)
    with pytest.raises(ValueError, match=r"a\.wav holds no audio samples"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.txt", "a.mp3", "a.mp4", "a.raw", "a"])
def test_a_text_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("This is not audio, whatever its name says.\n" * 20)
    with pytest.raises(ValueError, match=name):
        read_audio(tmp_path / name)


def test_half_a_header(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF\x10\x00\x00\x00WAVEfmt ")
    with pytest.raises(ValueError, match=r"a\.wav"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite(tmp_path: Path, value: float) -> None:
    samples = np.array([0.0, value, 0.0], np.float32)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(ValueError, match="NaN or infinite"):
        read_audio(tmp_path / "a.wav")


def test_mono_is_the_mean_of_the_channels(tmp_path: Path, stereo: NDArray[np.float32]) -> None:
    soundfile.write(tmp_path / "a.wav", stereo.T, RATE, subtype="FLOAT")
    mono = read_mono(tmp_path / "a.wav", RATE)
    np.testing.assert_allclose(mono, stereo.mean(axis=0), atol=1e-7)
    assert read_mono(tmp_path / "a.wav", 32_000).shape == (2 * RATE,)


@pytest.mark.parametrize(
    ("from_hz", "to_hz"), [(44_100, 32_000), (32_000, 44_100), (8_000, 32_000)]
)
@pytest.mark.parametrize("num_samples", [1, 2, 3, 999, 1_000, 44_100])
def test_resampled_length(from_hz: int, to_hz: int, num_samples: int) -> None:
    waveform = np.ones((2, num_samples), np.float32)
    out = resample(waveform, from_hz, to_hz)
    assert out.shape == (2, round(num_samples * to_hz / from_hz))
    assert out.dtype == np.float32
    assert resample(waveform[0], from_hz, to_hz).shape == out.shape[1:]


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48_000, 32_000), (16_000, 32_000)])
def test_a_resampled_tone_is_the_tone_at_the_new_rate(from_hz: int, to_hz: int) -> None:
    out = resample(tone(1_000.0, from_hz, from_hz), from_hz, to_hz)
    middle = slice(to_hz // 4, -to_hz // 4)
    np.testing.assert_allclose(out[middle], tone(1_000.0, to_hz, to_hz)[middle], atol=1e-4)


def test_resampling_removes_what_the_new_rate_cannot_hold() -> None:
    out = resample(tone(20_000.0, 48_000, 48_000), 48_000, 32_000)
    assert np.abs(out[1_000:-1_000]).max() < 1e-4


def test_equal_rates_give_the_input_itself(stereo: NDArray[np.float32]) -> None:
    assert resample(stereo, RATE, RATE) is stereo


def test_channels_are_resampled_alike(stereo: NDArray[np.float32]) -> None:
    both = resample(stereo, RATE, 32_000)
    for channel, row in zip(stereo, both, strict=True):
        np.testing.assert_allclose(resample(channel, RATE, 32_000), row, atol=1e-7)
