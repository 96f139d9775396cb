"""Which speaker each channel is for, from any file into WAV and FLAC."""

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from uss.audio import AudioFile, AudioWriter
from uss.audio.formats import file_format
from uss.audio.layouts import ChannelLayout, check_layout

RATE = 8_000
# From the table of dwChannelMask.
MASKS = {
    "mono": 0x4,
    "stereo": 0x3,
    "2.1": 0xB,
    "3.0": 0x7,
    "quad": 0x33,
    "quad(side)": 0x603,
    "4.0": 0x107,
    "5.0": 0x37,
    "5.0(side)": 0x607,
    "5.1": 0x3F,
    "5.1(side)": 0x60F,
    "6.1": 0x70F,
    "6.1(back)": 0x13F,
    "7.1": 0x63F,
    "7.1(wide)": 0xFF,
}


@pytest.fixture
def run_python() -> Callable[[str], "subprocess.CompletedProcess[str]"]:
    paths = os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])

    def run(program: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "PYTHONPATH": paths}
        command = [sys.executable, "-c", program]
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    return run


def seen_by_ffmpeg(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.streams.audio[0].layout.name


def write(path: Path, layout: ChannelLayout | None, num_channels: int, subtype: str) -> np.ndarray:
    """Write integers, which all formats hold, and return them."""
    rng = np.random.default_rng(0)
    samples = (rng.integers(-100, 100, (num_channels, 900)) / 128.0).astype(np.float32)
    with AudioWriter(path, RATE, num_channels, subtype, 900, layout=layout) as writer:
        writer.write(samples[:, :500])
        writer.write(samples[:, 500:])
    return samples


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("wav", "FLOAT"),
        ("wav", "PCM_U8"),
        ("wav", "DOUBLE"),
        ("flac", "PCM_24"),
        ("flac", "PCM_16"),
    ],
)
@pytest.mark.parametrize("name", MASKS)
def test_a_layout_comes_back(tmp_path: Path, name: str, container: str, subtype: str) -> None:
    num_channels = MASKS[name].bit_count()
    layout = ChannelLayout.of_mask(MASKS[name], num_channels)
    assert layout == ChannelLayout(name, MASKS[name])
    path = tmp_path / f"a.{container}"
    samples = write(path, layout, num_channels, subtype)
    if num_channels > 2:
        assert seen_by_ffmpeg(path) == name
    np.testing.assert_array_equal(soundfile.read(path, always_2d=True)[0].T, samples)
    found = AudioFile(path).channel_layout
    if found is not None or num_channels > 2:
        assert found == layout


def test_rf64_notes_the_layout_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uss.audio.formats._MAX_WAV_BYTES", 1_000)
    assert file_format("wav", "FLOAT", 4, 900) == "RF64"
    path = tmp_path / "a.wav"
    samples = write(path, ChannelLayout("4.0", MASKS["4.0"]), 4, "FLOAT")
    assert path.read_bytes()[:4] == b"RF64"
    assert seen_by_ffmpeg(path) == "4.0"
    np.testing.assert_array_equal(soundfile.read(path)[0].T, samples)


def test_a_single_channel_of_a_multichannel_session(tmp_path: Path) -> None:
    surround = ChannelLayout.of_mask(0x10, 1)
    write(tmp_path / "a.wav", surround, 1, "FLOAT")
    assert seen_by_ffmpeg(tmp_path / "a.wav") == "1 channels (BL)"
    assert AudioFile(tmp_path / "a.wav").channel_layout == surround


@pytest.mark.parametrize(("num_channels", "mask"), [(1, 0x4), (2, 0x3)])
def test_mono_and_stereo_need_no_mask(tmp_path: Path, num_channels: int, mask: int) -> None:
    layout = ChannelLayout.of_mask(mask, num_channels)
    write(tmp_path / "told.wav", layout, num_channels, "PCM_24")
    write(tmp_path / "untold.wav", None, num_channels, "PCM_24")
    assert (tmp_path / "told.wav").read_bytes() == (tmp_path / "untold.wav").read_bytes()


@pytest.mark.parametrize("mask", [0, 0x3, 0x3F, 0x20000033])
def test_a_mask_that_does_not_fit_four_channels_says_nothing(mask: int) -> None:
    assert ChannelLayout.of_mask(mask, 4) is None


def test_a_recording_that_leaves_it_open_stays_open(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((100, 6)), RATE)
    assert AudioFile(tmp_path / "a.wav").channel_layout is None
    write(tmp_path / "b.wav", None, 6, "FLOAT")
    assert b"fmt \x10\x00\x00\x00" in (tmp_path / "b.wav").read_bytes()[:64]


