import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from uss.audio import read_audio, read_mono
from uss.core.errors import InputError

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


def write_tracks(
    path: Path,
    tracks: Sequence[NDArray[np.float32]],
    codec: str = "aac",
    options: Mapping[str, str] | None = None,
) -> None:
    """Audio tracks of one channel each."""
    with av.open(str(path), "w", options=dict(options or {})) as container:
        streams = [container.add_stream(codec, rate=RATE, layout="mono") for _ in tracks]
        for start in range(0, len(tracks[0]), 1_024):
            for stream, track in zip(streams, tracks, strict=True):
                piece = np.ascontiguousarray(track[None, start : start + 1_024])
                if codec == "pcm_s16le":
                    integers = np.round(piece * 32_767).astype(np.int16)
                    frame = av.AudioFrame.from_ndarray(integers, format="s16", layout="mono")
                else:
                    frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = RATE, start
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))


def loudest_hz(waveform: NDArray[np.float32]) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(spectrum.argmax() * RATE / len(waveform))


@pytest.mark.parametrize(
    ("name", "codec"), [("film.mkv", "pcm_s16le"), ("film.mkv", "aac"), ("film.mp4", "aac")]
)
def test_the_tracks_of_a_film(tmp_path: Path, name: str, codec: str) -> None:
    path = tmp_path / name
    write_tracks(path, [tone(440.0, RATE), tone(1_000.0, RATE)], codec)
    for track, frequency_hz in ((1, 440.0), (2, 1_000.0)):
        waveform = read_audio(path, track).waveform
        assert waveform.shape[1] == pytest.approx(RATE, abs=2_048)
        assert loudest_hz(waveform[0]) == pytest.approx(frequency_hz, abs=2.0)
    np.testing.assert_array_equal(read_audio(path).waveform, read_audio(path, 1).waveform)
    with pytest.raises(ValueError, match=r"has 2 audio tracks, so .* 3; choose 1 to 2"):
        read_audio(path, 3)


def test_a_file_of_one_track_has_no_second(tmp_path: Path, stereo: NDArray[np.float32]) -> None:
    soundfile.write(tmp_path / "a.wav", stereo.T, RATE)
    write_film(tmp_path / "film.mp4", stereo, "aac")
    for name in ("a.wav", "film.mp4"):
        with pytest.raises(ValueError, match=r"has 1 audio track, .* 2; choose track 1"):
            read_audio(tmp_path / name, 2)
    with pytest.raises(ValueError, match="the first is 1"):
        read_audio(tmp_path / "a.wav", 0)


def test_a_film_cut_off_before_its_index(tmp_path: Path, stereo: NDArray[np.float32]) -> None:
    path = tmp_path / "film.mp4"
    write_film(path, stereo, "aac")
    content = path.read_bytes()
    for num_bytes in (1_000, len(content) // 2):
        path.write_bytes(content[:num_bytes])
        with pytest.raises(ValueError, match=r"film\.mp4 .* cut off before its index"):
            read_audio(path)


def test_a_codec_that_nobody_knows(tmp_path: Path, stereo: NDArray[np.float32]) -> None:
    path = tmp_path / "film.mov"
    write_film(path, stereo, "pcm_s16le")
    path.write_bytes(path.read_bytes().replace(b"sowt", b"zzzz"))
    with pytest.raises(InputError, match=r"film\.mov has sound that is coded in a way"):
        read_audio(path)


LONG = 5 * RATE
CUT = {
    "fragmented mp4": ("a.mp4", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "9999"}),
    "mp4 with its index first": ("a.mp4", {"movflags": "faststart"}),
    "matroska": ("a.mkv", {}),
    "mp3": ("a.mp3", None),
    "flac": ("a.flac", None),
    "wav": ("a.wav", None),
    "aiff": ("a.aiff", None),
    "w64": ("a.w64", None),
    "rf64": ("a.rf64", None),
    "au": ("a.au", None),
    "caf": ("a.caf", None),
    "svx": ("a.svx", None),
    "voc": ("a.voc", None),
    "avr": ("a.avr", None),
    "nist": ("a.nist", None),
    "avi": ("a.avi", {}),
    "flv": ("a.flv", {}),
}


