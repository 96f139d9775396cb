import logging
import resource
import signal
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from uss.audio.muxing import AudioTrack, check_film, film_suffix, mux_stems

RATE = 16_000
PICTURES_PER_SECOND = 10
# Matroska counts milliseconds.
HALF_TICK = Fraction(1, 2_000)


def noise(num_samples: int, num_channels: int = 2, seed: int = 0) -> NDArray[np.float64]:
    """(T, C) samples of 24 bits."""
    samples = np.random.default_rng(seed).uniform(-1.0, 1.0, (num_samples, num_channels))
    return np.floor(samples * 2**23) / 2**23


def write_film(
    path: Path,
    layouts: tuple[str, ...] = ("stereo",),
    start_seconds: tuple[float, ...] = (0.0,),
    seconds: float = 2.0,
    video_codec: str = "mpeg4",
    audio_codec: str = "aac",
    rotation: int = 0,
    clock_seconds: int = 0,
) -> None:
    """A film of coloured noise with a tone in every audio track."""
    rng = np.random.default_rng(1)
    options = {"output_ts_offset": str(clock_seconds)}
    with av.open(str(path), "w", container_options=options) as container:
        video = container.add_stream(video_codec, rate=PICTURES_PER_SECOND)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        video.metadata["title"] = "Pictures"
        container.metadata["title"] = "A film"
        if rotation:
            video.set_display_rotation(rotation)
        voices = [container.add_stream(audio_codec, rate=RATE, layout=name) for name in layouts]
        for voice in voices:
            voice.metadata["language"] = "deu"
        for index in range(round(seconds * PICTURES_PER_SECOND)):
            picture = av.VideoFrame.from_ndarray(
                rng.integers(0, 255, (96, 64), np.uint8), format="yuv420p"
            )
            picture.pts, picture.time_base = index, Fraction(1, PICTURES_PER_SECOND)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        for voice, late_seconds in zip(voices, start_seconds, strict=True):
            mux_tone(container, voice, late_seconds, round(seconds * RATE))


