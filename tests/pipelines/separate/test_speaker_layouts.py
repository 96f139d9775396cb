"""Stems are for the speakers that the recording is for."""

import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from tests.pipelines.separate.test_formats import assert_adds_up, write_film
from uss.audio import AudioWriter, ChannelLayout

Separate = Callable[..., int]
MASKS = {"quad": 0x33, "4.0": 0x107, "5.1": 0x3F, "5.1(side)": 0x60F, "7.1": 0x63F}


def write(path: Path, name: str, num_samples: int = 16_000) -> Path:
    num_channels = MASKS[name].bit_count()
    noise = np.random.default_rng(0).standard_normal((num_channels, num_samples))
    layout = ChannelLayout(name, MASKS[name])
    with AudioWriter(path, 32_000, num_channels, "PCM_16", num_samples, layout=layout) as writer:
        writer.write(0.1 * noise)
    return path


def layouts(folder: Path) -> set[str]:
    found = set()
    for path in folder.iterdir():
        with av.open(str(path)) as container:
            found.add(container.streams.audio[0].layout.name)
    return found


@pytest.mark.parametrize("form", ["wav", "flac"])
@pytest.mark.parametrize("name", MASKS)
def test_stems_keep_the_layout(tmp_path: Path, separate: Separate, name: str, form: str) -> None:
    recording = write(tmp_path / "take.wav", name)
    assert separate(recording, "--level", "1", "--format", form) == 0
    folder = tmp_path / "out" / "take" / "level1"
    assert layouts(folder) == {name}
    assert_adds_up(folder, recording)


@pytest.mark.parametrize(
    ("name", "codec", "layout", "copied"),
    [
        ("film.mkv", "flac", "4.0", "film.mkv"),
        ("film.mkv", "flac", "5.1(side)", "film.mkv"),
        ("film.mp4", "ac3", "5.1(side)", "film.mp4"),
        # FLAC in MP4 has no comments, and would be taken for quad.
        ("film.mp4", "aac", "4.0", "film.mkv"),
    ],
)
def test_so_does_the_copy_of_a_film(
    tmp_path: Path, separate: Separate, name: str, codec: str, layout: str, copied: str
) -> None:
    film = write_film(tmp_path / name, codec, layout, 1.0)
    assert separate(film, "--level", "1", "--mux") == 0
    assert layouts(tmp_path / "out" / "film" / "level1") == {layout}
    with av.open(str(tmp_path / "out" / "film" / copied)) as copy:
        assert {stream.layout.name for stream in copy.streams.audio} == {layout}


def write_center_first(path: Path) -> Path:
    """A CAF file whose channels are C, L, R (kCAFChannelLayoutTag_MPEG_3_0_B)."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((16_000, 3))
    soundfile.write(path, noise, 32_000, subtype="FLOAT", format="CAF")
    content = path.read_bytes()
    end_of_description = 8 + 12 + 32
    chunk = b"chan" + struct.pack(">qIII", 12, 114 << 16 | 3, 0, 0)
    path.write_bytes(content[:end_of_description] + chunk + content[end_of_description:])
    return path


def test_channels_that_flac_would_take_for_others_are_refused_before_any_work(
    tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = write_center_first(tmp_path / "take.caf")
    assert separate(recording, "--format", "flac") == 2
    assert "flac cannot note the channels" in (error := capsys.readouterr().err)
    assert "--format wav" in error
    assert not (tmp_path / "out").exists()
    assert separate(recording, "--level", "1") == 0
    assert_adds_up(tmp_path / "out" / "take" / "level1", recording)
