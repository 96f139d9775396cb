"""All of a recording is separated, wherever its file hides it, and stands at its time."""

import json
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

SAMPLE_RATE = 32_000

WriteNoise = Callable[..., Path]
Separate = Callable[..., int]


def duration_seconds(folder: Path) -> float:
    stored: dict[str, Any] = json.loads((folder / "detections.json").read_text())
    return float(stored["duration_seconds"])


@pytest.mark.parametrize(("suffix", "form"), [("ogg", None), ("opus", "OGG"), ("mp3", None)])
def test_the_second_of_two_joined_files_is_separated(
    tmp_path: Path,
    separate: Separate,
    rng: np.random.Generator,
    capfd: pytest.CaptureFixture[str],
    suffix: str,
    form: str | None,
) -> None:
    parts = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.{suffix}"
        subtype = "OPUS" if suffix == "opus" else None
        rate = 48_000
        soundfile.write(path, 0.1 * rng.standard_normal(rate), rate, subtype, format=form)
        parts.append(path.read_bytes())
    joined = tmp_path / f"joined.{suffix}"
    joined.write_bytes(b"".join(parts))
    capfd.readouterr()
    assert separate(joined) == 0
    folder = tmp_path / "out" / "joined"
    assert duration_seconds(folder) == pytest.approx(2.0, abs=0.03)
    for stem in folder.glob("level*/*.wav"):
        assert soundfile.info(stem).frames == pytest.approx(2 * 48_000, abs=1_500)
    assert "Xing" not in capfd.readouterr().err


def test_a_recorder_that_lost_power(
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Separate,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = write_noise(tmp_path / "take.wav", 1.5)
    content = bytearray(path.read_bytes())
    data = content.index(b"data")
    content[data + 4 : data + 8] = content[4:8] = bytes(4)
    path.write_bytes(content)
    assert separate(path) == 0
    assert duration_seconds(tmp_path / "out" / "take") == 1.5
    assert "take.wav is damaged or cut off; the 1.5 s" in caplog.text


def test_what_follows_a_hole_is_in_sync_with_the_pictures(
    tmp_path: Path,
    separate: Separate,
    rng: np.random.Generator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    film = tmp_path / "film.mkv"
    with av.open(str(film), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        voice: Any = container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        for _ in range(30):
            picture = av.VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), "yuv420p")
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        for start in [*range(0, SAMPLE_RATE, 800), *range(2 * SAMPLE_RATE, 3 * SAMPLE_RATE, 800)]:
            piece = rng.integers(-9_000, 9_000, (1, 800)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(piece, "s16", "mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            frame.time_base = Fraction(1, SAMPLE_RATE)
            container.mux(voice.encode(frame))
        container.mux(voice.encode(None))
    assert separate(film, "--mux") == 0
    folder = tmp_path / "out" / "film"
    assert duration_seconds(folder) == pytest.approx(3.0, abs=0.001)
    assert "film.mkv has holes in its timestamps; 1.00 s" in caplog.text
    with av.open(str(folder / "film.mkv")) as copy:
        stems = [
            np.concatenate([frame.to_ndarray()[0] for frame in copy.decode(audio=index)])
            for index in range(len(copy.streams.audio))
            if copy.seek(0) is None
        ]
    mixture = np.sum([stem / 2.0**31 for stem in stems], axis=0)
    loud = np.abs(mixture) > 0.02
    hole = mixture[round(1.01 * SAMPLE_RATE) : round(1.99 * SAMPLE_RATE)]
    assert loud[: SAMPLE_RATE - 1_000].mean() > 0.5
    assert np.abs(hole).max() < 1e-4
    assert loud[round(2.01 * SAMPLE_RATE) :].mean() > 0.5


@pytest.mark.parametrize("sample_rate", [1, 2**26])
def test_a_sample_rate_that_no_recording_has(
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
    sample_rate: int,
) -> None:
    path = write_noise(tmp_path / "a.wav", 0.5)
    content = bytearray(path.read_bytes())
    rate = content.index(b"fmt ") + 12
    content[rate : rate + 4] = struct.pack("<I", sample_rate)
    path.write_bytes(content)
    assert separate(path) == 2
    assert f"a.wav has a sample rate of {sample_rate} Hz" in capsys.readouterr().err
    assert not (tmp_path / "out" / "a").exists()