def mux_tone(
    container: av.container.OutputContainer,
    voice: av.AudioStream,
    late_seconds: float,
    num_samples: int,
) -> None:
    for start in range(0, num_samples, 1_024):
        tone = 0.1 * np.sin(0.2 * np.arange(start, start + 1_024), dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(
            np.tile(tone, (voice.layout.nb_channels, 1)), "fltp", voice.layout.name
        )
        frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
        frame.pts = start + round(late_seconds * RATE)
        container.mux(voice.encode(frame))
    container.mux(voice.encode(None))


def write_stems(folder: Path, *stems: NDArray[np.float64], subtype: str) -> list[AudioTrack]:
    tracks = []
    for index, samples in enumerate(stems):
        tracks.append(AudioTrack(f"Stem {index}: Büro", folder / f"{index}.wav"))
        soundfile.write(tracks[-1].path, samples, RATE, subtype=subtype)
    return tracks


def video_packets(path: Path) -> list[tuple[bytes, Fraction, Fraction | None]]:
    """Content and times in seconds; decoding times where the container notes them."""
    with av.open(str(path)) as film:
        return [
            (
                bytes(packet),
                packet.pts * packet.time_base,
                None if packet.dts is None else packet.dts * packet.time_base,
            )
            for packet in film.demux(film.streams.video[0])
            if packet.size
        ]


def decoded(path: Path, track: int) -> tuple[Fraction, NDArray[np.float64]]:
    """The time of the first sample, and (T, C) samples."""
    with av.open(str(path)) as film:
        frames = list(film.decode(audio=track - 1))
    samples = [f.to_ndarray().reshape(-1, f.layout.nb_channels) / 2.0**31 for f in frames]
    return frames[0].pts * frames[0].time_base, np.concatenate(samples)


def start_of(path: Path, track: int) -> Fraction:
    with av.open(str(path)) as film:
        frame = next(film.decode(audio=track - 1))
        return frame.pts * frame.time_base


@pytest.mark.parametrize("codec", ["mpeg4", "h264"])
@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.mkv", ".mkv"), ("a.mp4", ".mp4"), ("a.M4V", ".m4v"), ("a.mov", ".mkv"), ("a.avi", ".mkv")],
)
def test_the_copy_of_a_film(tmp_path: Path, name: str, suffix: str, codec: str) -> None:
    if name == "a.avi" and codec == "h264":
        pytest.skip("AVI separates what Matroska counts; see the next test")
    film, output = tmp_path / name, tmp_path / f"copy{suffix}"
    if name == "a.M4V":
        write_film(tmp_path / "a.mp4", video_codec=codec)
        (tmp_path / "a.mp4").rename(film)
    else:
        write_film(film, video_codec=codec)
    stems = write_stems(tmp_path, noise(2 * RATE), noise(RATE, seed=1), subtype="PCM_24")
    check_film(film)
    assert film_suffix(film) == suffix
    mux_stems(film, 1, stems, output)

    # Matroska has no times below 0, which the padding of AAC may have in older versions of FFmpeg.
    late = max(Fraction(0), -start_of(film, 1)) if suffix == ".mkv" else 0
    for (content, pts, dts), (own_content, own_pts, own_dts) in zip(
        video_packets(output), video_packets(film), strict=True
    ):
        assert content == own_content
        assert abs(pts - late - own_pts) <= (HALF_TICK if suffix == ".mkv" else 0)
        if suffix != ".mkv":
            assert dts == own_dts
    for track, seed in ((1, 0), (2, 1)):
        start, samples = decoded(output, track)
        assert abs(start - late - start_of(film, 1)) <= HALF_TICK
        np.testing.assert_array_equal(samples, noise((3 - track) * RATE, seed=seed))
    with av.open(str(output)) as copy:
        assert len(copy.streams.audio) == 2
        for track, stem in zip(copy.streams.audio, stems, strict=True):
            assert track.codec_context.name == "flac"
            assert stem.title in (track.metadata.get("title"), track.metadata.get("handler_name"))
        is_default = [bool(t.disposition & t.disposition.default) for t in copy.streams.audio]
        assert is_default == [True, False]
        assert copy.metadata["title"] == "A film"
        if name == "a.mkv":
            assert copy.streams.video[0].metadata["title"] == "Pictures"
            assert [track.language for track in copy.streams.audio] == ["deu", "deu"]


def test_h264_of_avi_shows_the_same_pictures(tmp_path: Path) -> None:
    film, output = tmp_path / "a.avi", tmp_path / "copy.mkv"
    write_film(film, video_codec="h264")
    mux_stems(film, 1, write_stems(tmp_path, noise(RATE), subtype="PCM_24"), output)
    with av.open(str(film)) as own, av.open(str(output)) as copy:
        for picture, copied in zip(own.decode(video=0), copy.decode(video=0), strict=True):
            np.testing.assert_array_equal(copied.to_ndarray(), picture.to_ndarray())
            assert abs(copied.time - picture.time) <= HALF_TICK


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "PCM_16", "PCM_32"])
def test_stems_are_rounded_to_24_bits(tmp_path: Path, subtype: str) -> None:
    write_film(tmp_path / "a.mkv")
    (stem,) = write_stems(tmp_path, 0.9 * noise(RATE), subtype=subtype)
    mux_stems(tmp_path / "a.mkv", 1, [stem], tmp_path / "copy.mkv")
    stored, _ = soundfile.read(stem.path)
    _, samples = decoded(tmp_path / "copy.mkv", 1)
    assert np.abs(samples - stored).max() <= 2.0**-24


