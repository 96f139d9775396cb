"""Files in which recordings follow each other, or whose header says less than they hold."""

import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.uss.audio.test_reading_blocks import write_aac
from uss.audio import AudioFile, read_audio, riff
from uss.audio.parts import find_parts
from uss.audio.windows import WHOLE, Part, Window

RATE = 48_000


def noise(seed: int, num_channels: int = 1, num_samples: int = RATE) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal((num_channels, num_samples))).astype(np.float32)


def tone(frequency_hz: float, sample_rate: int, num_channels: int = 1) -> NDArray[np.float32]:
    phase = 2.0 * np.pi * frequency_hz * np.arange(sample_rate) / sample_rate
    return np.tile(0.5 * np.sin(phase), (num_channels, 1)).astype(np.float32)


def write(path: Path, waveform: NDArray[np.float32], sample_rate: int = RATE) -> Path:
    if path.suffix == ".m4a":
        return write_aac(path, waveform, sample_rate)
    if path.suffix[1:] in OF_FFMPEG:
        return write_coded(path, OF_FFMPEG[path.suffix[1:]], waveform, sample_rate)
    form, subtype = ("OGG", "OPUS") if path.suffix == ".opus" else (None, None)
    soundfile.write(path, waveform.T, sample_rate, subtype, format=form)
    return path


def write_coded(path: Path, codec: str, waveform: NDArray[np.float32], sample_rate: int) -> Path:
    """Write with FFmpeg what libsndfile cannot."""
    num_channels, num_samples = waveform.shape
    with av.open(str(path), "w") as container:
        layout = "mono" if num_channels == 1 else "stereo"
        stream = container.add_stream(codec, sample_rate, layout=layout, bit_rate=128_000)
        for start in range(0, num_samples, 1_024):
            block = np.ascontiguousarray(waveform[:, start : start + 1_024])
            frame = av.AudioFrame.from_ndarray(block, "fltp", layout)
            frame.sample_rate, frame.pts = sample_rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def join(path: Path, parts: Sequence[Path | bytes]) -> Path:
    contents = [part if isinstance(part, bytes) else part.read_bytes() for part in parts]
    path.write_bytes(b"".join(contents))
    return path


def loudest_hz(waveform: NDArray[np.float32], sample_rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(spectrum.argmax() * sample_rate / len(waveform))


SUFFIXES = [
    *("ogg", "opus", "mp3", "flac", "wav", "aiff", "au", "caf", "w64", "rf64", "nist"),
    *("m4a", "flv", "wma", "tta", "rm"),
]
OF_FFMPEG = {"flv": "aac", "wma": "wmav2", "tta": "tta", "rm": "ac3", "wv": "wavpack", "avi": "aac"}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_that_follow_each_other_are_heard_one_after_the_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str
) -> None:
    files = [write(tmp_path / f"{seed}.{suffix}", noise(seed)) for seed in range(3)]
    expected = np.concatenate([read_audio(file).waveform for file in files], axis=1)
    source = AudioFile(join(tmp_path / f"all.{suffix}", files))
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate(list(source.blocks()), axis=1), expected)
    assert expected.shape[1] == pytest.approx(3 * RATE, abs=3_500)
    assert not caplog.records


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_file_is_read_as_it_is(tmp_path: Path, suffix: str) -> None:
    (part,) = find_parts(write(tmp_path / f"a.{suffix}", noise(0)))
    assert part.start is None and part.head == b""


