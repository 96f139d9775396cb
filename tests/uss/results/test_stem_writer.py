import json
import logging
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ontology import load_ontology
from uss.audio import AudioWriter, Recording
from uss.audio.envelopes import Envelope
from uss.audio.segments import Segmentation
from uss.conditions.queries import AudioQuery, NodeQuery, Query
from uss.detection.analysis import Analysis
from uss.detection.detections import Detection
from uss.results.folder import result_folder
from uss.results.stem_writer import OutputFormat, StemWriter
from uss.separation.plan import Plan
from uss.separation.stream import Piece
from uss.taggers import NUM_CLASSES

RATE = 1_000
SEGMENTS = 3
NUM_SAMPLES = SEGMENTS * RATE
FLOAT = OutputFormat("wav", "FLOAT")
PCM_16 = OutputFormat("wav", "PCM_16")
FORMATS = [PCM_16, OutputFormat("wav", "PCM_24"), OutputFormat("flac", "PCM_16")]
FORMATS.append(OutputFormat("flac", "PCM_24"))
FORMAT_NAMES = [f"{each.suffix} {each.subtype}" for each in FORMATS]
Stems = Sequence[NDArray[np.float32] | None]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def step_of(output_format: OutputFormat) -> float:
    """The size of a least significant bit, where full scale is 1."""
    return float(2.0 ** (1 - int(output_format.subtype[-2:])))


def detection(name: str | Query, active: Sequence[bool] = (True,) * SEGMENTS) -> Detection:
    ontology = load_ontology()
    asked = NodeQuery.of(ontology.find(name), ontology) if isinstance(name, str) else name
    return Detection(asked, None, np.full(SEGMENTS, 0.5, np.float32), np.array(active))


def query(name: str) -> AudioQuery:
    return AudioQuery(name, "a-1", np.zeros(1, np.float32), np.zeros(1, np.float32))


def analysis() -> Analysis:
    """Three seconds in segments of one."""
    return Analysis(
        probabilities=np.zeros((SEGMENTS, NUM_CLASSES), np.float32),
        segmentation=Segmentation(NUM_SAMPLES, RATE, RATE),
        starts_seconds=(0.0, 1.0, 2.0),
        segment_seconds=1.0,
        sounding=np.ones(SEGMENTS, bool),
        condition_probabilities=None,
        num_samples=NUM_SAMPLES,
        envelope=Envelope(RATE),
    )


def noise(rng: np.random.Generator, peak: float = 0.4, channels: int = 2) -> NDArray[np.float32]:
    return rng.uniform(-peak, peak, (channels, NUM_SAMPLES)).astype(np.float32)


def make_writer(
    folder: Path, groups: Mapping[str, Sequence[Detection]], output_format: OutputFormat = FLOAT
) -> StemWriter:
    source = Recording(np.zeros((2, NUM_SAMPLES), np.float32), RATE)
    return StemWriter(folder, Plan(groups), source, analysis(), output_format)


def pieces(mixture: NDArray[np.float32], stems: Stems, length: int = 700) -> Iterator[Piece]:
    for start in range(0, mixture.shape[1], length):
        part = slice(start, start + length)
        yield Piece(
            start,
            mixture[:, part],
            tuple(None if stem is None else stem[:, part] for stem in stems),
        )


def write(
    folder: Path,
    groups: Mapping[str, Sequence[Detection]],
    mixture: NDArray[np.float32],
    stems: Stems,
    output_format: OutputFormat = FLOAT,
) -> StemWriter:
    with make_writer(folder, groups, output_format) as writer:
        for piece in pieces(mixture, stems):
            writer.write(piece)
    return writer


def read(path: Path) -> NDArray[np.float64]:
    samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    assert rate == RATE
    return np.asarray(samples.T)


def total(folder: Path) -> NDArray[np.float64]:
    return np.asarray(sum(read(path) for path in folder.iterdir()))


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    "output_format",
    [*FORMATS, OutputFormat("wav", "PCM_32")],
    ids=[*FORMAT_NAMES, "wav PCM_32"],
)
def test_files_add_up_to_the_input_within_half_a_bit(
    tmp_path: Path, rng: np.random.Generator, output_format: OutputFormat
) -> None:
    mixture, stems = noise(rng), [noise(rng, 0.3), noise(rng, 0.2)]
    write(tmp_path, {"a": [detection("Dog"), detection("Cat")]}, mixture, stems, output_format)
    assert len(files(tmp_path)) == 3
    half = step_of(output_format) / 2.0
    np.testing.assert_allclose(total(tmp_path / "a"), mixture, atol=1.01 * half, rtol=0.0)


