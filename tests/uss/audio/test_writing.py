from pathlib import Path

import numpy as np
import pytest
import soundfile

from ontology import load_ontology
from uss.audio import (
    DEFAULT_SUBTYPES,
    check_format,
    read_audio,
    safe_file_name,
    write_audio,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Speech", "Speech"),
        ("Bee, wasp, etc.", "Bee, wasp, etc"),
        ("Male speech, man speaking", "Male speech, man speaking"),
        ("Vehicle horn, car horn, honking", "Vehicle horn, car horn, honking"),
        ("Inside, large room or hall", "Inside, large room or hall"),
        ("a/b\\c:d", "a_b_c_d"),
        ('<>:"/|?*', "_"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("tab\tand\nnewline\0", "tab_and_newline_"),
        ("Größe", "Größe"),
        (" .hidden. ", "hidden"),
        ("", "_"),
        ("...", "_"),
        ("CON", "CON_"),
        ("nul", "nul_"),
        ("com1.wav", "com1.wav_"),
        ("Console", "Console"),
        ("lpt0", "lpt0"),
    ],
)
def test_safe_file_names(name: str, expected: str) -> None:
    assert safe_file_name(name) == expected


@pytest.mark.parametrize(
    "name", ["x" * 300, "ä" * 300, "鳥" * 300, "🐕" * 300, "x" * 119 + " " * 9]
)
def test_long_names_are_cut_between_characters(name: str) -> None:
    safe = safe_file_name(name)
    assert 116 < len(safe.encode()) <= 120
    assert name.startswith(safe)


def test_names_of_all_nodes_are_safe_and_can_be_written(tmp_path: Path) -> None:
    for node in load_ontology().nodes.values():
        (tmp_path / safe_file_name(node.name)).touch()
        assert safe_file_name(safe_file_name(node.name)) == safe_file_name(node.name)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_float_files_hold_every_bit(
    tmp_path: Path, rng: np.random.Generator, channels: int
) -> None:
    waveform = (3.0 * rng.standard_normal((channels, 1_000))).astype(np.float32)
    written = write_audio(tmp_path / "a.wav", waveform, 44_100, "FLOAT")
    np.testing.assert_array_equal(written, waveform)
    recording = read_audio(tmp_path / "a.wav")
    np.testing.assert_array_equal(recording.waveform, waveform)
    assert recording.sample_rate == 44_100
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize(
    ("name", "subtype", "step"),
    [
        ("a.wav", "PCM_16", 2.0**-15),
        ("a.wav", "PCM_24", 2.0**-23),
        ("a.flac", "PCM_16", 2.0**-15),
        ("a.flac", "PCM_24", 2.0**-23),
    ],
)
def test_pcm_returns_what_the_file_holds(
    tmp_path: Path, rng: np.random.Generator, name: str, subtype: str, step: float
) -> None:
    waveform = rng.uniform(-0.9, 0.9, (2, 1_000)).astype(np.float32)
    written = write_audio(tmp_path / name, waveform, 32_000, subtype)
    assert soundfile.info(tmp_path / name).subtype == subtype
    np.testing.assert_array_equal(read_audio(tmp_path / name).waveform, written)
    np.testing.assert_allclose(written, waveform, atol=step, rtol=0.0)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_pcm_clips_instead_of_wrapping_around(tmp_path: Path) -> None:
    waveform = np.array([[2.0, -2.0, 0.5]], np.float32)
    written = write_audio(tmp_path / "a.wav", waveform, 32_000, "PCM_16")
    np.testing.assert_allclose(written, [[1.0, -1.0, 0.5]], atol=2.0**-15)


def test_one_sample(tmp_path: Path) -> None:
    for name, subtype in (("a.wav", "FLOAT"), ("a.flac", "PCM_24")):
        written = write_audio(tmp_path / name, np.array([[0.5]], np.float32), 32_000, subtype)
        assert written.tolist() == read_audio(tmp_path / name).waveform.tolist() == [[0.5]]


def test_what_the_format_cannot_hold_leaves_no_file(tmp_path: Path) -> None:
    waveform = np.zeros((9, 10), np.float32)
    with pytest.raises(ValueError, match=r"a\.flac: FLAC cannot hold 9 channels at 32000 Hz"):
        write_audio(tmp_path / "a.flac", waveform, 32_000, "PCM_16")
    with pytest.raises(ValueError, match=r"flac has no subtype 'FLOAT'; choose .*PCM_24"):
        write_audio(tmp_path / "a.flac", waveform[:1], 32_000, "FLOAT")
    assert not any(tmp_path.iterdir())


def test_a_failing_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    write_audio(path, np.full((1, 10), 0.5, np.float32), 32_000, "PCM_16")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="cannot hold"):
        write_audio(path, np.zeros((9, 10), np.float32), 32_000, "PCM_16")
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.flac"]


def test_a_file_is_replaced(tmp_path: Path) -> None:
    for level in (0.25, 0.5):
        write_audio(tmp_path / "a.wav", np.full((1, 3), level, np.float32), 32_000, "FLOAT")
    assert read_audio(tmp_path / "a.wav").waveform.tolist() == [[0.5] * 3]


def test_a_folder_that_does_not_exist_is_not_blamed_on_the_format(tmp_path: Path) -> None:
    with pytest.raises((OSError, ValueError)) as caught:
        write_audio(tmp_path / "nowhere" / "a.wav", np.zeros((1, 3), np.float32), 32_000, "FLOAT")
    assert "cannot hold" not in str(caught.value)


def test_default_subtypes_are_valid() -> None:
    for container, subtype in DEFAULT_SUBTYPES.items():
        check_format(container, subtype)


@pytest.mark.parametrize(("container", "subtype"), [("wav", "PCM_12"), ("flac", "PCM_32")])
def test_unknown_subtypes_are_named(container: str, subtype: str) -> None:
    with pytest.raises(ValueError, match=f"{container} has no subtype '{subtype}'; choose"):
        check_format(container, subtype)


def test_unknown_formats_are_named() -> None:
    with pytest.raises(ValueError, match=r"(?i)xyz"):
        check_format("xyz", "FLOAT")