@pytest.mark.parametrize("suffix", ["ogg", "opus", "mp3", "flac", "wav", "aiff"])
@pytest.mark.parametrize(
    ("first", "second"), [((48_000, 1), (24_000, 2)), ((24_000, 2), (48_000, 1))]
)
def test_a_part_of_another_kind_is_converted_with_a_warning(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    suffix: str,
    first: tuple[int, int],
    second: tuple[int, int],
) -> None:
    rate, num_channels = first
    path = join(
        tmp_path / f"both.{suffix}",
        [
            write(tmp_path / f"a.{suffix}", tone(440.0, *first), rate),
            write(tmp_path / f"b.{suffix}", tone(1_000.0, *second), second[0]),
        ],
    )
    recording = read_audio(path)
    assert (recording.sample_rate, recording.num_channels) == (rate, num_channels)
    assert recording.num_samples == pytest.approx(2 * rate, abs=2_400)
    for channel in recording.waveform:
        for start, frequency_hz in ((0.3, 440.0), (1.3, 1_000.0)):
            piece = channel[round(start * rate) : round((start + 0.5) * rate)]
            assert loudest_hz(piece, rate) == pytest.approx(frequency_hz, abs=3.0)
            assert np.abs(piece).max() == pytest.approx(0.5, abs=0.05)
    (record,) = caplog.records
    message = record.getMessage()
    assert f"{path} goes on at 1.0 s with {second[0]} Hz and {second[1]} channels" in message


def without_lame_header(path: Path) -> bytes:
    """Frames alone, as speech services and hardware encoders send them."""
    content = path.read_bytes()
    start = content.index(b"\xff", 1)
    while not (content[start + 1] >= 0xE0 and content[start : start + 2] == content[:2]):
        start = content.index(b"\xff", start + 1)
    return content[start:]