@pytest.mark.parametrize("output_format", FORMATS, ids=FORMAT_NAMES)
def test_files_add_up_exactly_to_an_input_of_whole_bits(
    tmp_path: Path, rng: np.random.Generator, output_format: OutputFormat
) -> None:
    """As a recording of that format is; stems are rounded, and the residual takes that up."""
    step = step_of(output_format)
    mixture = (np.rint(noise(rng) / step) * step).astype(np.float32)
    groups = {"a": [detection("Dog"), detection("Cat"), detection("Music")]}
    stems = [noise(rng, 0.1), noise(rng, 0.1), None]
    write(tmp_path, groups, mixture, stems, output_format)
    np.testing.assert_array_equal(total(tmp_path / "a"), mixture)


def test_files_of_doubles_add_up_exactly(tmp_path: Path, rng: np.random.Generator) -> None:
    mixture, stem = noise(rng), noise(rng)
    write(tmp_path, {"a": [detection("Dog")]}, mixture, [stem], OutputFormat("wav", "DOUBLE"))
    np.testing.assert_array_equal(total(tmp_path / "a"), mixture)


def test_float_files_hold_the_stems_and_add_up(tmp_path: Path, rng: np.random.Generator) -> None:
    mixture, stem = noise(rng, 3.0), noise(rng, 2.0)
    write(tmp_path, {"a": [detection("Dog")]}, mixture, [stem])
    np.testing.assert_array_equal(read(tmp_path / "a/Dog.wav"), stem)
    np.testing.assert_allclose(total(tmp_path / "a"), mixture, atol=1e-6)


def test_every_group_has_a_folder_that_adds_up(tmp_path: Path, rng: np.random.Generator) -> None:
    groups = {
        "level1": [detection("Animal"), detection("Music")],
        "level2": [],
        "queries": [detection(query("my dog"))],
    }
    mixture, stems = noise(rng), [noise(rng), None, noise(rng)]
    writer = write(tmp_path, groups, mixture, stems)
    assert files(tmp_path) == [
        "level1/Animal.wav",
        "level1/Music.wav",
        "level1/residual.wav",
        "level2/residual.wav",
        "queries/my dog.wav",
        "queries/residual.wav",
    ]
    for group in groups:
        np.testing.assert_allclose(total(tmp_path / group), mixture, atol=1e-6)
    np.testing.assert_array_equal(read(tmp_path / "queries/my dog.wav"), stems[2])
    assert not read(tmp_path / "level1/Music.wav").any()
    np.testing.assert_array_equal(read(tmp_path / "level2/residual.wav"), mixture)
    assert writer.residuals == {group: f"{group}/residual.wav" for group in groups}
    assert [stem.file for stem in writer.stems] == [
        "level1/Animal.wav",
        "level1/Music.wav",
        "queries/my dog.wav",
    ]


def test_what_is_known_of_each_stem(tmp_path: Path) -> None:
    """Its level while it is active, 0.5 in the first and last second, and its envelope."""
    ones = np.ones((2, NUM_SAMPLES), np.float32)
    stem = 0.5 * ones
    stem[:, RATE : 2 * RATE] = 0.1
    groups = {"a": [detection("Dog", [True, False, True]), detection("Cat", [False] * 3)]}
    writer = write(tmp_path, groups, ones, [stem, None])
    dog, cat = writer.stems
    assert (dog.name, dog.mid, dog.probability) == ("Dog", "/m/0bt9lr", 0.5)
    assert dog.active_intervals == ((0.0, 1.0), (2.0, 3.0))
    assert dog.loudness_dbfs == pytest.approx(-6.02)
    assert cat.loudness_dbfs is None
    expected = 10.0 * np.log10((0.5**2 + 0.9**2 + 0.5**2) / 3.0)
    assert writer.residual_loudness_dbfs == {"a": pytest.approx(expected, abs=0.006)}
    first, second = writer.envelopes
    assert first.num_samples == second.num_samples == NUM_SAMPLES
    np.testing.assert_array_equal(first.high, stem[0])
    assert not second.high.any()


def test_loudness_and_envelopes_are_those_of_the_files(tmp_path: Path) -> None:
    """A wave of less than half a bit is silence in the file."""
    quiet = np.full((2, NUM_SAMPLES), 0.4 * step_of(PCM_16), np.float32)
    writer = write(tmp_path, {"a": [detection("Dog")]}, quiet, [quiet], PCM_16)
    assert writer.stems[0].loudness_dbfs is None
    assert not writer.envelopes[0].high.any()


