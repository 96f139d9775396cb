import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ontology import load_ontology
from uss.audio import AudioWriter, formats, read_audio, safe_file_name, write_audio

RATE = 32_000
SUBTYPES = [
    ("a.wav", "FLOAT"),
    ("a.wav", "DOUBLE"),
    ("a.wav", "PCM_U8"),
    ("a.wav", "PCM_16"),
    ("a.wav", "PCM_24"),
    ("a.wav", "PCM_32"),
    ("a.flac", "PCM_S8"),
    ("a.flac", "PCM_16"),
    ("a.flac", "PCM_24"),
]


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
    with pytest.raises(ValueError, match=r"a\.flac: flac holds 8 channels at most, not 9"):
        write_audio(tmp_path / "a.flac", waveform, 32_000, "PCM_16")
    with pytest.raises(ValueError, match=r"a\.flac: flac has no subtype 'FLOAT' .* PCM_24"):
        write_audio(tmp_path / "a.flac", waveform[:1], 32_000, "FLOAT")
    assert not any(tmp_path.iterdir())


def test_a_failing_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    write_audio(path, np.full((1, 10), 0.5, np.float32), 32_000, "PCM_16")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="8 channels at most"):
        write_audio(path, np.zeros((9, 10), np.float32), 32_000, "PCM_16")
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.flac"]


def test_a_file_is_replaced(tmp_path: Path) -> None:
    for level in (0.25, 0.5):
        write_audio(tmp_path / "a.wav", np.full((1, 3), level, np.float32), 32_000, "FLOAT")
    assert read_audio(tmp_path / "a.wav").waveform.tolist() == [[0.5] * 3]


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_audio(tmp_path / "nowhere" / "a.wav", np.zeros((1, 3), np.float32), 32_000, "FLOAT")


def held(path: Path) -> NDArray[np.float64]:
    samples, _ = soundfile.read(path, dtype="float64", always_2d=True)
    return samples.T


@pytest.mark.parametrize(("name", "subtype"), SUBTYPES)
def test_what_is_returned_is_what_the_file_holds(
    tmp_path: Path, rng: np.random.Generator, name: str, subtype: str
) -> None:
    waveform = (1.2 * rng.uniform(-1.0, 1.0, (2, 10_000))).astype(np.float32)
    waveform[:, :8] = [0.0, 1.0, -1.0, 1.5, -1.5, 1e9, 1e-9, -1e-9]
    with AudioWriter(tmp_path / name, RATE, 2, subtype, 10_000) as writer:
        returned = [writer.write(block) for block in np.split(waveform, [1, 3_000, 9_999], axis=1)]
    written = np.concatenate(returned, axis=1)
    np.testing.assert_array_equal(held(tmp_path / name), written)
    info = soundfile.info(tmp_path / name)
    assert (info.subtype, info.samplerate, info.channels) == (subtype, RATE, 2)
    is_wide = subtype in ("DOUBLE", "PCM_32")
    assert written.dtype == (np.float64 if is_wide else np.float32)


@pytest.mark.parametrize(("name", "subtype"), SUBTYPES)
def test_integers_are_the_nearest_and_end_at_full_scale(
    tmp_path: Path, rng: np.random.Generator, name: str, subtype: str
) -> None:
    waveform = (1.2 * rng.uniform(-1.0, 1.0, (2, 10_000))).astype(np.float32)
    with AudioWriter(tmp_path / name, RATE, 2, subtype, 10_000) as writer:
        written = writer.write(waveform)
    bits = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}.get(subtype)
    if bits is None:
        np.testing.assert_array_equal(written, waveform)
        assert writer.num_clipped == 0
        return
    step = 2.0 ** (1 - bits)
    clipped = np.clip(waveform.astype(np.float64), -1.0, 1.0 - step)
    np.testing.assert_allclose(written, clipped, atol=step / 2, rtol=0.0)
    np.testing.assert_array_equal(np.rint(written / step) * step, written)
    assert writer.num_clipped == np.count_nonzero(np.abs(waveform) > 1.0) > 1_000


def test_full_scale_itself_is_not_counted_as_beyond_it(tmp_path: Path) -> None:
    with AudioWriter(tmp_path / "a.wav", RATE, 1, "PCM_16", 4) as writer:
        writer.write(np.array([[1.0, -1.0]], np.float32))
        assert writer.num_clipped == 0
        writer.write(np.array([[1.01, -2.0]], np.float32))
        assert writer.num_clipped == 2


