"""A part of a recording is that part to the sample, whatever it is stored as."""

import functools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from uss.audio import AudioFile
from uss.audio.excerpting import Excerpt, check_excerpt
from uss.audio.ffmpeg import FfmpegDecoder

RATE = 48_000
SECONDS = 24


@functools.cache
def noise(num_channels: int = 2) -> NDArray[np.int16]:
    """(C, T) a random walk that stays in bounds, so that codecs keep its form."""
    rng = np.random.default_rng(0)
    steps = rng.standard_normal((num_channels, SECONDS * RATE))
    smooth = np.apply_along_axis(lambda row: np.convolve(row, np.hanning(16), "same"), 1, steps)
    return (2_000.0 * smooth).clip(-30_000, 30_000).astype(np.int16)


def write_film(path: Path, codec: str, late_seconds: float = 0.0) -> Path:
    """Pictures with a key frame every ten seconds, beside noise."""
    with av.open(str(path), "w") as container:
        pictures = None
        if path.suffix not in (".m4a", ".wv", ".tta", ".aac"):
            pictures = container.add_stream("mpeg2video", rate=25, options={"g": "250"})
            pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        # AAC may replace noise by other noise, of which each decoder makes its own.
        options = {"aac_pns": "0"} if codec == "aac" else {}
        sound = container.add_stream(codec, rate=RATE, layout="stereo", options=options)
        resampler = av.AudioResampler(sound.format, "stereo", RATE, sound.frame_size or 1_000)
        samples = noise()
        for number in range(25 * SECONDS):
            if pictures is not None:
                # Memory that nobody filled would make key frames of its own.
                picture = av.VideoFrame.from_ndarray(np.full((48, 32), 128, np.uint8), "yuv420p")
                picture.pts, picture.time_base = number, Fraction(1, 25)
                container.mux(pictures.encode(picture))
            piece = np.ascontiguousarray(
                samples[:, number * RATE // 25 : (number + 1) * RATE // 25]
            )
            frame = av.AudioFrame.from_ndarray(piece, "s16p", "stereo")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = number * RATE // 25 + round(late_seconds * RATE)
            for each in resampler.resample(frame):
                container.mux(sound.encode(each))
        for each in resampler.resample(None):
            container.mux(sound.encode(each))
        for stream in filter(None, (pictures, sound)):
            container.mux(stream.encode(None))
    return path


def whole(path: Path) -> NDArray[np.float32]:
    return np.concatenate(list(AudioFile(path).blocks()), axis=1)


def cut(path: Path, *span: float | None, is_aligned: bool = False) -> NDArray[np.float32]:
    excerpt = Excerpt(AudioFile(path), *span, is_aligned=is_aligned)  # type: ignore[arg-type]
    blocks = list(excerpt.blocks())
    assert all(0 < block.shape[1] <= RATE for block in blocks)
    return np.concatenate(blocks, axis=1)


STARTS = (0.75, 10.0 + 12_345 / RATE, 21.0 - 7 / RATE)


@pytest.mark.parametrize(
    ("name", "codec", "is_sought", "tolerance"),
    [
        ("a.mkv", "pcm_s16le", True, 0.0),
        ("a.mkv", "flac", True, 0.0),
        ("a.mkv", "aac", True, 1e-4),
        ("a.mkv", "libopus", True, 1e-3),
        ("a.mov", "pcm_s16le", True, 0.0),
        ("a.mp4", "aac", True, 1e-4),
        ("a.ts", "mp2", True, 1e-4),
        ("a.avi", "pcm_s16le", True, 0.0),
        ("a.m4a", "alac", True, 0.0),
        ("a.wv", "wavpack", True, 0.0),
    ],
)
def test_the_excerpt_of_a_film_is_cut_from_the_whole(
    tmp_path: Path, name: str, codec: str, is_sought: bool, tolerance: float
) -> None:
    film = write_film(tmp_path / name, codec)
    expected = whole(film)
    for start in STARTS:
        first = round(start * RATE)
        last = first + 2 * RATE + 11
        np.testing.assert_allclose(
            cut(film, start, last / RATE), expected[:, first:last], rtol=0.0, atol=tolerance
        )
        decoder = FfmpegDecoder(film, 1)
        if start > 5.0:
            assert (decoder.blocks_from(first) is not None) == is_sought


def test_little_of_a_long_film_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film = write_film(tmp_path / "a.mkv", "pcm_s16le")
    decoded = []
    frames = FfmpegDecoder._frames

    def count(self: FfmpegDecoder, *arguments: object) -> object:
        for frame, lost in frames(self, *arguments):  # type: ignore[arg-type]
            decoded.append(frame.samples)
            yield frame, lost

    monkeypatch.setattr(FfmpegDecoder, "_frames", count)
    assert cut(film, 21.0, 22.0).shape == (2, RATE)
    # Key frames lie ten seconds apart.
    assert sum(decoded) < 5 * RATE


@pytest.mark.parametrize(
    ("name", "subtype"),
    [
        ("a.wav", "PCM_24"),
        ("a.flac", "PCM_16"),
        ("a.aiff", "PCM_16"),
        ("a.caf", "PCM_16"),
        ("a.w64", "FLOAT"),
        ("a.ogg", "VORBIS"),
        ("a.mp3", "MPEG_LAYER_III"),
        ("a.opus", "OPUS"),
    ],
)
def test_the_excerpt_of_a_recording_is_cut_from_the_whole(
    tmp_path: Path, name: str, subtype: str
) -> None:
    path = tmp_path / name
    form = "OGG" if subtype in ("VORBIS", "OPUS") else None
    soundfile.write(path, noise().T, RATE, subtype=subtype, format=form)
    expected = whole(path)
    for start in STARTS:
        first = round(start * RATE)
        np.testing.assert_array_equal(cut(path, start), expected[:, first:])
        np.testing.assert_array_equal(
            cut(path, start, start + 1 / RATE), expected[:, first : first + 1]
        )


def test_variable_frames_are_counted_from_the_start(tmp_path: Path) -> None:
    film = tmp_path / "a.mka"
    samples = noise()
    with av.open(str(film), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=RATE, layout="stereo")
        position, rng = 0, np.random.default_rng(1)
        while position < samples.shape[1]:
            size = int(rng.integers(100, 3_000))
            piece = np.ascontiguousarray(samples[:, position : position + size].T.reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(piece, "s16", "stereo")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = position
            container.mux(sound.encode(frame))
            position += size
        container.mux(sound.encode(None))
    # Matroska's milliseconds do not tell which sample it is.
    assert FfmpegDecoder(film, 1).blocks_from(15 * RATE) is None
    np.testing.assert_array_equal(cut(film, 15.0), whole(film)[:, 15 * RATE :])


@pytest.mark.parametrize("name", ["a.mkv", "a.mov"])
def test_in_the_film_s_time(tmp_path: Path, name: str) -> None:
    film = write_film(tmp_path / name, "pcm_s16le", late_seconds=1.5)
    own = whole(film)
    assert AudioFile(film).film_offset_seconds == 1.5
    aligned = cut(film, 0.0, None, is_aligned=True)
    assert not aligned[:, : RATE * 3 // 2].any()
    np.testing.assert_array_equal(aligned[:, RATE * 3 // 2 :], own)
    np.testing.assert_array_equal(cut(film, 1.0, 3.0, is_aligned=True), aligned[:, RATE : 3 * RATE])
    np.testing.assert_array_equal(cut(film, 20.0, None, is_aligned=True), aligned[:, 20 * RATE :])
    assert not cut(film, 0.5, 1.0, is_aligned=True).any()


def test_a_track_that_starts_before_its_film_is_trimmed(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise().T, RATE)
    file = AudioFile(tmp_path / "a.wav")
    file.film_offset_seconds = -0.25
    excerpt = Excerpt(file, is_aligned=True)
    assert excerpt.late_seconds == Fraction(1, 4)
    cut_off = np.concatenate(list(excerpt.blocks()), axis=1)
    np.testing.assert_array_equal(cut_off, whole(tmp_path / "a.wav")[:, RATE // 4 :])


def test_when_it_begins_after_its_track(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise().T, RATE)
    file = AudioFile(tmp_path / "a.wav")
    file.film_offset_seconds = 1.5
    assert Excerpt(file, 2.0).late_seconds == 2
    assert Excerpt(file, 2.0, is_aligned=True).late_seconds == Fraction(1, 2)
    assert Excerpt(file, is_aligned=True).late_seconds == Fraction(-3, 2)


@pytest.mark.parametrize("name", ["a.wav", "a.mkv", "a.mp3"])
def test_beyond_the_end(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.mkv":
        write_film(path, "pcm_s16le")
    else:
        soundfile.write(path, noise().T, RATE)
    with pytest.raises(ValueError, match=r"a\.\w+ lasts 0:00:24.*nothing is at 1:00:00; choose an"):
        cut(path, 3_600.0)
    with pytest.raises(ValueError, match=r"lasts 0:00:24.*, not until 0:00:30; choose an earlier"):
        cut(path, 23.0, 30.0)
    # What players show is rounded.
    assert cut(path, 23.0, 24.08).shape[1] >= RATE


@pytest.mark.parametrize(
    "span", [(-1.0, None), (float("nan"), None), (2.0, 2.0), (2.0, 1.0), (0.0, float("inf"))]
)
def test_spans_that_make_no_sense(span: tuple[float, float | None]) -> None:
    with pytest.raises(ValueError, match="excerpt"):
        check_excerpt(*span)


def test_a_span_shorter_than_a_sample(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise().T, RATE)
    with pytest.raises(ValueError, match="there is no sample at 48000 Hz; choose a later end"):
        Excerpt(AudioFile(tmp_path / "a.wav"), 1.0, 1.000001)


def test_damage_behind_the_start_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, noise().T, RATE, subtype="PCM_16")
    content = bytearray(path.read_bytes())
    middle = len(content) * 3 // 4
    content[middle : middle + 4_000] = bytes(4_000)
    path.write_bytes(content)
    # As far as the damage both are the same; what FFmpeg makes of it may differ.
    np.testing.assert_array_equal(cut(path, 10.0, 15.0), whole(path)[:, 10 * RATE : 15 * RATE])
    assert cut(path, 10.0).shape[1] > 10 * RATE