@pytest.mark.parametrize("kind", CUT)
def test_what_decodes_of_a_cut_file_is_read_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    name, options = CUT[kind]
    path, waveform = tmp_path / name, tone(440.0, LONG)
    if options is None:
        soundfile.write(path, waveform, RATE)
    else:
        write_tracks(path, [waveform], options=options)
    whole = read_audio(path)
    assert whole.num_samples == pytest.approx(LONG, abs=2_048)
    assert not caplog.records
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    cut = read_audio(path)
    assert LONG / 4 < cut.num_samples < 3 * LONG / 4
    middle = slice(RATE // 2, RATE)
    np.testing.assert_allclose(cut.waveform[:, middle], whole.waveform[:, middle], atol=1e-3)
    (record,) = caplog.records
    assert f"{path} is damaged or cut off" in record.getMessage()
    assert f"{cut.num_samples / RATE:.1f} s" in record.getMessage()


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_cut_ogg_file(tmp_path: Path, caplog: pytest.LogCaptureFixture, subtype: str) -> None:
    # Noise, as a tone takes so few bytes that a page holds all of it.
    noise = 0.1 * np.random.default_rng(0).standard_normal(20 * RATE)
    path = tmp_path / "a.ogg"
    soundfile.write(path, noise, RATE, subtype=subtype)
    read_audio(path)
    assert not caplog.records
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 5 * RATE < read_audio(path).num_samples < 15 * RATE
    assert "is damaged or cut off" in caplog.text


def test_silence_takes_the_place_of_broken_packets(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.m4a"
    noise = 0.1 * np.random.default_rng(0).standard_normal(LONG)
    write_tracks(path, [noise.astype(np.float32)])
    whole = read_audio(path).waveform
    content = bytearray(path.read_bytes())
    start, end = content.index(b"mdat"), content.index(b"moov")
    middle = (start + end) // 2
    content[middle : middle + 1_000] = b"\xff" * 1_000
    path.write_bytes(content)
    damaged = read_audio(path).waveform
    assert damaged.shape == whole.shape
    np.testing.assert_allclose(damaged[:, -RATE:], whole[:, -RATE:], atol=1e-3)
    np.testing.assert_allclose(damaged[:, :RATE], whole[:, :RATE], atol=1e-3)
    assert "is damaged or cut off" in caplog.text


def test_a_recording_from_a_pipe_is_not_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(440.0, RATE), RATE, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    size = content.index(b"data") + 4
    content[size : size + 4] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(content)
    assert read_audio(path).num_samples == RATE
    assert not caplog.records


def as_from_a_pipe(path: Path, style: str) -> None:
    """Overwrite what a program that cannot go back does not know."""
    content = bytearray(path.read_bytes())

    def put(chunk: bytes, offset: int, value: int, form: str) -> None:
        struct.pack_into(form, content, content.index(chunk) + 4 + offset, value)

    if style == "caf":
        put(b"data", 0, -1, ">q")
    else:
        # The largest number that SoX trusts.
        num_bytes = 0x7F000000
        put(b"FORM", 0, num_bytes + 46, ">I")
        put(b"COMM", 6, num_bytes // 2, ">I")
        put(b"SSND", 0, num_bytes + 8, ">I")
    path.write_bytes(content)


@pytest.mark.parametrize("style", ["caf", "aiff of sox"])
def test_nor_are_caf_and_aiff(tmp_path: Path, caplog: pytest.LogCaptureFixture, style: str) -> None:
    path = tmp_path / f"a.{style[:4].strip()}"
    soundfile.write(path, tone(440.0, 5_001), RATE, subtype="PCM_16")
    whole = read_audio(path).waveform
    as_from_a_pipe(path, style)
    np.testing.assert_array_equal(read_audio(path).waveform, whole)
    assert not caplog.records


@pytest.mark.parametrize("suffix", ["wav", "voc", "mat4"])
def test_a_name_is_no_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str) -> None:
    path = tmp_path / f"*** File seems to be truncated.{suffix}"
    soundfile.write(path, tone(440.0, RATE), RATE)
    assert read_audio(path).num_samples == RATE
    assert not caplog.records


@pytest.mark.parametrize("suffix", ["caf", "aiff"])
def test_a_cut_one_still_is(tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(440.0, LONG), RATE, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert read_audio(path).num_samples == pytest.approx(LONG / 2, rel=0.1)
    assert "is damaged or cut off" in caplog.text


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