def test_doubles_keep_what_float32_cannot_hold(tmp_path: Path) -> None:
    waveform = np.array([[1.0 / 3.0, 1e-300]])
    with AudioWriter(tmp_path / "a.wav", RATE, 1, "DOUBLE", 2) as writer:
        np.testing.assert_array_equal(writer.write(waveform), waveform)
    np.testing.assert_array_equal(held(tmp_path / "a.wav"), waveform)


def test_a_file_without_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.flac: a file needs a sample"):
        AudioWriter(tmp_path / "a.flac", RATE, 2, "PCM_16", 0)
    assert not any(tmp_path.iterdir())


def test_a_file_has_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    with AudioWriter(tmp_path / "a.wav", RATE, 1, "FLOAT", 3) as writer:
        writer.write(np.zeros((1, 3), np.float32))
        assert not (tmp_path / "a.wav").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_file_that_is_not_finished_leaves_nothing(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        AudioWriter(tmp_path / name, RATE, 1, "PCM_16", 20_000) as writer,
    ):
        writer.write(np.zeros((1, 10_000), np.float32))
        raise KeyboardInterrupt
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("num_samples", [9, 11])
def test_another_number_of_samples_than_announced_is_refused(
    tmp_path: Path, num_samples: int
) -> None:
    with (
        pytest.raises(ValueError, match=rf"10 samples were written, not {num_samples}"),
        AudioWriter(tmp_path / "a.wav", RATE, 1, "PCM_16", num_samples) as writer,
    ):
        writer.write(np.zeros((1, 10), np.float32))
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_file_nothing_is_written_to_is_refused(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(ValueError, match="0 samples were written, not 10"),
        AudioWriter(tmp_path / name, RATE, 1, "PCM_16", 10),
    ):
        pass
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "subtype"), [pair for pair in SUBTYPES if pair[0] == "a.wav"])
def test_wav_beyond_4_gb_is_rf64(
    tmp_path: Path,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    subtype: str,
) -> None:
    monkeypatch.setattr(formats, "_MAX_WAV_BYTES", 1_000)
    waveform = rng.uniform(-0.9, 0.9, (2, 10_000)).astype(np.float32)
    written = write_audio(tmp_path / name, waveform, RATE, subtype)
    assert soundfile.info(tmp_path / name).format == "RF64"
    np.testing.assert_array_equal(held(tmp_path / name), written)
    np.testing.assert_array_equal(read_audio(tmp_path / name).waveform, written.astype(np.float32))


FILL_THE_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from uss.audio import AudioWriter, read_audio

folder, name, subtype = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
blocks = np.random.default_rng(0).uniform(-0.9, 0.9, (5, 2, 4_000)).astype(np.float32)

def limit(num_bytes):
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, resource.RLIM_INFINITY))

def write():
    with AudioWriter(folder / name, 32_000, 2, subtype, 20_000) as writer:
        for block in blocks:
            writer.write(block)

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
write()
size = (folder / name).stat().st_size
(folder / name).unlink()
for num_bytes in [0, 1, 30, 44, 5_000, size // 2, *range(size - 100, size)]:
    limit(num_bytes)
    try:
        write()
    except OSError as error:
        limit(resource.RLIM_INFINITY)
        assert str(folder / name) in str(error) and "disk is full" in str(error), error
        assert not any(folder.iterdir()), num_bytes
    else:
        raise SystemExit(f"no error at {num_bytes} of {size} bytes")
limit(size)
write()
assert read_audio(folder / name).num_samples == 20_000
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the sizes of files as POSIX does")
@pytest.mark.parametrize(
    ("name", "subtype"), [("a.wav", "FLOAT"), ("a.wav", "PCM_16"), ("a.flac", "PCM_24")]
)
def test_a_full_disk_is_an_error_and_leaves_nothing(
    tmp_path: Path, name: str, subtype: str
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    # In a process of its own, as the limit would hold for everything else too.
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(folder), name, subtype],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "PCM_16"])
def test_the_same_samples_are_the_same_bytes_whenever_they_are_written(
    tmp_path: Path, subtype: str
) -> None:
    waveform = np.linspace(-1.0, 1.0, 64, dtype=np.float32).reshape(2, 32)
    path = tmp_path / "a.wav"
    write_audio(path, waveform, 8_000, subtype)
    content = path.read_bytes()
    if b"PEAK" in content:
        peak = content.index(b"PEAK")
        assert content[peak + 12 : peak + 16] == bytes(4)
    assert (b"PEAK" in content) == (subtype != "PCM_16")
    np.testing.assert_allclose(soundfile.read(path)[0].T, waveform, atol=1e-4)
