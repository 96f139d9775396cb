"""Whatever a recording is stored as, its stems have its form and add up to it."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from uss.audio import read_audio
from uss.separation.separator import Separator

WriteNoise = Callable[..., Path]
Separate = Callable[..., int]


def noise(num_samples: int, num_channels: int, peak: float = 0.4) -> NDArray[np.float64]:
    """(T, C) with the same peak whatever its length."""
    samples = np.random.default_rng(0).standard_normal((num_samples, num_channels))
    return peak * samples / np.abs(samples).max()


def write(path: Path, samples: NDArray[np.float64], sample_rate: int, subtype: str) -> Path:
    soundfile.write(path, samples, sample_rate, subtype=subtype)
    return path


def write_film(
    path: Path, codec: str, layout: str, seconds: float, sample_rate: int = 48_000, **options: str
) -> Path:
    """Moving noise with the sound of noise."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as container:
        pictures = container.add_stream("mpeg4", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        sound = container.add_stream(codec, rate=sample_rate, layout=layout)
        num_channels = sound.layout.nb_channels
        for number in range(round(25 * seconds)):
            image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            samples = 0.1 * rng.standard_normal((num_channels, sample_rate // 25))
            frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), "fltp", layout)
            frame.sample_rate, frame.pts = sample_rate, number * sample_rate // 25
            for converted in av.AudioResampler(sound.format, layout, sample_rate).resample(frame):
                container.mux(sound.encode(converted))
        for stream in (pictures, sound):
            container.mux(stream.encode(None))
    return path


def total(folder: Path) -> NDArray[np.float64]:
    """(T, C) sum of all files in a folder."""
    parts = [soundfile.read(path, dtype="float64", always_2d=True)[0] for path in folder.iterdir()]
    assert len(parts) > 1
    return np.sum(parts, axis=0)


def assert_adds_up(folder: Path, recording: Path, tolerance: float = 1e-6) -> None:
    """Also that every file has the recording's rate, channels and length."""
    source = read_audio(recording)
    for path in folder.iterdir():
        info = soundfile.info(path)
        assert info.samplerate == source.sample_rate
        assert (info.channels, info.frames) == source.waveform.shape
    np.testing.assert_allclose(total(folder), source.waveform.T, rtol=0.0, atol=tolerance)


def errors(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("suffix", "sample_rate", "num_channels", "subtype"),
    [
        ("wav", 8_000, 1, "PCM_U8"),
        ("wav", 8_000, 1, "ULAW"),
        ("wav", 11_025, 1, "PCM_16"),
        ("wav", 44_100, 2, "PCM_16"),
        ("aiff", 44_100, 2, "PCM_24"),
        ("wav", 48_000, 3, "PCM_32"),
        ("flac", 96_000, 2, "PCM_24"),
        ("wav", 192_000, 2, "FLOAT"),
        ("wav", 44_100, 1, "DOUBLE"),
        ("ogg", 44_100, 2, "VORBIS"),
        ("mp3", 44_100, 2, "MPEG_LAYER_III"),
    ],
)
def test_stems_have_the_form_of_the_input_and_add_up_to_it(
    tmp_path: Path,
    separate: Separate,
    suffix: str,
    sample_rate: int,
    num_channels: int,
    subtype: str,
) -> None:
    samples = noise(round(1.3 * sample_rate) + 7, num_channels)
    recording = write(tmp_path / f"take.{suffix}", samples, sample_rate, subtype)
    assert separate(recording, "--level", "1", "3") == 0
    for level in ("level1", "level3"):
        assert_adds_up(tmp_path / "out" / "take" / level, recording)


@pytest.mark.parametrize(("sample_rate", "num_channels"), [(11_025, 1), (48_000, 2)])
@pytest.mark.parametrize("options", [(), ("--consistency", "--full-band")], ids=["plain", "all"])
def test_the_pieces_of_a_longer_recording_join(
    tmp_path: Path, separate: Separate, sample_rate: int, num_channels: int, options: Sequence[str]
) -> None:
    samples = noise(round(19.3 * sample_rate), num_channels)
    # Silence longer than a piece, in which there is nothing to join.
    samples[3 * sample_rate : 14 * sample_rate] = 0.0
    recording = write(tmp_path / "take.wav", samples, sample_rate, "FLOAT")
    assert separate(recording, "--level", "1", *options) == 0
    folder = tmp_path / "out" / "take" / "level1"
    assert_adds_up(folder, recording)
    for name in ("Animal", "Human sounds", "Music"):
        stem = soundfile.read(folder / f"{name}.wav", always_2d=True)[0]
        assert np.abs(stem[: 2 * sample_rate]).max() > 1e-3
        assert np.abs(stem[-2 * sample_rate :]).max() > 1e-3
        assert np.abs(stem[9 * sample_rate : 12 * sample_rate]).max() == 0.0


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le", "ac3"])
def test_the_sound_of_a_film_in_5_1(tmp_path: Path, separate: Separate, codec: str) -> None:
    film = write_film(tmp_path / "film.mkv", codec, "5.1", 2.0)
    assert separate(film) == 0
    folder = tmp_path / "out" / "film" / "level2"
    assert_adds_up(folder, film)
    info = soundfile.info(folder / "Human voice.wav")
    assert (info.samplerate, info.channels, info.subtype) == (48_000, 6, "FLOAT")
    assert info.frames >= 96_000


@pytest.mark.parametrize("seconds", [1 / 48_000, 0.5, 1.0])
@pytest.mark.parametrize("peak", [0.4, 0.0], ids=["noise", "digital silence"])
def test_a_recording_that_is_short_or_silent_takes_all_options(
    tmp_path: Path, separate: Separate, seconds: float, peak: float
) -> None:
    samples = noise(round(48_000 * seconds), 2, peak)
    recording = write(tmp_path / "blip.wav", samples, 48_000, "PCM_16")
    options = ("--level", "1", "2", "--class", "Rain", "--not", "Music")
    assert separate(recording, *options, "--consistency", "--full-band", "--overlap", "0.5") == 0
    folder = tmp_path / "out" / "blip"
    assert_adds_up(folder / "queries", recording)
    if peak == 0.0:
        for level in ("level1", "level2"):
            (only,) = (folder / level).iterdir()
            assert only.name == "residual.wav"
    elif seconds >= 0.5:
        assert {path.name for path in (folder / "level1").iterdir()} == {
            "Animal.wav",
            "Human sounds.wav",
            "residual.wav",
        }


def test_a_sample_that_is_no_number_late_in_a_recording(
    tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = noise(160_000, 2)
    samples[140_000, 1] = np.nan
    recording = write(tmp_path / "broken.wav", samples, 32_000, "FLOAT")
    assert separate(recording) == 2
    (line,) = errors(capsys)
    assert line.startswith(f"uss-separate: {recording} holds samples that are NaN")
    assert "at 4.4 s" in line
    assert not (tmp_path / "out").exists()


def test_of_a_cut_mp4_what_decodes_is_separated(
    tmp_path: Path, separate: Separate, caplog: pytest.LogCaptureFixture
) -> None:
    film = write_film(tmp_path / "film.mp4", "aac", "stereo", 4.0, movflags="faststart")
    content = film.read_bytes()
    film.write_bytes(content[: len(content) * 6 // 10])
    assert separate(film) == 0
    (message,) = [line for line in caplog.messages if "cut off" in line]
    assert str(film) in message
    folder = tmp_path / "out" / "film" / "level2"
    assert 1.0 < soundfile.info(folder / "residual.wav").duration < 3.5
    assert_adds_up(folder, film)


def test_an_mp4_without_its_index_is_refused(
    tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "film.mp4", "aac", "stereo", 2.0)
    film.write_bytes(film.read_bytes()[:-2_000])
    assert separate(film) == 2
    (line,) = errors(capsys)
    assert "cut off before its index" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("stored", "options"),
    [
        ("PCM_16", ("--format", "flac")),
        ("PCM_24", ("--format", "flac")),
        ("PCM_16", ("--format", "flac", "--subtype", "PCM_16")),
        ("PCM_16", ("--subtype", "PCM_16")),
        ("PCM_16", ("--subtype", "PCM_24")),
        ("PCM_24", ("--subtype", "PCM_24")),
        ("PCM_16", ("--subtype", "PCM_32")),
        ("PCM_24", ("--subtype", "DOUBLE")),
        ("PCM_U8", ("--subtype", "PCM_U8")),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_files_of_integers_add_up_exactly_to_integers(
    tmp_path: Path, separate: Separate, stored: str, options: Sequence[str]
) -> None:
    recording = write(tmp_path / "take.wav", noise(50_001, 2, 0.9), 44_100, stored)
    assert separate(recording, "--level", "1", *options) == 0
    folder = tmp_path / "out" / "take" / "level1"
    assert_adds_up(folder, recording, tolerance=0.0)
    info = soundfile.info(next(folder.iterdir()))
    expected = options[-1] if "--subtype" in options else "PCM_24"
    assert (info.format, info.subtype) == ("FLAC" if "flac" in options else "WAV", expected)


@pytest.mark.parametrize(
    ("sample_rate", "num_channels", "says"),
    [(44_100, 9, "8 channels at most, not 9"), (88_201, 1, "88201 Hz")],
)
def test_what_flac_cannot_hold_is_refused_before_any_work(
    tmp_path: Path,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    sample_rate: int,
    num_channels: int,
    says: str,
) -> None:
    def work(*_: Any) -> None:
        raise AssertionError("the recording is analysed")

    samples = noise(sample_rate // 2, num_channels)
    recording = write(tmp_path / "take.wav", samples, sample_rate, "FLOAT")
    with monkeypatch.context() as context:
        context.setattr(Separator, "analyse", work)
        assert separate(recording, "--format", "flac") == 2
    (line,) = errors(capsys)
    assert says in line and "write WAV" in line
    assert not (tmp_path / "out").exists()
    assert separate(recording) == 0
    assert_adds_up(tmp_path / "out" / "take" / "level2", recording)


def test_clipping_is_reported_and_float_does_not_clip(
    tmp_path: Path, separate: Separate, caplog: pytest.LogCaptureFixture
) -> None:
    recording = write(tmp_path / "loud.wav", noise(40_000, 2, 1.5), 44_100, "FLOAT")
    assert separate(recording, "--level", "1", "--format", "flac") == 0
    warned = {line.split(":")[0] for line in caplog.messages if "clipped" in line}
    folder = tmp_path / "out" / "loud"
    full = {
        str(path.relative_to(folder))
        for path in (folder / "level1").iterdir()
        if (np.abs(soundfile.read(path)[0]) >= 1.0 - 2.0**-23).any()
    }
    assert warned == full != set()
    caplog.clear()
    assert separate(recording, "--level", "1") == 0
    assert not [line for line in caplog.messages if "clipped" in line]
    assert_adds_up(folder / "level1", recording)
    assert np.abs(total(folder / "level1")).max() == pytest.approx(1.5)


def test_a_file_of_floats_that_are_integers_gets_a_warning_with_the_factor(
    tmp_path: Path, separate: Separate, caplog: pytest.LogCaptureFixture
) -> None:
    samples = np.rint(32_768.0 * noise(20_000, 1))
    recording = write(tmp_path / "scene.wav", samples, 32_000, "FLOAT")
    assert separate(recording) == 0
    (said,) = [line for line in caplog.messages if "integers" in line]
    assert said.startswith(f"{recording}: the samples reach 13107, as of integers")
    assert "divide them by 32768" in said
    assert_adds_up(tmp_path / "out" / "scene" / "level2", recording, tolerance=0.01)


def test_the_longest_name_there_can_be(
    tmp_path: Path, separate: Separate, write_noise: WriteNoise
) -> None:
    recording = write_noise(tmp_path / f"{'ü' * 125}n.wav", 0.6)
    assert len(recording.name.encode()) == 255
    assert separate(recording) == 0
    assert_adds_up(tmp_path / "out" / recording.stem / "level2", recording)


def test_a_film_that_is_called_like_a_time(
    tmp_path: Path, separate: Separate, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = write_film(tmp_path / "film.mp4", "aac", "mono", 0.6)
    monkeypatch.chdir(tmp_path)
    named = film.rename("2024-01-01T12:30:00.mp4")
    assert separate(Path(named.name), "--mux") == 0
    folder = tmp_path / "out" / named.stem
    assert (folder / named.name).stat().st_size > 0
    assert_adds_up(folder / "level2", named)


@pytest.mark.skipif(os.name != "posix", reason="names are bytes on POSIX alone")
def test_a_name_that_is_no_utf_8(tmp_path: Path, separate: Separate) -> None:
    name = os.fsdecode(b"bad\xffname")
    recording = tmp_path / f"{name}.wav"
    plain = write(tmp_path / "plain.wav", noise(8_000, 1), 32_000, "PCM_16")
    recording.write_bytes(plain.read_bytes())
    assert separate(recording, "--level", "1") == 0
    folder = tmp_path / "out" / name
    found = json.loads((folder / "detections.json").read_text(encoding="utf-8"))
    assert found["input"] == recording.name
    assert {"level1", "report.html", "timeline.png"} <= {path.name for path in folder.iterdir()}
