"""Notes in written files, read back by programs that are not ours."""

import json
import shutil
import struct
import subprocess
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pyloudnorm
import pytest
import soundfile
import wavinfo

from uss.audio import AudioFile, AudioWriter, ChannelLayout, noting
from uss.audio.file_notes import FileNotes, Mark
from uss.audio.noting import add_marks
from uss.audio.source_notes import read_source_notes
from uss.audio.wave_chunks import append_chunks, chunk, chunks_of
from uss.core.arrays import Floats

RATE = 48_000
NOTES = FileNotes(
    tags={"title": "Straße 🐕", "artist": "A", "date": "2001-02-03", "isrc": "USRC17607839"},
    description='Dog, separated from "Straße.wav"',
    originator="uss-pipeline 0.1.0",
    origination_date="2020-01-02",
    origination_time="03:04:05",
    time_reference=172_972_800,
    coding_history=("A=PCM,F=48000,W=16,M=mono", "A=PCM,F=48000,W=32,M=mono,T=later"),
)
MARKS = [Mark(0, 4_800, "Dog 🐕"), Mark(96_000, 1, "Dog, bow-wow"), Mark(191_998, 1, "Dog")]
BACK = ChannelLayout.of_mask(0x3F, 6)


def write(
    path: Path,
    subtype: str = "FLOAT",
    num_channels: int = 1,
    layout: ChannelLayout | None = None,
    notes: FileNotes | None = NOTES,
    level: float = 0.3,
) -> Floats:
    """Write four seconds less a sample, so that 8-bit mono is of odd length."""
    rng = np.random.default_rng(0)
    samples = level * rng.standard_normal((num_channels, 4 * RATE - 1))
    size = samples.shape[1]
    with AudioWriter(path, RATE, num_channels, subtype, size, layout=layout, notes=notes) as writer:
        return writer.write(np.clip(samples, -1.0, 0.999).astype(np.float32))


def probed(path: Path, *shown: str) -> dict[str, Any]:
    if shutil.which("ffprobe") is None:
        pytest.skip("there is no ffprobe")
    words = ["ffprobe", "-v", "error", "-of", "json", *shown, str(path)]
    read: dict[str, Any] = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
    return read


FILES: list[tuple[str, str, int, ChannelLayout | None]] = [
    ("mono.wav", "FLOAT", 1, None),
    ("odd.wav", "PCM_U8", 1, None),
    ("surround.wav", "PCM_24", 6, BACK),
    ("mono.flac", "PCM_16", 1, None),
    ("surround.flac", "PCM_24", 6, BACK),
]


@pytest.mark.parametrize(("name", "subtype", "num_channels", "layout"), FILES)
def test_the_samples_are_those_that_were_written(
    tmp_path: Path, name: str, subtype: str, num_channels: int, layout: ChannelLayout | None
) -> None:
    path = tmp_path / name
    held = write(path, subtype, num_channels, layout)
    add_marks(path, MARKS, RATE)
    read, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(read.T, held)
    assert [each.name for each in tmp_path.iterdir()] == [name]
    # With its notes taken away the file is the one without notes.
    plain = tmp_path / f"plain{path.suffix}"
    np.testing.assert_array_equal(write(plain, subtype, num_channels, layout, None), held)


