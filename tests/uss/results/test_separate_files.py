"""Files into folders from a program, as the command does it."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import uss
from tests.uss.evaluation.conftest import CAT, DOG, RATE, make_separator, tone
from uss.conditions.queries import AudioQuery
from uss.results.file_settings import FileSettings
from uss.results.outcomes import Outcome
from uss.results.recordings import Input
from uss.results.result import SeparationResult, result_of
from uss.results.separate_files import separate_files
from uss.results.stem_writer import OutputFormat, StemWriter
from uss.separation.batching import Batcher
from uss.separation.plan import Wanted
from uss.separation.separator import Separator

NOT_STEMS = {"detections.json", "timeline.png", "report.html", "provenance.json"}
LOW_HZ, HIGH_HZ = 500.0, 6_000.0


@pytest.fixture
def separator() -> Separator:
    """Takes tones below 2 kHz for a dog, those above for a cat."""
    return make_separator(DOG, CAT)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(path: Path, *_: object) -> None:
        path.write_bytes(b"a picture")

    monkeypatch.setattr("uss.results.views.draw_timeline", draw)


def save(path: Path, *frequencies_hz: float, seconds: float = 0.6) -> Path:
    total = sum(tone(each, seconds) for each in frequencies_hz)
    soundfile.write(path, total, RATE, subtype="FLOAT")
    return path


def samples(path: Path) -> np.ndarray:
    read, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    return read


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return save(tmp_path / "scene.wav", LOW_HZ, HIGH_HZ)


class Counted:
    """Counts what it is told, and objects to more than so many pairs."""

    def __init__(self, most: int) -> None:
        self.seconds, self.pairs, self.most = 0.0, 0, most

    @contextmanager
    def listening(self, path: Path) -> Iterator[Callable[[float], object]]:
        def heard(seconds: float) -> None:
            self.seconds += seconds

        yield heard

    @contextmanager
    def separating(self, path: Path, num_pairs: int) -> Iterator[Callable[[int], object]]:
        def separated(pairs: int) -> None:
            self.pairs += pairs
            if self.pairs > self.most:
                raise RuntimeError("enough")

        yield separated


def test_a_program_is_told_how_far_it_is_and_may_end_it(
    scene: Path, tmp_path: Path, separator: Separator
) -> None:
    output, told = tmp_path / "out", Counted(most=1_000)
    uss.separate_file(scene, output, separator=separator, levels=[3], progress=told)
    assert told.seconds == pytest.approx(0.6) and told.pairs >= 2
    with pytest.raises(RuntimeError, match="enough"):
        uss.separate_file(
            scene, tmp_path / "other", separator=separator, levels=[3], progress=Counted(most=0)
        )
    assert not (tmp_path / "other" / "scene").exists()


def test_a_file_that_is_not_there_to_stay_is_known_by_its_name(
    scene: Path, tmp_path: Path, separator: Separator
) -> None:
    """A program that was sent a recording says nothing of where it kept it."""
    recording = Input(scene, "take 1", is_spooled=True)
    result = uss.separate_file(recording, tmp_path / "out", separator=separator, levels=[1])
    folder = tmp_path / "out" / "take 1"
    assert result.identity is not None and result.identity.path == "take 1"
    written = [path.read_text() for path in folder.glob("*.json")]
    assert len(written) == 2 and all(str(scene.parent) not in text for text in written)


def test_a_file_becomes_a_folder_that_adds_up(
    scene: Path, tmp_path: Path, separator: Separator
) -> None:
    result = uss.separate_file(scene, tmp_path / "out", separator=separator, levels=[1, 3])
    folder = tmp_path / "out" / "scene"
    assert {stem.file for stem in result.stems} == {
        "level1/Animal.wav",
        "level3/Dog.wav",
        "level3/Cat.wav",
    }
    assert {stem.group for stem in result.stems} == set(result.residuals) == {"level1", "level3"}
    for group in result.residuals:
        total = sum(samples(path) for path in (folder / group).iterdir())
        np.testing.assert_allclose(total, samples(scene), atol=1e-6)
    middle = slice(4_000, 12_000)
    dog = samples(folder / "level3" / "Dog.wav")[middle]
    np.testing.assert_allclose(dog, tone(LOW_HZ, 0.6)[middle], atol=2e-3)
    written = json.loads((folder / "detections.json").read_text(encoding="utf-8"))
    assert result_of(written).stems == result.stems
    assert all(stem.events for stem in result.stems)
    assert (folder / "report.html").is_file()


def test_level_2_unless_something_else_is_asked_for(
    scene: Path, tmp_path: Path, separator: Separator
) -> None:
    def groups(**options: Any) -> set[str]:
        result = uss.separate_file(scene, tmp_path / "out", separator=separator, **options)
        return set(result.residuals)

    assert groups() == {"level2"}
    assert groups(classes="Dog") == {"queries"}
    assert groups(classes=["Dog"], levels=[3]) == {"level3", "queries"}


def test_files_and_queries_are_asked_for_alike(
    scene: Path, tmp_path: Path, separator: Separator
) -> None:
    example = save(tmp_path / "woof.wav", 400.0)
    query = separator.audio_query("mine", [_Tone(400.0)])
    assert isinstance(query, AudioQuery)
    result = uss.separate_file(
        scene, tmp_path / "out", separator=separator, queries=[example, query]
    )
    assert [stem.name for stem in result.stems] == ["woof", "mine"]
    first, second = (samples(tmp_path / "out" / "scene" / str(stem.file)) for stem in result.stems)
    np.testing.assert_allclose(first, second, atol=1e-6)
    assert np.abs(first).max() > 0.2


@pytest.mark.parametrize("unwanted", ["Cat", "FILE"])
def test_what_must_be_in_no_stem_is_a_class_or_a_file(
    scene: Path, tmp_path: Path, separator: Separator, unwanted: str
) -> None:
    if unwanted == "FILE":
        unwanted = str(save(tmp_path / "meow.wav", HIGH_HZ))
    result = uss.separate_file(
        scene, tmp_path / "out", separator=separator, levels=[1], without=[unwanted]
    )
    (animal,) = result.stems
    stem = samples(tmp_path / "out" / "scene" / str(animal.file))[4_000:12_000]
    spectrum = np.abs(np.fft.rfft(stem * np.hanning(len(stem))))
    low, high = (spectrum[round(hz * len(stem) / RATE)] for hz in (LOW_HZ, HIGH_HZ))
    assert high < 0.25 * low


def test_a_single_name_is_a_list_of_one(scene: Path, tmp_path: Path, separator: Separator) -> None:
    example = save(tmp_path / "woof.wav", 400.0)
    for named in (example, str(example), separator.audio_query("woof", [_Tone(400.0)])):
        result = uss.separate_file(
            scene, tmp_path / "out", separator=separator, queries=named, without="Cat"
        )
        assert [stem.name for stem in result.stems] == ["woof"]
        assert result.settings.without == ["Cat"]


def test_detecting_alone_writes_no_stem(scene: Path, tmp_path: Path, separator: Separator) -> None:
    result = uss.separate_file(scene, tmp_path / "out", separator=separator, detect_only=True)
    assert [stem.file for stem in result.stems] == [None]
    assert not result.residuals
    folder = tmp_path / "out" / "scene"
    names = {path.name for path in folder.iterdir()}
    assert names == NOT_STEMS


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"format": "mp3"}, "format 'mp3'; choose wav or flac"),
        ({"format": "flac", "subtype": "FLOAT"}, "flac has no subtype 'FLOAT'"),
        ({"classes": ["Dgo"]}, 'unknown class "Dgo"'),
        ({"levels": [9]}, "level 9 does not exist"),
        ({"without": ["nothing"]}, 'unknown class "nothing"'),
        ({"track": 2}, "track"),
        ({"threshold": 7.0}, "threshold 7.0 is out of range; choose 0 to 1"),
        ({"classes": "Dog", "without": "Animal"}, "Animal, which is to be in no stem, takes all"),
        ({"detect_only": True, "mux": True}, "a film needs stems"),
    ],
)
def test_what_cannot_be_done_is_refused_and_leaves_nothing(
    scene: Path, tmp_path: Path, separator: Separator, options: dict[str, Any], said: str
) -> None:
    with pytest.raises((ValueError, OSError), match=said):
        uss.separate_file(scene, tmp_path / "out", separator=separator, **options)
    assert not (tmp_path / "out").exists()


def test_what_no_recording_can_have_is_refused_before_any_is_heard(
    scene: Path, tmp_path: Path, separator: Separator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hear(*_: object) -> None:
        raise AssertionError("a recording was read")

    monkeypatch.setattr(separator, "analyse", hear)
    speech = separator.class_query("Speech")
    for options in ({"levels": [9]}, {"classes": ["Speech"]}, {"without": [speech]}):
        with pytest.raises(ValueError, match=r"level 9 does not exist|no query for 'Speech'"):
            uss.separate_file(scene, tmp_path / "out", separator=separator, **options)


def test_a_missing_file_says_so(tmp_path: Path, separator: Separator) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        uss.separate_file(tmp_path / "nowhere.wav", tmp_path / "out", separator=separator)


class _Tone:
    """A recording of half a second."""

    sample_rate = RATE
    num_channels = 1

    def __init__(self, frequency_hz: float) -> None:
        self._waveform = tone(frequency_hz)[None]

    def blocks(self) -> Iterator[np.ndarray]:
        yield self._waveform


# Earlier results


def test_a_program_names_results_and_goes_on(
    scene: Path, tmp_path: Path, separator: Separator
) -> None:
    def run(**options: Any) -> SeparationResult:
        return uss.separate_file(scene, tmp_path / "out", separator=separator, **options)

    first = run(name="{parent}/{name}", levels=[3])
    record = tmp_path / "out" / tmp_path.name / "scene.wav" / "detections.json"
    before = record.stat().st_mtime_ns
    again = run(name="{parent}/{name}", levels=[3], resume=True)
    assert record.stat().st_mtime_ns == before
    assert (again.stems, again.identity, again.files) == (first.stems, first.identity, first.files)
    run(name="{parent}/{name}", levels=[1], resume=True)
    assert record.stat().st_mtime_ns != before
    with pytest.raises(ValueError, match="leave out one"):
        run(resume=True, force=True)
    with pytest.raises(ValueError, match=r"there is no \{date\}"):
        run(name="{date}")


def test_a_precision_that_nobody_named_makes_no_result_another(
    scene: Path, tmp_path: Path, separator: Separator
) -> None:
    def run(**changes: Any) -> int:
        separator.runtime = replace(separator.runtime, **changes)
        uss.separate_file(scene, tmp_path / "out", separator=separator, resume=True)
        return (tmp_path / "out/scene/detections.json").stat().st_mtime_ns

    first = run(is_automatic=True)
    # A busy machine may choose otherwise.
    assert run(dtype=torch.bfloat16) == first
    named = run(is_automatic=False)
    assert named != first
    assert run() == named


def test_a_program_too_replaces_another_recording_only_by_force(
    scene: Path, tmp_path: Path, separator: Separator
) -> None:
    uss.separate_file(scene, tmp_path / "out", separator=separator)
    save(scene, LOW_HZ)
    with pytest.raises(ValueError, match="is the result of another recording"):
        uss.separate_file(scene, tmp_path / "out", separator=separator)
    result = uss.separate_file(scene, tmp_path / "out", separator=separator, force=True)
    assert result.identity is not None
    assert result.identity.sha256 == hashlib.sha256(scene.read_bytes()).hexdigest()


# Many files


def run(
    paths: list[Path], output: Path, separator: Separator, progress: Any = None
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    settings = FileSettings(wanted=Wanted(levels=[3]), output_format=OutputFormat("wav", "FLOAT"))
    separate_files(
        paths, output, separator, settings, on_outcome=outcomes.append, progress=progress
    )
    return outcomes


def test_short_files_share_batches_and_each_has_its_own_stems(
    tmp_path: Path, separator: Separator
) -> None:
    """Five files of one pair in batches of four."""
    names = ["a", "b", "c", "d", "e"]
    paths = [
        save(tmp_path / f"{name}.wav", LOW_HZ + 50.0 * number, seconds=0.4)
        for number, name in enumerate(names)
    ]
    outcomes = run(paths, tmp_path / "out", separator)
    assert separator.model.num_calls == 2  # type: ignore[attr-defined]
    assert sorted(outcome.path.stem for outcome in outcomes) == names
    for path in paths:
        stem = samples(tmp_path / "out" / path.stem / "level3" / "Dog.wav")
        np.testing.assert_allclose(stem[3_000:9_000], samples(path)[3_000:9_000], atol=2e-3)


def test_a_file_that_fails_stops_none_of_the_others(tmp_path: Path, separator: Separator) -> None:
    first, third = (save(tmp_path / f"{name}.wav", LOW_HZ, seconds=0.4) for name in "ac")
    second = tmp_path / "b.wav"
    second.write_text("no audio")
    outcomes = {each.path.stem: each for each in run([first, second, third], tmp_path, separator)}
    assert outcomes["b"].result is None and isinstance(outcomes["b"].error, ValueError)
    assert outcomes["a"].result is not None and outcomes["c"].result is not None
    assert outcomes["a"].folder == tmp_path / "a"
    assert outcomes["a"].highest_probability == pytest.approx(1.0, abs=0.02)


def outcomes_of_three(
    tmp_path: Path, separator: Separator, seconds: float = 0.4
) -> dict[str, Outcome]:
    """Of files that share one batch of four."""
    paths = [
        save(tmp_path / f"{name}.wav", LOW_HZ + 50.0 * number, seconds=seconds)
        for number, name in enumerate("abc")
    ]
    outcomes = {each.path.stem: each for each in run(paths, tmp_path / "out", separator)}
    assert outcomes.keys() == {"a", "b", "c"}
    return outcomes


def assert_only_b_is_lost(tmp_path: Path, outcomes: dict[str, Outcome], error: Exception) -> None:
    assert outcomes["b"].error is error and outcomes["b"].result is None
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a", "c"}
    for name in "ac":
        assert outcomes[name].error is None and not outcomes[name].warnings
        stem = samples(tmp_path / "out" / name / "level3" / "Dog.wav")
        mixture = samples(tmp_path / f"{name}.wav")
        np.testing.assert_allclose(stem[3_000:9_000], mixture[3_000:9_000], atol=2e-3)


FAULTS = [ValueError("operands could not be broadcast"), MemoryError()]


def is_named(source: Any, name: str) -> bool:
    return bool(source._source.file.path.stem == name)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_fault_in_the_first_pass_stops_none_of_the_others(
    tmp_path: Path, separator: Separator, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    analyse = separator.analyse

    def broken(source: Any, overlap: float) -> Any:
        if is_named(source, "b"):
            raise fault
        return analyse(source, overlap)

    monkeypatch.setattr(separator, "analyse", broken)
    assert_only_b_is_lost(tmp_path, outcomes_of_three(tmp_path, separator), fault)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_fault_while_pairs_of_the_file_wait_stops_none_of_the_others(
    tmp_path: Path, separator: Separator, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """What is left of the file in the batch is given to nobody."""
    write = StemWriter.write

    def broken(self: StemWriter, piece: Any) -> None:
        if self._source.file.path.stem == "b":  # type: ignore[attr-defined]
            raise fault
        write(self, piece)

    monkeypatch.setattr(StemWriter, "write", broken)
    outcomes = outcomes_of_three(tmp_path, separator)
    assert_only_b_is_lost(tmp_path, outcomes, fault)


def test_a_separator_that_lacks_memory_for_one_file_serves_the_others(
    tmp_path: Path, separator: Separator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch holds pairs of all three; it fails, and its parts but one do not."""
    fault = torch.OutOfMemoryError("tried to allocate 20 GiB")
    separate = Batcher._separate

    def broken(self: Batcher, rows: Any) -> Any:
        if any(_loudest_hz(row.segment.waveform) == LOW_HZ + 50.0 for row in rows):
            raise fault
        return separate(self, rows)

    monkeypatch.setattr(Batcher, "_separate", broken)
    assert_only_b_is_lost(tmp_path, outcomes_of_three(tmp_path, separator), fault)


