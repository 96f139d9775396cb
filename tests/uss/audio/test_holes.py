"""Holes in timestamps: what follows them is heard where the container says."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from uss.audio import AudioFile, read_audio

RATE = 48_000
SECONDS = 6
CLICK = 11 * RATE // 2
CODECS = {"opus": "libopus", "aac": "aac", "flac": "flac", "pcm": "pcm_s16le", "mp2": "mp2"}
# FFmpeg's MP4 and transport streams take no PCM, and its transport streams no FLAC.
HELD = [
    (codec, suffix)
    for codec in CODECS
    for suffix in ("mka", "mkv", "mp4", "ts")
    if (codec, suffix) not in {("pcm", "mp4"), ("pcm", "ts"), ("flac", "ts")}
]


def quiet_noise_with_a_click() -> NDArray[np.float32]:
    waveform = 0.01 * np.random.default_rng(0).standard_normal(SECONDS * RATE)
    # Long enough for codecs of low rate to keep its place.
    waveform[CLICK : CLICK + 480] += 0.8 * np.sin(0.5 * np.arange(480))
    return waveform.astype(np.float32)


def write_track(
    path: Path,
    codec: str,
    hole: tuple[float, float] | None = None,
    shifts: tuple[tuple[float, float], ...] = (),
) -> Path:
    """A track without the frames of a hole, in seconds; those behind a time may be shifted."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODECS[codec], rate=RATE, layout="mono")
        form = stream.codec_context.format.name
        size = stream.codec_context.frame_size or 1_024
        waveform = quiet_noise_with_a_click()
        for start in range(0, len(waveform), size):
            if hole and hole[0] <= start / RATE < hole[1]:
                continue
            piece = np.pad(
                waveform[start : start + size], (0, max(0, start + size - len(waveform)))
            )
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece[None]), "flt", "mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            (frame,) = av.AudioResampler(form, "mono", RATE).resample(frame)
            late = sum(shift for time, shift in shifts if start / RATE >= time)
            frame.pts = start + round(late * RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def shift_second_cluster(path: Path, milliseconds: int) -> None:
    """Change the time that packets of Matroska are counted from (RFC 9559, section 5.1.3.1)."""
    content = bytearray(path.read_bytes())
    cluster = bytes.fromhex("1f43b675")
    second = content.index(cluster, content.index(cluster) + 1)
    start = content.index(0xE7, second) + 2
    end = start + (content[start - 1] & 0x7F)
    time = int.from_bytes(content[start:end], "big") + milliseconds
    content[start:end] = time.to_bytes(end - start, "big")
    path.write_bytes(content)


def click_seconds(waveform: NDArray[np.float32]) -> float:
    return float(np.flatnonzero(np.abs(waveform[0]) > 0.3)[0] / RATE)


def decoded(path: Path) -> NDArray[np.float32]:
    """What FFmpeg decodes, one frame after the other."""
    resampler = av.AudioResampler("fltp")
    with av.open(str(path)) as container:
        frames = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray() for frame in frames], axis=1)


@pytest.mark.parametrize(("codec", "suffix"), HELD)
def test_an_intact_track_is_what_the_decoder_gives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, codec: str, suffix: str
) -> None:
    path = write_track(tmp_path / f"a.{suffix}", codec)
    waveform = read_audio(path).waveform
    np.testing.assert_array_equal(waveform, decoded(path))
    assert not caplog.records
    assert waveform.shape[1] / RATE == pytest.approx(SECONDS, abs=0.1)


@pytest.mark.parametrize(("codec", "suffix"), HELD)
def test_silence_fills_a_hole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, codec: str, suffix: str
) -> None:
    whole = read_audio(write_track(tmp_path / f"whole.{suffix}", codec)).waveform
    path = write_track(tmp_path / f"a.{suffix}", codec, hole=(2.0, 4.0))
    source = AudioFile(path)
    waveform, again = (np.concatenate(list(source.blocks()), axis=1) for _ in range(2))
    np.testing.assert_array_equal(waveform, again)
    # Encoders end with a frame more or less.
    assert abs(waveform.shape[1] - whole.shape[1]) <= 1_200
    # Matroska counts milliseconds.
    assert click_seconds(waveform) == pytest.approx(click_seconds(whole), abs=0.001)
    assert not waveform[0, round(2.3 * RATE) : round(3.7 * RATE)].any()
    before = slice(0, round(1.5 * RATE))
    np.testing.assert_array_equal(waveform[:, before], whole[:, before])
    (record,) = caplog.records
    assert f"{path} has holes in its timestamps; 2.0" in record.getMessage()


@pytest.mark.parametrize("suffix", ["mka", "mp4", "ts"])
def test_two_holes(tmp_path: Path, suffix: str) -> None:
    path = write_track(tmp_path / f"a.{suffix}", "aac", shifts=((1.0, 0.5), (4.0, 30.0)))
    waveform = read_audio(path).waveform
    whole = read_audio(write_track(tmp_path / f"whole.{suffix}", "aac")).waveform
    late = 0.5 if suffix == "ts" else 30.5
    # A transport stream that jumps by more than 10 s has changed its clock.
    assert waveform.shape[1] / RATE == pytest.approx(whole.shape[1] / RATE + late, abs=0.001)
    assert click_seconds(waveform) == pytest.approx(click_seconds(whole) + late, abs=0.001)


@pytest.mark.parametrize("suffix", ["mka", "mkv"])
def test_what_overlaps_is_heard_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    path = write_track(tmp_path / f"a.{suffix}", "pcm")
    whole = read_audio(path).waveform
    shift_second_cluster(path, -250)
    waveform = read_audio(path).waveform
    assert abs(whole.shape[1] - waveform.shape[1] - RATE // 4) <= RATE / 1_000
    assert click_seconds(waveform) == pytest.approx(click_seconds(whole) - 0.25, abs=0.001)
    assert "has overlapping timestamps; 0.25 s that come twice" in caplog.text


def test_a_track_that_starts_late_is_given_from_its_start(tmp_path: Path) -> None:
    whole = read_audio(write_track(tmp_path / "whole.mka", "flac")).waveform
    late = read_audio(write_track(tmp_path / "a.mka", "flac", shifts=((0.0, 1.5),))).waveform
    np.testing.assert_array_equal(late, whole)