def test_two_pieces_wait_while_an_earlier_one_is_written(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, threads = threading.Event(), set()
    write_block = AudioWriter.write

    def slow(writer: AudioWriter, block: Any) -> Any:
        threads.add(threading.get_ident())
        assert gate.wait(5.0)
        return write_block(writer, block)

    monkeypatch.setattr(AudioWriter, "write", slow)
    mixture = noise(rng)
    with make_writer(tmp_path, {"a": [detection("Dog")]}) as writer:
        first, second, *others = pieces(mixture, [mixture])
        writer.write(first)
        writer.write(second)
        gate.set()
        for piece in others:
            writer.write(piece)
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    np.testing.assert_array_equal(read(tmp_path / "a/Dog.wav"), mixture)


@pytest.mark.parametrize("failing_call", [1, 4, 10])
def test_a_write_that_fails_surfaces_and_leaves_no_file(
    tmp_path: Path,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    failing_call: int,
) -> None:
    """Of five pieces, two files each, in the first, a middle and the last one."""
    calls = 0
    write_block = AudioWriter.write

    def broken(writer: AudioWriter, block: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == failing_call:
            raise OSError("the disk was unplugged")
        return write_block(writer, block)

    monkeypatch.setattr(AudioWriter, "write", broken)
    with pytest.raises(OSError, match="the disk was unplugged"):
        write(tmp_path, {"a": [detection("Dog")]}, noise(rng), [None])
    assert files(tmp_path) == []


def test_an_exception_while_separating_leaves_no_file(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    mixture = noise(rng)
    with (
        pytest.raises(KeyboardInterrupt),
        make_writer(tmp_path, {"a": [detection("Dog")]}) as writer,
    ):
        for piece in pieces(mixture, [mixture]):
            writer.write(piece)
        raise KeyboardInterrupt
    assert files(tmp_path) == []


def test_pieces_that_are_missing_leave_no_file(tmp_path: Path, rng: np.random.Generator) -> None:
    mixture = noise(rng)
    with (
        pytest.raises(ValueError, match="2800 samples were written, not 3000"),
        make_writer(tmp_path, {"a": [detection("Dog")]}) as writer,
    ):
        for piece in list(pieces(mixture, [mixture]))[:-1]:
            writer.write(piece)
    assert files(tmp_path) == []


def free_bytes(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(0, 0, free))


@pytest.mark.parametrize(("subtype", "num_bytes"), [("PCM_16", 2), ("PCM_24", 3), ("FLOAT", 4)])
def test_a_disk_that_is_too_full_is_noticed_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subtype: str, num_bytes: int
) -> None:
    """Three stems and two residuals of 3000 samples in two channels."""
    output_format = OutputFormat("wav", subtype)
    groups = {"a": [detection("Dog"), detection("Cat")], "b": [detection("Music")]}
    needed = (3 + 2) * 3_000 * 2 * num_bytes
    free_bytes(monkeypatch, needed - 1)
    with (
        pytest.raises(OSError, match=r"5 files of 3 s need 0\.\d MB, 0\.\d MB are free"),
        make_writer(tmp_path, groups, output_format),
    ):
        pytest.fail("nothing may be separated")
    assert list(tmp_path.iterdir()) == []
    free_bytes(monkeypatch, needed)
    silence = np.zeros((2, NUM_SAMPLES), np.float32)
    write(tmp_path, groups, silence, [None] * 3, output_format)
    assert len(files(tmp_path)) == 5


def test_how_small_flac_gets_is_not_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_bytes(monkeypatch, 10)
    silence = np.zeros((2, NUM_SAMPLES), np.float32)
    write(tmp_path, {"a": [detection("Dog")]}, silence, [None], OutputFormat("flac", "PCM_16"))
    assert len(files(tmp_path)) == 2


def test_a_format_that_cannot_hold_the_channels_is_refused_before_the_work(tmp_path: Path) -> None:
    source = Recording(np.zeros((9, NUM_SAMPLES), np.float32), RATE)
    plan = Plan({"a": [detection("Dog")]})
    flac = OutputFormat("flac", "PCM_16")
    with (
        pytest.raises(ValueError, match="flac holds 8 channels at most, not 9"),
        StemWriter(tmp_path, plan, source, analysis(), flac),
    ):
        pytest.fail("nothing may be separated")
    assert list(tmp_path.iterdir()) == []


def test_a_format_that_cannot_be_opened_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third of three files."""
    opened: list[AudioWriter] = []
    enter = AudioWriter.__enter__

    def third_fails(writer: AudioWriter) -> AudioWriter:
        opened.append(writer)
        if len(opened) == 3:
            raise OSError("too many open files")
        return enter(writer)

    monkeypatch.setattr(AudioWriter, "__enter__", third_fails)
    groups = {"a": [detection("Dog"), detection("Cat")]}
    with pytest.raises(OSError, match="too many open files"), make_writer(tmp_path, groups):
        pytest.fail("nothing may be separated")
    assert files(tmp_path) == []


def test_names_that_collide_get_a_mark(tmp_path: Path, rng: np.random.Generator) -> None:
    """File systems may not tell upper from lower case; ``residual`` is taken."""
    named = ["Dog", query("dog"), query("DOG"), query("residual"), query("a/b"), query("a_b")]
    mixture = noise(rng)
    stems = [np.float32(0.1 * number) * mixture for number in range(6)]
    writer = write(tmp_path, {"q": [detection(each) for each in named]}, mixture, stems)
    found = [str(stem.file) for stem in writer.stems]
    assert found == [
        "q/Dog.wav",
        "q/dog (2).wav",
        "q/DOG (3).wav",
        "q/residual (2).wav",
        "q/a_b.wav",
        "q/a_b (2).wav",
    ]
    for file, stem in zip(found, stems, strict=True):
        np.testing.assert_array_equal(read(tmp_path / file), stem)
    np.testing.assert_allclose(total(tmp_path / "q"), mixture, atol=1e-6)


def test_nodes_of_one_name_are_told_apart_by_their_mid(tmp_path: Path) -> None:
    silence = np.zeros((2, NUM_SAMPLES), np.float32)
    thrice = [detection("Dog"), detection("Dog"), detection("Dog")]
    writer = write(tmp_path, {"a": thrice, "b": thrice[:1]}, silence, [None] * 4)
    assert [stem.file for stem in writer.stems] == [
        "a/Dog.wav",
        "a/Dog (_m_0bt9lr).wav",
        "a/Dog (2).wav",
        "b/Dog.wav",
    ]


def test_what_pcm_clips_is_said(
    tmp_path: Path, rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    mixture = noise(rng, 0.5)
    mixture[0, :3] = [1.5, -1.5, 1.2]
    groups = {"a": [detection("Dog")]}
    with caplog.at_level(logging.WARNING):
        write(tmp_path, groups, mixture, [None], PCM_16)
    assert "a/residual.wav: samples beyond full scale: 3" in caplog.text
    assert "Dog.wav" not in caplog.text


def test_what_a_stem_clips_the_residual_holds(tmp_path: Path, rng: np.random.Generator) -> None:
    mixture, stem = noise(rng, 0.5), noise(rng, 0.5)
    mixture[0, 0], stem[0, 0] = 0.75, 1.5
    write(tmp_path, {"a": [detection("Dog")]}, mixture, [stem], PCM_16)
    half = step_of(PCM_16) / 2.0
    np.testing.assert_allclose(total(tmp_path / "a"), mixture, atol=1.01 * half)


def test_a_result_appears_when_it_is_complete_and_replaces_an_older_one(tmp_path: Path) -> None:
    for number in (1, 2):
        with result_folder(tmp_path / "out", "song") as folder:
            assert folder.parent == tmp_path / "out"
            listed = {"stems": [], "files": ["detections.json", f"{number}.wav"]}
            (folder / "detections.json").write_text(json.dumps(listed))
            (folder / f"{number}.wav").touch()
        assert files(tmp_path) == [f"out/song/{number}.wav", "out/song/detections.json"]
        assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["song"]


@pytest.mark.parametrize("is_there", [False, True])
def test_a_result_that_fails_leaves_what_was_there(tmp_path: Path, is_there: bool) -> None:
    output = tmp_path / "out"
    if is_there:
        with result_folder(output, "song") as folder:
            (folder / "detections.json").write_text('{"stems": ["older"]}')
    with pytest.raises(KeyboardInterrupt), result_folder(output, "song") as folder:
        (folder / "detections.json").write_text("newer")
        raise KeyboardInterrupt
    if is_there:
        assert (output / "song" / "detections.json").read_text() == '{"stems": ["older"]}'
        assert [entry.name for entry in output.iterdir()] == ["song"]
    else:
        assert not output.exists()


def test_what_is_no_result_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "song").mkdir()
    (tmp_path / "song" / "thesis.txt").write_text("years of work")
    with (
        pytest.raises(ValueError, match="song exists and is no earlier result; move it away"),
        result_folder(tmp_path, "song"),
    ):
        pytest.fail("nothing may be separated")
    assert files(tmp_path) == ["song/thesis.txt"]
