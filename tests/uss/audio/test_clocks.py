"""Transport streams that were appended to each other: every one has a clock of its own."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from uss.audio import read_audio
from uss.audio.muxing import AudioTrack, mux_stems

RATE = 48_000
PICTURES_PER_SECOND = 25


def write_film(
    path: Path, seconds: int, codec: str = "mpeg2video", clock_seconds: float = 0.0
) -> Path:
    """A film that is black and silent but for its last second, which is white and loud."""
    rng = np.random.default_rng(seconds)
    options = {"output_ts_offset": str(clock_seconds)}
    with av.open(str(path), "w", container_options=options) as film:
        video = film.add_stream(codec, rate=PICTURES_PER_SECOND)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        voice = film.add_stream("mp2", rate=RATE, layout="mono")
        packets = []
        for index in range(seconds * PICTURES_PER_SECOND):
            is_white = index >= (seconds - 1) * PICTURES_PER_SECOND
            pixels = np.full((96, 64), 235 if is_white else 16, np.uint8)
            pixels[64:] = 128
            packets += video.encode(av.VideoFrame.from_ndarray(pixels, "yuv420p"))
        packets += video.encode(None)
        for start in range(0, seconds * RATE, 1_152):
            is_loud = start >= (seconds - 1) * RATE
            piece = rng.integers(-9_000, 9_000, (1, 1_152), np.int16) * is_loud
            frame = av.AudioFrame.from_ndarray(piece.astype(np.int16), "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
            packets += voice.encode(frame)
        packets += voice.encode(None)
        for packet in sorted(packets, key=lambda each: each.dts * each.time_base):
            film.mux(packet)
    return path


def loud_seconds(waveform: NDArray[np.float32]) -> list[float]:
    """When silence ends."""
    loud = np.abs(waveform[0]).reshape(-1, 48).max(axis=1) > 0.05
    return [(i + 1) / 1_000 for i in np.flatnonzero(loud[1:] & ~loud[:-1])]


def white_seconds(path: Path) -> list[float]:
    with av.open(str(path)) as film:
        pictures = [(float(p.time), p.to_ndarray()[0, 0] > 128) for p in film.decode(video=0)]
    return [
        time
        for (time, white), (_, before) in zip(pictures[1:], pictures, strict=False)
        if white and not before
    ]


@pytest.mark.parametrize("codec", ["mpeg2video", "h264"])
@pytest.mark.parametrize("clocks", [(0.0, 0.0, 0.0), (0.0, 500.0, 3.0), (90_000.0, 0.0, 5_000.0)])
def test_transport_streams_are_joined_in_sync(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    codec: str,
    clocks: tuple[float, float, float],
) -> None:
    seconds = (3, 2, 4)
    films = [
        write_film(tmp_path / f"{index}.ts", length, codec, clock)
        for index, (length, clock) in enumerate(zip(seconds, clocks, strict=True))
    ]
    film = tmp_path / "all.ts"
    film.write_bytes(b"".join(each.read_bytes() for each in films))
    waveform = read_audio(film).waveform
    assert waveform.shape[1] / RATE == pytest.approx(9.0, abs=0.2)
    assert f"{film} consists of 3 films with clocks of their own" in caplog.text
    heard = loud_seconds(np.pad(waveform, ((0, 0), (0, -waveform.shape[1] % 48))))
    assert heard == pytest.approx([2.0, 4.0, 8.0], abs=0.2)

    stem = AudioTrack("all", tmp_path / "stem.wav")
    soundfile.write(stem.path, waveform.T, RATE, "PCM_24")
    mux_stems(film, 1, [stem], tmp_path / "copy.mkv")
    with av.open(str(tmp_path / "copy.mkv")) as copy:
        start = next(copy.decode(audio=0)).time
        times = [packet.dts for packet in copy.demux(video=0) if packet.dts is not None]
    assert times == sorted(set(times))
    with av.open(str(tmp_path / "copy.mkv")) as copy:
        assert len(list(copy.decode(video=0))) == 9 * PICTURES_PER_SECOND
    # Pictures turn white when it becomes loud, within a picture and a frame of MP2.
    assert white_seconds(tmp_path / "copy.mkv") == pytest.approx(
        [start + each for each in heard], abs=0.065
    )


def test_one_transport_stream_is_read_as_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = write_film(tmp_path / "a.ts", 3)
    with av.open(str(film)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    expected = np.concatenate(frames, axis=1)
    waveform = read_audio(film).waveform
    np.testing.assert_array_equal(waveform, expected.reshape(1, -1) / np.float32(32_768))
    assert not caplog.records


def test_of_joined_mp4_films_the_copy_has_the_first_pictures(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = write_film(tmp_path / "a.mp4", 2, "h264")
    film = tmp_path / "both.mp4"
    film.write_bytes(2 * one.read_bytes())
    waveform = read_audio(film).waveform
    np.testing.assert_array_equal(waveform, np.tile(read_audio(one).waveform, 2))
    assert not caplog.records
    stem = AudioTrack("all", tmp_path / "stem.wav")
    soundfile.write(stem.path, waveform.T, RATE, "PCM_24")
    mux_stems(film, 1, [stem], tmp_path / "copy.mp4")
    assert f"{film} consists of films that follow each other" in caplog.text
    with av.open(str(tmp_path / "copy.mp4")) as copy:
        assert len(list(copy.decode(video=0))) == 2 * PICTURES_PER_SECOND