def test_an_order_that_no_mask_tells(tmp_path: Path) -> None:
    layout = ChannelLayout.of_ffmpeg(av.AudioLayout("FL+FC+FR"))
    assert layout is not None and layout.mask is None
    check_layout("wav", layout)
    write(tmp_path / "a.wav", layout, 3, "FLOAT")
    assert AudioFile(tmp_path / "a.wav").channel_layout is None
    with pytest.raises(ValueError, match=r"flac cannot note the channels .*FL\+FC\+FR.*write WAV"):
        check_layout("flac", layout)
    with pytest.raises(ValueError, match=r"a\.flac: flac cannot note"):
        write(tmp_path / "a.flac", layout, 3, "PCM_24")


def test_chunks_before_the_format_are_skipped(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", ChannelLayout("4.0", MASKS["4.0"]), 4, "PCM_16")
    content = (tmp_path / "a.wav").read_bytes()
    assert struct.unpack_from("<I", content, content.index(b"fmt ") + 28) == (MASKS["4.0"],)


def write_surround(path: Path, codec: str, layout: str) -> None:
    """A constant tone in each channel, the louder the later it comes in WAV's order."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48_000, layout=layout)
        tone = np.sin(0.05 * np.arange(48_000), dtype=np.float32)
        gains = 0.05 * np.arange(1, stream.layout.nb_channels + 1, dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(gains[:, None] * tone, "fltp", layout)
        frame.sample_rate, frame.pts = 48_000, 0
        resampler = av.AudioResampler(stream.format, layout, 48_000, stream.frame_size)
        for each in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(each))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("name", "codec", "layout"),
    [
        ("a.opus", "libopus", "5.1"),
        ("a.opus", "libopus", "3.0"),
        ("a.caf", "pcm_s16be", "4.0"),
        ("a.aiff", "pcm_s16be", "6.1"),
        ("a.mka", "ac3", "5.1(side)"),
        ("a.m4a", "aac", "5.1"),
    ],
)
def test_channels_come_in_the_order_of_wav(
    tmp_path: Path, name: str, codec: str, layout: str
) -> None:
    write_surround(tmp_path / name, codec, layout)
    file = AudioFile(tmp_path / name)
    assert file.channel_layout is not None and file.channel_layout.name == layout
    waveform = np.concatenate(list(file.blocks()), axis=1)[:, 9_600:38_400]
    rms = np.sqrt(np.mean(waveform**2, axis=1)) * np.sqrt(2.0)
    expected = 0.05 * np.arange(1, file.num_channels + 1)
    is_low = np.array([c.name == "LFE" for c in av.AudioLayout(layout).channels])
    # Codecs limit what goes to the subwoofer.
    np.testing.assert_allclose(rms[~is_low], expected[~is_low], rtol=0.15)


def test_vorbis_comes_in_the_order_of_wav(tmp_path: Path) -> None:
    # FL, FC, FR, BL, BR, LFE (Vorbis I, section 4.3.9), each with a level of its own.
    levels = np.array([0.1, 0.3, 0.2, 0.5, 0.6, 0.4])
    tone = np.sin(0.005 * np.arange(96_000))
    soundfile.write(tmp_path / "a.ogg", levels * tone[:, None], 48_000)
    file = AudioFile(tmp_path / "a.ogg")
    assert file.channel_layout == ChannelLayout("5.1", 0x3F)
    waveform = np.concatenate(list(file.blocks()), axis=1)
    rms = np.sqrt(2.0 * np.mean(waveform**2, axis=1))
    np.testing.assert_allclose(rms, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], rtol=0.15)


def test_flac_without_a_note_is_what_players_take_it_for(tmp_path: Path) -> None:
    for num_channels in range(3, 9):
        path = tmp_path / f"{num_channels}.flac"
        soundfile.write(path, np.zeros((5_000, num_channels)), RATE)
        layout = AudioFile(path).channel_layout
        assert layout is not None and layout.name == seen_by_ffmpeg(path)


def test_a_film_whose_channels_come_in_an_order_of_its_own(
    tmp_path: Path, run_python: Callable[[str], "subprocess.CompletedProcess[str]"]
) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("PyAV cannot write such a film")
    film = tmp_path / "a.mov"
    sound = "aevalsrc=0.125|0.25|0.5:c=FL+FC+FR:d=1:s=48000"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", sound, "-c:a", "pcm_s24le", str(film)]
    subprocess.run(command, check=True)
    # In a process of its own, as PyAV would end it.
    done = run_python(
        "import sys; from uss.audio import AudioFile, read_audio\n"
        f"for _ in range(3): print(read_audio({str(film)!r}).waveform[:, 0].round(4))\n"
        f"print(AudioFile({str(film)!r}).channel_layout)"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("[0.125 0.25  0.5  ]") == 3
    assert "FL+FC+FR" in done.stdout and "mask=None" in done.stdout