def test_mp3_frames_without_headers_and_tags_between_them(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{seed}.mp3", noise(seed)) for seed in range(2)]
    whole = [read_audio(file).waveform for file in files]
    bare = [without_lame_header(file) for file in files]
    tag = b"ID3\x04\0\0" + bytes([0, 0, 7, 0x68]) + bytes(1_000)
    for parts in ([files[0], bare[1]], [bare[0], files[1]], [files[0], tag, files[1]], bare):
        path = join(tmp_path / "all.mp3", parts)
        recording = read_audio(path)
        # What has no header is not told from the encoder's padding.
        assert recording.num_samples == pytest.approx(2 * RATE, abs=2 * 1_152 + 1_105)
        tail = recording.waveform[:, -RATE // 2 :]
        lags = [
            float(np.corrcoef(tail[0, :9_000], whole[1][0, -RATE // 2 - lag :][:9_000])[0, 1])
            for lag in range(-1_800, 1_800)
        ]
        assert max(lags) > 0.9


def test_what_cannot_be_decoded_is_told_with_its_duration(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = write(tmp_path / "a.ogg", noise(0))
    broken = bytearray(first.read_bytes())
    # The second page of Vorbis holds its code books.
    page = broken.index(b"OggS", 4)
    broken[page + 40 : page + 2_000] = bytes(1_960)
    path = join(tmp_path / "both.ogg", [first, bytes(broken)])
    assert read_audio(path).num_samples == RATE
    assert f"{path} goes on for about 1.0 s ({len(broken)} bytes) that cannot" in caplog.text


def test_streams_side_by_side_are_no_chain(tmp_path: Path) -> None:
    # Two beginnings in a row, as Theora and Vorbis have them.
    content = write(tmp_path / "a.ogg", noise(0)).read_bytes()
    first_page = content[: content.index(b"OggS", 4)]
    assert find_parts(join(tmp_path / "b.ogg", [first_page, content])) == [WHOLE]


def test_flac_that_goes_on_behind_its_promised_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(0, num_samples=3 * RATE))
    whole = read_audio(path).waveform
    content = bytearray(path.read_bytes())
    low = RATE.to_bytes(5, "big")
    content[21:26] = bytes([content[21] & 0xF0 | low[0]]) + low[1:]
    path.write_bytes(content)
    np.testing.assert_array_equal(read_audio(path).waveform, whole)


def set_sizes(path: Path, riff_size: int, data_size: int) -> None:
    content = bytearray(path.read_bytes())
    data = content.index(b"data")
    content[4:8] = struct.pack("<I", riff_size)
    content[data + 4 : data + 8] = struct.pack("<I", data_size)
    path.write_bytes(content)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "DOUBLE", "ULAW", "PCM_U8"])
@pytest.mark.parametrize(
    ("riff_size", "data_size"), [(0, 0), (2**32 - 1, 0), (36, 0), (24_036, 24_000)]
)
def test_wav_of_a_recorder_that_lost_power(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    subtype: str,
    riff_size: int,
    data_size: int,
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(0, 2).T, RATE, subtype)
    whole = read_audio(path).waveform
    set_sizes(path, riff_size, data_size)
    np.testing.assert_array_equal(read_audio(path).waveform, whole)
    (record,) = caplog.records
    assert f"{path} is damaged or cut off; the 1.0 s" in record.getMessage()


def patched(path: Path, *patches: tuple[bytes, int, bytes]) -> Path:
    """Put other bytes at an offset from where the first ones lie."""
    content = bytearray(path.read_bytes())
    for mark, offset, replacement in patches:
        start = content.index(mark) + offset
        content[start : start + len(replacement)] = replacement
    path.write_bytes(content)
    return path


UNKNOWN = b"\xff" * 8
FROM_A_PIPE = {
    "caf": ("CAF", [(b"data", 4, UNKNOWN)]),
    "w64 of ffmpeg": ("W64", [(b"riff", 16, UNKNOWN), (b"data", 16, b"\xff" * 7 + b"\x7f")]),
    "rf64": ("RF64", [(b"ds64", 8, UNKNOWN * 3)]),
    "bw64": ("RF64", [(b"RF64", 0, b"BW64"), (b"ds64", 8, UNKNOWN * 3)]),
    "au": ("AU", [(b".snd", 8, b"\xff" * 4)]),
}


@pytest.mark.parametrize("kind", FROM_A_PIPE)
def test_what_says_that_its_size_is_unknown_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    form, patches = FROM_A_PIPE[kind]
    soundfile.write(tmp_path / "a", noise(0).T, RATE, "PCM_16", format=form)
    recording = read_audio(patched(tmp_path / "a", *patches))
    np.testing.assert_allclose(recording.waveform, noise(0), atol=2.0**-15)
    assert not caplog.records


BLANK = {
    "aiff": ("AIFF", [(b"FORM", 4, bytes(4)), (b"COMM", 10, bytes(4)), (b"SSND", 4, bytes(4))]),
    "rf64": ("RF64", [(b"ds64", 8, bytes(24))]),
    "bw64": ("RF64", [(b"RF64", 0, b"BW64"), (b"ds64", 8, bytes(24))]),
}


@pytest.mark.parametrize("kind", BLANK)
def test_sizes_of_0_may_be_a_pipe_or_a_loss_of_power(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    form, patches = BLANK[kind]
    soundfile.write(tmp_path / "a", noise(0).T, RATE, "PCM_16", format=form)
    recording = read_audio(patched(tmp_path / "a", *patches))
    np.testing.assert_allclose(recording.waveform, noise(0), atol=2.0**-15)
    assert len(caplog.records) == 1 and "does not say how long it is" in caplog.text


LOST_POWER = {
    "au": ("AU", [(b".snd", 8, bytes(4))]),
    "caf": ("CAF", [(b"data", 4, bytes(8))]),
    "caf of libsndfile": ("CAF", [(b"data", 4, bytes(7) + b"\x04")]),
    "rf64 of libsndfile": ("RF64", [(b"ds64", 8, b"\xf8" + b"\xff" * 7 + bytes(16))]),
    "w64": ("W64", [(b"riff", 16, bytes(8)), (b"data", 16, b"\x18" + bytes(7))]),
    "w64 of some time ago": ("W64", [(b"data", 16, b"\x18\x20" + bytes(6))]),
    "aiff of libsndfile": (
        "AIFF",
        [(b"FORM", 4, b"\xff\xff\xff\xf8"), (b"COMM", 10, bytes(4)), (b"SSND", 4, b"\0\0\0\x08")],
    ),
    "aiff that knows its size": ("AIFF", [(b"COMM", 10, bytes(4)), (b"SSND", 4, bytes(4))]),
    "aiff of some time ago": (
        "AIFF",
        [(b"COMM", 10, b"\0\0\x10\0"), (b"SSND", 4, b"\0\0\x20\x08")],
    ),
}


@pytest.mark.parametrize("kind", LOST_POWER)
def test_headers_of_a_recorder_that_lost_power(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    form, patches = LOST_POWER[kind]
    soundfile.write(tmp_path / "a", noise(0).T, RATE, "PCM_16", format=form)
    recording = read_audio(patched(tmp_path / "a", *patches))
    np.testing.assert_allclose(recording.waveform, noise(0), atol=2.0**-15)
    (record,) = caplog.records
    assert "is damaged or cut off; the 1.0 s" in record.getMessage()


def test_an_appended_file_that_is_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for suffix in ("w64", "caf", "flv"):
        caplog.clear()
        first = write(tmp_path / f"a.{suffix}", noise(0))
        content = first.read_bytes()
        path = join(tmp_path / f"both.{suffix}", [first, content[: len(content) // 2]])
        assert read_audio(path).num_samples == pytest.approx(1.5 * RATE, abs=4_000)
        assert "is damaged or cut off" in caplog.text


def test_films_of_which_ffmpeg_reads_the_next_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = write_coded(tmp_path / "a.mka", "libopus", noise(0), RATE)
    path = join(tmp_path / "both.mka", [one, one])
    assert read_audio(path).num_samples == pytest.approx(2 * RATE, abs=4_000)
    assert "damaged" not in caplog.text


def test_wavpack_and_amr_are_told_by_their_first_blocks(tmp_path: Path) -> None:
    # What WavPack notes: sample 0 and the first of a group; later blocks lack either.
    def block(index: int, flags: int) -> bytes:
        head = b"wvpk" + struct.pack("<IHBBIIII", 24, 0x410, 0, 0, 9, index, 9, flags)
        return head + bytes(4)

    first, second_pair, later = block(0, 0x800), block(0, 0x1000), block(9, 0x1800)
    path = tmp_path / "a"
    group = first + second_pair + later
    assert find_parts(join(path, [group])) == [WHOLE]
    assert find_parts(join(path, [group, group])) == [
        Part(0, len(group)),
        Part(len(group), 2 * len(group)),
    ]
    speech = b"#!AMR\n" + 50 * (b"\x04" + bytes(12))
    assert find_parts(join(path, [speech])) == [WHOLE]
    recording = read_audio(join(path, [speech, speech]))
    assert (recording.sample_rate, recording.num_samples) == (8_000, 2 * 50 * 160)


def test_beginnings_that_lie_across_what_is_searched_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [write(tmp_path / f"{seed}.caf", noise(seed, num_samples=40)) for seed in range(3)]
    path = join(tmp_path / "all.caf", files)
    expected = [part.start for part in find_parts(path)]
    assert len(expected) == 3
    for num_bytes in (1, 7, 65, 100, 4_097):
        monkeypatch.setattr("uss.audio.beginnings._SEARCHED_BYTES", num_bytes)
        assert [part.start for part in find_parts(path)] == expected


def test_the_size_of_a_wav_file_over_4_gigabytes_wraps(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise(0, 2))
    header = path.read_bytes()[:44]
    left = 1_000_000
    for behind in (b"", b"LIST\x04\0\0\0INFO"):
        # Holes of the file system, which take no space.
        with path.open("wb") as file:
            file.write(header)
            file.truncate(44 + 3 * 2**32 + left)
            file.seek(0, 2)
            file.write(behind)
        set_head(path, left)
        (part,) = find_parts(path)
        assert (part.start, part.num_bytes, part.is_cut) == (44, 3 * 2**32 + left, False)
        with Window(path, part) as window, soundfile.SoundFile(window) as file_:
            assert file_.frames == part.num_bytes // 4
        path.unlink()


def set_head(path: Path, data_size: int) -> None:
    with path.open("r+b") as file:
        file.seek(4)
        file.write(struct.pack("<I", data_size + 36))
        file.seek(40)
        file.write(struct.pack("<I", data_size))


def test_wrapped_sizes_are_read_to_the_last_sample(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if sizes had 16 bits.
    monkeypatch.setattr(riff, "_WRAP", 2**16)
    monkeypatch.setattr(riff, "_UNKNOWN_SIZES", ())
    monkeypatch.setattr(riff, "_rf64_header", wide_header(riff._rf64_header))
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(0).T, RATE, "PCM_16")
    whole = read_audio(path).waveform
    size = 2 * RATE
    set_sizes(path, (size + 36) % 2**16, size % 2**16)
    path.write_bytes(path.read_bytes() + b"LIST\x04\0\0\0INFO")
    np.testing.assert_array_equal(read_audio(path).waveform, whole)
    assert not caplog.records


def wide_header(make: Callable[[bytes, int], bytes]) -> Callable[[bytes, int], bytes]:
    def made(wave_format: bytes, num_bytes: int) -> bytes:
        narrow = struct.pack("<I", 2**16 - 1)
        return make(wave_format, num_bytes).replace(narrow, b"\xff" * 4)

    return made


@pytest.mark.parametrize(
    "behind",
    [
        b"LIST" + struct.pack("<I", 20_000) + b"INFO" + bytes(range(256)) * 78 + bytes(28),
        b"ID3\x04" + bytes(range(256)) * 100,
        b"TAG" + bytes(125) + bytes(range(256)) * 100,
        bytes(4_000),
    ],
)
def test_what_is_no_sound_behind_the_samples_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, behind: bytes
) -> None:
    path = write(tmp_path / "a.wav", noise(0))
    whole = read_audio(path).waveform
    join(path, [path, behind])
    np.testing.assert_array_equal(read_audio(path).waveform, whole)
    assert not caplog.records


@pytest.mark.parametrize("behind", [b"", b"LIST\x04\0\0\0INFO"])
def test_wav_without_samples_stays_empty(tmp_path: Path, behind: bytes) -> None:
    path = write(tmp_path / "a.wav", noise(0, num_samples=0))
    join(path, [path, behind])
    with pytest.raises(ValueError, match="holds no audio samples"):
        read_audio(path)


def test_decoders_are_silent_on_standard_error(tmp_path: Path) -> None:
    file = write(tmp_path / "a.mp3", noise(0)).read_bytes()
    damaged = bytearray(2 * file)
    damaged[len(file) // 2 : len(file) // 2 + 300] = b"\xff\xfb" * 150
    (tmp_path / "a.mp3").write_bytes(damaged)
    (tmp_path / "b.mp3").write_bytes(b"ID3\x04\0\0\0\0\0\x7f" + bytes(damaged[:9_000]))
    (tmp_path / "c.mp3").write_bytes(b"\xff\xfb\x90\x00" + bytes(9_000))
    # libsndfile believes the name, too.
    (tmp_path / "d.mp3").write_bytes(b"\xfb" + file[1:2_000] + bytes(100) + file[2_100:])
    code = (
        "import sys, contextlib\n"
        "from uss.audio import AudioFile\n"
        "import logging; logging.disable()\n"
        "for path in sys.argv[1:]:\n"
        "    with contextlib.suppress(ValueError):\n"
        "        print(sum(block.shape[1] for block in AudioFile(path).blocks()))\n"
    )
    names = [str(tmp_path / name) for name in ("a.mp3", "b.mp3", "c.mp3", "d.mp3")]
    done = subprocess.run(
        [sys.executable, "-c", code, *names], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert int(done.stdout.split()[0]) > 1.5 * RATE


def test_a_window_reads_and_searches_like_a_file(tmp_path: Path) -> None:
    content = bytes(range(256))
    (tmp_path / "a").write_bytes(content)
    with Window(tmp_path / "a", Part(100, 200, b"head")) as window:
        expected = b"head" + content[100:200]
        assert window.read() == expected
        assert window.read(1) == b""
        for position in (0, 2, 4, 50, 103, 104, 500):
            window.seek(position)
            assert window.tell() == position
            assert window.read(10) == expected[position : position + 10]
        assert window.seek(-4, 2) == 100
        assert window.seek(1, 1) == 101
        assert window.num_unread == 3