@pytest.mark.parametrize("name", ["mono.wav", "surround.wav", "long.wav"])
def test_wavinfo_reads_broadcast_wave(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "long.wav":
        monkeypatch.setattr("uss.audio.writing.file_format", lambda *_: "RF64")
    path = tmp_path / name
    held = write(path, num_channels=6 if name == "surround.wav" else 1)
    add_marks(path, MARKS, RATE)
    read = wavinfo.WavInfoReader(str(path), info_encoding="utf-8")
    bext = read.bext.to_dict()
    assert bext["version"] == 2
    assert bext["description"] == 'Dog, separated from "Stra?e.wav"'
    assert bext["time_reference"] == NOTES.time_reference
    assert (bext["originator"], bext["originator_date"]) == ("uss-pipeline 0.1.0", "2020-01-02")
    assert bext["originator_time"] == "03:04:05"
    assert bext["coding_history"] == "".join(f"{line}\r\n" for line in NOTES.coding_history)
    info = read.info.to_dict()
    assert (info["title"], info["artist"]) == ("Straße 🐕", "A")
    # RIFF calls the field of that name the source.
    assert (info["created_date"], info["source"]) == ("2001-02-03", "USRC17607839")
    cues = read.cues.to_dict()
    assert [(c["frame"], c["length"], c["label"]) for c in cues.values()] == [
        (mark.start_samples, mark.num_samples, mark.name) for mark in MARKS
    ]
    samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(samples.T, held)


def test_sizes_in_the_header_are_those_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    write(path, "PCM_U8")
    add_marks(path, MARKS, RATE)
    content = path.read_bytes()
    assert struct.unpack("<I", content[4:8]) == (len(content) - 8,)
    names = [each.name for each in chunks_of(path.open("rb"))]
    # Players that read no further than the samples see who wrote them, and when they are.
    assert names == [b"fmt ", b"bext", b"LIST", b"data", b"cue ", b"LIST"]
    monkeypatch.setattr("uss.audio.writing.file_format", lambda *_: "RF64")
    write(path, "PCM_U8")
    add_marks(path, MARKS, RATE)
    content = path.read_bytes()
    assert content[:8] == b"RF64\xff\xff\xff\xff"
    assert struct.unpack("<Q", content[20:28]) == (len(content) - 8,)


def test_loudness_is_what_another_meter_says(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    held = write(path, "PCM_24", num_channels=2, level=0.05)
    bext = wavinfo.WavInfoReader(str(path)).bext.to_dict()
    expected = pyloudnorm.Meter(RATE).integrated_loudness(held.T.astype(np.float64))
    assert bext["loudness_value"] == pytest.approx(expected, abs=0.1)
    # Steady noise is as loud everywhere.
    assert bext["max_momentary_loudness"] == pytest.approx(expected, abs=0.2)
    assert bext["max_shortterm_loudness"] == pytest.approx(expected, abs=0.2)
    assert bext["loudness_range"] == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("mask", [0x63F, 0x6FF, 0x2DFFF, 0x109])
def test_of_as_many_channels_as_there_are_speakers_the_loudness_is_known(
    tmp_path: Path, mask: int
) -> None:
    path = tmp_path / "a.wav"
    layout = ChannelLayout.of_mask(mask, mask.bit_count())
    assert layout is not None and layout.mask == mask
    held = write(path, "PCM_24", mask.bit_count(), layout, level=0.05)
    one = pyloudnorm.Meter(RATE).integrated_loudness(held[:1].T.astype(np.float64))
    # Every channel is as loud as the first but the subwoofer, which does not count; surround
    # channels count for 1.5 dB more.
    least = one + 10.0 * np.log10(mask.bit_count() - 1)
    loudness = wavinfo.WavInfoReader(str(path)).bext.to_dict()["loudness_value"]
    assert least - 0.3 <= loudness <= least + 1.6


@pytest.mark.parametrize(
    ("rate", "scale"), [(100, 0.3), (3_000, 0.3), (RATE, 30_000.0), (RATE, 1e30)]
)
def test_what_has_no_loudness_that_is_one_has_none(tmp_path: Path, rate: int, scale: float) -> None:
    """Rates below the meter's weighting, and integers that are stored as floats."""
    samples = (scale * np.random.default_rng(0).standard_normal((1, 8_000))).astype(np.float32)
    path = tmp_path / "a.wav"
    with AudioWriter(path, rate, 1, "FLOAT", 8_000, notes=NOTES) as writer:
        writer.write(samples)
    assert levels_of(path) == (0x7FFF,) * 5
    np.testing.assert_array_equal(soundfile.read(path, dtype="float32")[0], samples[0])


def levels_of(path: Path) -> tuple[int, ...]:
    content = path.read_bytes()
    start = content.index(b"bext") + 8 + 412
    return struct.unpack("<5h", content[start : start + 10])


def test_of_silence_and_of_nameless_channels_no_loudness_is_known(tmp_path: Path) -> None:
    for name, channels, level in (("silent.wav", 1, 0.0), ("nameless.wav", 5, 0.1)):
        write(tmp_path / name, num_channels=channels, level=level)
        assert levels_of(tmp_path / name) == (0x7FFF,) * 5, name


@pytest.mark.parametrize("layout", [None, BACK])
def test_mutagen_and_ffprobe_read_flac(tmp_path: Path, layout: ChannelLayout | None) -> None:
    path = tmp_path / "a.flac"
    write(path, "PCM_16", 6 if layout else 1, layout)
    add_marks(path, MARKS, RATE)
    tags = {name.upper(): text for name, text in mutagen.File(path).tags}
    assert (tags["TITLE"], tags["ARTIST"], tags["DATE"]) == ("Straße 🐕", "A", "2001-02-03")
    assert (tags["ISRC"], tags["TIME_REFERENCE"]) == ("USRC17607839", "172972800")
    assert tags["DESCRIPTION"] == NOTES.description
    assert ("WAVEFORMATEXTENSIBLE_CHANNEL_MASK" in tags) == (layout is not None)
    chapters = probed(path, "-show_chapters")["chapters"]
    assert [each["start"] for each in chapters] == [0, 2_000, 4_000]
    assert [each["tags"]["title"] for each in chapters] == [mark.name for mark in MARKS]


def test_ffprobe_reads_the_cue_points_of_wav(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write(path)
    add_marks(path, MARKS, RATE)
    read = probed(path, "-show_chapters", "-show_format")
    assert [each["start"] for each in read["chapters"]] == [m.start_samples for m in MARKS]
    assert [each["tags"]["title"] for each in read["chapters"]] == [m.name for m in MARKS]
    assert read["format"]["tags"]["time_reference"] == "172972800"
    assert read["format"]["tags"]["ISRC"] == "USRC17607839"


def test_more_chapters_than_the_padding_holds_write_flac_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    held = write(path, "PCM_16")
    many = [Mark(number * 100, 10, "🐕" * 200) for number in range(1_200)]
    add_marks(path, many, RATE)
    assert len(probed(path, "-show_chapters")["chapters"]) == 999
    read, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(read.T, held)
    assert mutagen.File(path).tags["TITLE"] == ["Straße 🐕"]


def test_notes_of_any_length_and_letters_are_written(tmp_path: Path) -> None:
    """200 letters of an emoji, tabs, quotes, and a history longer than any that is."""
    notes = FileNotes(
        tags={"title": 'a\t"b"' + "🐕" * 200},
        description="🐕" * 400,
        originator="x" * 100,
        coding_history=tuple(f"A=PCM,T=generation {n}" for n in range(1_000)),
    )
    for name in ("a.wav", "a.flac"):
        held = write(tmp_path / name, "PCM_16", notes=notes)
        read, _ = soundfile.read(tmp_path / name, dtype="float32", always_2d=True)
        np.testing.assert_array_equal(read.T, held)
    bext = wavinfo.WavInfoReader(str(tmp_path / "a.wav")).bext
    assert bext.coding_history.count("generation") == 1_000
    assert bext.description == "?" * 256


@pytest.mark.parametrize("subtype", ["PCM_U8", "FLOAT"])
def test_many_events_are_no_lost_sound(
    tmp_path: Path, subtype: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What follows the samples is not taken for more of them, of a recorder that lost power."""
    path = tmp_path / "a.wav"
    held = write(path, subtype)
    add_marks(path, [Mark(number * 100, 10, "Dog") for number in range(1_900)], RATE)
    with caplog.at_level("INFO"):
        read = np.concatenate(list(AudioFile(path).blocks()), axis=1)
    np.testing.assert_array_equal(read, held)
    assert not caplog.records


def test_a_file_without_events_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write(path)
    before = path.read_bytes()
    add_marks(path, [], RATE)
    assert path.read_bytes() == before


def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    held = write(path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("uss.audio.wave_chunks._note_size", _failing_once(fail))
        with pytest.raises(OSError, match="No space"):
            append_chunks(path, chunk(b"cue ", bytes(28)))
    assert path.read_bytes() == before
    read, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_array_equal(read.T, held)


def _failing_once(fail: Any) -> Any:
    from uss.audio import wave_chunks

    calls: list[int] = []
    real = wave_chunks._note_size

    def note_size(file: Any, size: int) -> None:
        calls.append(size)
        if len(calls) == 1:
            fail()
        real(file, size)

    return note_size


def test_what_is_written_is_what_a_source_is_read_by(tmp_path: Path) -> None:
    for name in ("a.wav", "a.flac"):
        write(tmp_path / name, "PCM_16")
        notes = read_source_notes(tmp_path / name, RATE)
        assert notes.tags == NOTES.tags
        assert notes.clock_seconds == Fraction(NOTES.time_reference, RATE)
        assert tuple(notes.coding_history.splitlines()) == NOTES.coding_history
        assert (notes.origination_date, notes.origination_time) == ("2020-01-02", "03:04:05")


@pytest.mark.parametrize(("field", "kept"), [("USRC17607839", True), ("Radio archive", False)])
def test_riff_calls_another_thing_isrc(tmp_path: Path, field: str, kept: bool) -> None:
    write(tmp_path / "a.wav", notes=FileNotes(tags={"isrc": field}))
    assert ("isrc" in read_source_notes(tmp_path / "a.wav", RATE).tags) == kept


@pytest.mark.parametrize("reference", [2**63, 2**64 - 1])
def test_a_time_reference_that_is_no_time_is_left_aside(tmp_path: Path, reference: int) -> None:
    write(tmp_path / "a.wav", notes=FileNotes(time_reference=reference))
    assert read_source_notes(tmp_path / "a.wav", RATE).clock_seconds is None


def test_what_says_nothing_of_itself_has_no_notes(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", notes=None)
    (tmp_path / "b.wav").write_bytes(b"RIFF\x04\0\0\0WAVEbext\xff\xff\0\0short")
    for name in ("a.wav", "b.wav"):
        notes = read_source_notes(tmp_path / name, RATE)
        assert (notes.tags, notes.clock_seconds, notes.coding_history) == ({}, None, "")


def test_marks_behind_what_32_bits_count_are_left_out() -> None:
    from uss.audio.broadcast_wave import cue_chunks

    marks: Sequence[Mark] = [Mark(2**32 - 1, 2**33, "last"), Mark(2**32, 1, "too late")]
    cues = cue_chunks(marks)
    assert cues[8:12] == struct.pack("<I", 1) and b"too late" not in cues
    assert noting.placeholder("wav", None, None) is None