def test_samples_beyond_full_scale_are_clipped_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_film(tmp_path / "a.mkv")
    samples = np.array([[0.5, 1.5], [-1.0, 1.0], [-2.0, 0.0]])
    stems = write_stems(tmp_path, samples, subtype="FLOAT")
    with caplog.at_level(logging.WARNING):
        mux_stems(tmp_path / "a.mkv", 1, stems, tmp_path / "copy.mkv")
    _, stored = decoded(tmp_path / "copy.mkv", 1)
    np.testing.assert_allclose(stored, samples.clip(-1.0, 1.0), atol=2.0**-23)
    (record,) = caplog.records
    assert record.getMessage() == "Stem 0: Büro: 2 samples beyond full scale are clipped"


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_stems_start_with_their_track(tmp_path: Path, name: str) -> None:
    film, output = tmp_path / name, tmp_path / f"copy{name}"
    write_film(film, ("stereo", "mono"), (0.0, 0.5))
    stems = write_stems(tmp_path, noise(RATE), subtype="PCM_24")
    for track in (1, 2):
        mux_stems(film, track, stems, output)
        start, samples = decoded(output, 1)
        start -= video_packets(output)[0][1]
        own_start = start_of(film, track) - video_packets(film)[0][1]
        assert abs(start - own_start) <= 2 * HALF_TICK
        assert abs(start - (track - 1) / 2) <= 0.1
        np.testing.assert_array_equal(samples, noise(RATE))


def test_a_broadcast_starts_at_zero_and_stays_in_step(tmp_path: Path) -> None:
    film, output = tmp_path / "a.ts", tmp_path / "copy.mkv"
    write_film(
        film,
        start_seconds=(0.5,),
        video_codec="mpeg2video",
        audio_codec="mp2",
        clock_seconds=100,
    )
    assert film_suffix(film) == ".mkv"
    mux_stems(film, 1, write_stems(tmp_path, noise(RATE), subtype="PCM_24"), output)
    own, copied = video_packets(film), video_packets(output)
    assert [content for content, *_ in copied] == [content for content, *_ in own]
    assert own[0][1] >= 100
    assert copied[0][1] < 0.2
    between = start_of(film, 1) - own[0][1]
    assert abs(start_of(output, 1) - copied[0][1] - between) <= 2 * HALF_TICK


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1", "5.1(side)"])
def test_channels_are_those_of_the_track(tmp_path: Path, layout: str) -> None:
    film, output = tmp_path / "a.mkv", tmp_path / "copy.mkv"
    write_film(film, (layout,), audio_codec="flac" if "side" in layout else "aac")
    num_channels = av.AudioLayout(layout).nb_channels
    stems = write_stems(tmp_path, noise(RATE, num_channels), subtype="PCM_24")
    mux_stems(film, 1, stems, output)
    with av.open(str(output)) as copy:
        assert copy.streams.audio[0].layout.name == layout
    np.testing.assert_array_equal(decoded(output, 1)[1], noise(RATE, num_channels))


def test_stems_may_have_other_channels_than_the_track(tmp_path: Path) -> None:
    write_film(tmp_path / "a.mkv", ("5.1",))
    stems = write_stems(tmp_path, noise(RATE, 2), noise(RATE, 7), subtype="PCM_24")
    mux_stems(tmp_path / "a.mkv", 1, stems, tmp_path / "copy.mkv")
    with av.open(str(tmp_path / "copy.mkv")) as copy:
        assert [track.layout.name for track in copy.streams.audio] == ["stereo", "6.1"]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_packets_of_one_time_lie_together(tmp_path: Path, name: str) -> None:
    film, output = tmp_path / name, tmp_path / f"copy{name}"
    write_film(film, seconds=12.0)
    stems = [noise(12 * RATE, 1, seed) for seed in range(4)]
    mux_stems(film, 1, write_stems(tmp_path, *stems, subtype="PCM_24"), output)
    with av.open(str(output)) as copy:
        placed = [
            (packet.pos, float(packet.pts * packet.time_base))
            for packet in copy.demux()
            if packet.size
        ]
    seconds = np.array([time for _, time in sorted(placed)])
    # A packet of FLAC holds 0.1 s of sound at this rate.
    assert (np.maximum.accumulate(seconds) - seconds).max() < 0.5


@pytest.mark.skipif(not hasattr(av.VideoStream, "set_display_rotation"), reason="an older PyAV")
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_rotation_is_kept(tmp_path: Path, name: str) -> None:
    film, output = tmp_path / name, tmp_path / f"copy{name}"
    write_film(film, rotation=90)
    mux_stems(film, 1, write_stems(tmp_path, noise(RATE), subtype="PCM_24"), output)
    with av.open(str(output)) as copy:
        assert next(copy.decode(video=0)).rotation == 90