def _loudest_hz(waveform: torch.Tensor) -> float:
    """Of the whole first half second, to 10 Hz."""
    spectrum = torch.fft.rfft(waveform[0], n=round(RATE / 10.0)).abs()
    return 10.0 * float(spectrum.argmax())


def test_of_a_batch_that_fails_for_all_each_file_says_why(
    tmp_path: Path, separator: Separator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Batcher, rows: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(Batcher, "_separate", broken)
    outcomes = outcomes_of_three(tmp_path, separator)
    assert [type(each.error) for each in outcomes.values()] == [MemoryError] * 3
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("view", ["draw_timeline", "write_report"])
@pytest.mark.parametrize(
    "error", [OSError(28, "No space left"), MemoryError(), RuntimeError("latex was not found")]
)
def test_a_view_that_fails_is_a_warning_and_the_stems_stay(
    tmp_path: Path,
    separator: Separator,
    monkeypatch: pytest.MonkeyPatch,
    view: str,
    error: Exception,
) -> None:
    def fail(path: Path, result: Any, *_: Any) -> None:
        if result.input == "b.wav":
            raise error

    monkeypatch.setattr(f"uss.results.views.{view}", fail)
    outcomes = outcomes_of_three(tmp_path, separator)
    (warning,) = outcomes["b"].warnings
    missing = {"draw_timeline": "timeline.png", "write_report": "report.html"}[view]
    assert warning.startswith(f"b.wav: {missing} is missing ({type(error).__name__}")
    for name, outcome in outcomes.items():
        assert outcome.result is not None
        assert (tmp_path / "out" / name / "level3" / "Dog.wav").is_file()
        assert (name == "b") == bool(outcome.warnings)


def test_a_program_finds_the_warning_in_the_log(
    scene: Path,
    tmp_path: Path,
    separator: Separator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("uss.results.views.write_report", fail)
    result = uss.separate_file(scene, tmp_path / "out", separator=separator)
    assert (tmp_path / "out" / "scene" / str(result.stems[0].file)).is_file()
    assert "scene.wav: report.html is missing (MemoryError)" in caplog.text


def test_an_interruption_that_a_library_has_turned_into_an_error_ends_the_run(
    tmp_path: Path, separator: Separator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NumPy does so where it compares arrays."""
    paths = [save(tmp_path / f"{name}.wav", LOW_HZ, seconds=0.4) for name in "abc"]
    signals: list[str] = []
    analyse = separator.analyse

    def interrupted(source: Any, overlap: float) -> Any:
        if is_named(source, "b"):
            signals.append("SIGINT")
            raise TypeError("Cannot compare structured arrays")
        return analyse(source, overlap)

    monkeypatch.setattr(separator, "analyse", interrupted)
    outcomes: list[Outcome] = []
    with pytest.raises(KeyboardInterrupt, match=r"nothing of b\.wav was written"):
        separate_files(
            paths,
            tmp_path / "out",
            separator,
            FileSettings(wanted=Wanted(levels=[3])),
            on_outcome=outcomes.append,
            is_interrupted=lambda: bool(signals),
        )
    assert [(each.path.stem, each.error) for each in outcomes] == [("a", None)]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError])
def test_what_cannot_be_written_leaves_nothing(
    tmp_path: Path,
    separator: Separator,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[BaseException],
) -> None:
    """Both files wait for one batch; what is told of the stems of the first fails."""
    paths = [save(tmp_path / f"{name}.wav", LOW_HZ, seconds=0.4) for name in "ab"]

    write_json = SeparationResult.write_json

    def fail(self: SeparationResult, path: Path) -> None:
        if self.input == "a.wav":
            raise kind("the disk is full")
        write_json(self, path)

    monkeypatch.setattr(SeparationResult, "write_json", fail)
    outcomes: list[Outcome] = []
    settings = FileSettings(wanted=Wanted(levels=[3]))
    arguments = (paths, tmp_path / "out", separator, settings)
    if kind is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt, match=r"nothing of a\.wav was written"):
            separate_files(*arguments, on_outcome=outcomes.append)
        assert not outcomes
        left: set[str] = set()
    else:
        separate_files(*arguments, on_outcome=outcomes.append)
        assert [(each.path.stem, each.result is None) for each in outcomes] == [
            ("a", True),
            ("b", False),
        ]
        left = {"b"}
    out = tmp_path / "out"
    assert {path.name for path in (out.iterdir() if out.exists() else ())} == left


def test_progress_is_told_of_every_second_and_pair(tmp_path: Path, separator: Separator) -> None:
    class Counted:
        def __init__(self) -> None:
            self.seconds, self.pairs, self.announced, self.open = 0.0, 0, 0, 0

        @contextmanager
        def _counting(self, count: Callable[[Any], None]) -> Iterator[Callable[[Any], None]]:
            self.open += 1
            yield count
            self.open -= 1

        def listening(self, path: Path) -> AbstractContextManager[Callable[[float], object]]:
            def add(seconds: float) -> None:
                self.seconds += seconds

            return self._counting(add)

        def separating(
            self, path: Path, num_pairs: int
        ) -> AbstractContextManager[Callable[[int], object]]:
            self.announced += num_pairs

            def add(pairs: int) -> None:
                self.pairs += pairs

            return self._counting(add)

    counted = Counted()
    paths = [save(tmp_path / f"{name}.wav", LOW_HZ, seconds=1.3) for name in "ab"]
    run(paths, tmp_path / "out", separator, counted)
    assert counted.seconds == pytest.approx(2.6)
    assert counted.pairs == counted.announced == 2 * 4
    assert counted.open == 0