@pytest.mark.skipif(not hasattr(av.container.InputContainer, "chapters"), reason="an older PyAV")
def test_chapters_are_kept(tmp_path: Path) -> None:
    write_film(tmp_path / "plain.mkv")
    chapter = {
        "id": 1,
        "start": 500,
        "end": 2_000,
        "time_base": Fraction(1, 1_000),
        "metadata": {"title": "Late"},
    }
    film, output = tmp_path / "a.mkv", tmp_path / "copy.mkv"
    with av.open(str(tmp_path / "plain.mkv")) as plain, av.open(str(film), "w") as container:
        container.set_chapters([chapter])
        copies = [container.add_stream_from_template(s, opaque=True) for s in plain.streams]
        for packet in plain.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                container.mux(packet)
    mux_stems(film, 1, write_stems(tmp_path, noise(RATE), subtype="PCM_24"), output)
    with av.open(str(output)) as copy:
        (kept,) = copy.chapters()
    assert kept["start"] * kept["time_base"] == Fraction(1, 2)
    assert kept["metadata"] == {"title": "Late"}


def test_a_recording_with_a_cover_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    with av.open(str(path), "w") as container:
        voice = container.add_stream("mp3", rate=RATE, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic.value
        container.mux(cover.encode(av.VideoFrame(64, 64, "yuvj420p")))
        mux_tone(container, voice, 0.0, RATE)
    with av.open(str(path)) as container:
        assert container.streams.video
    with pytest.raises(ValueError, match=r"a\.mp3 has no moving pictures; name a film"):
        check_film(path)


def test_what_is_no_film(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", noise(RATE), RATE)
    (tmp_path / "a.txt").write_text("no film")
    with pytest.raises(ValueError, match="no moving pictures"):
        check_film(tmp_path / "a.wav")
    with pytest.raises(ValueError, match="no film that FFmpeg can open"):
        check_film(tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError, match="no such file"):
        check_film(tmp_path / "nowhere.mkv")


def test_video_that_matroska_cannot_hold(tmp_path: Path) -> None:
    write_film(tmp_path / "a.avi", video_codec="wmv2", audio_codec="mp2")
    with pytest.raises(ValueError, match="cannot hold wmv2 video; convert it to"):
        check_film(tmp_path / "a.avi")


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 50 kB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("name", ["copy.mkv", "copy.mp4"])
def test_a_full_disk(tmp_path: Path, name: str, request: pytest.FixtureRequest) -> None:
    write_film(tmp_path / "a.mp4")
    stems = write_stems(tmp_path, noise(RATE), subtype="PCM_24")
    before = set(tmp_path.iterdir())
    request.getfixturevalue("full_disk")
    with pytest.raises(OSError, match=name) as caught:
        mux_stems(tmp_path / "a.mp4", 1, stems, tmp_path / name)
    assert "\n" not in str(caught.value)
    assert set(tmp_path.iterdir()) == before


def test_failures_leave_nothing(tmp_path: Path) -> None:
    film, output = tmp_path / "a.mkv", tmp_path / "copy.mkv"
    write_film(film)
    stems = write_stems(tmp_path, noise(10, 1), noise(10, 9), subtype="PCM_24")
    broken = AudioTrack("Broken", tmp_path / "broken.wav")
    broken.path.write_bytes(b"RIFF")
    before = set(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"Stem 1.* has 9 channels, and FLAC at most 8"):
        mux_stems(film, 1, stems, output)
    with pytest.raises(ValueError, match="a stem cannot be read"):
        mux_stems(film, 1, [broken], output)
    with pytest.raises(ValueError, match="has 1 audio track, so there is no track 2"):
        mux_stems(film, 2, stems[:1], output)
    with pytest.raises(ValueError, match=r"copy\.avi: no container for FLAC; choose \.mkv, \.mp4"):
        mux_stems(film, 1, stems[:1], tmp_path / "copy.avi")
    assert set(tmp_path.iterdir()) == before
