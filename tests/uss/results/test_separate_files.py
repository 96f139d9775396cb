"""Files into folders from a program, as the command does it."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import uss
from tests.uss.evaluation.conftest import CAT, DOG, RATE, make_separator, tone
from uss.conditions.queries import AudioQuery
from uss.results.recording_job import FileSettings
from uss.results.result import SeparationResult
from uss.results.separate_files import Outcome, separate_files
from uss.results.stem_writer import OutputFormat
from uss.separation.plan import Wanted
from uss.separation.separator import Separator

LOW_HZ, HIGH_HZ = 500.0, 6_000.0


@pytest.fixture
def separator() -> Separator:
    """Takes tones below 2 kHz for a dog, those above for a cat."""
    return make_separator(DOG, CAT)


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(path: Path, *_: object) -> None:
        path.write_bytes(b"a picture")

    monkeypatch.setattr("uss.results.recording_job.draw_timeline", draw)


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
    assert written["stems"] == [
        json.loads(json.dumps({**vars(stem)}, default=list)) for stem in result.stems
    ]
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
    assert names == {"detections.json", "timeline.png", "report.html"}


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


def test_a_fault_ends_the_run_but_keeps_what_only_waited(
    tmp_path: Path, separator: Separator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the program's own is nobody's bad file."""
    paths = [save(tmp_path / f"{name}.wav", LOW_HZ, seconds=0.4) for name in "ab"]
    numbers = iter(range(2))
    analyse = separator.analyse

    def broken(source: Any, overlap: float) -> Any:
        if next(numbers) == 1:
            raise ValueError("operands could not be broadcast")
        return analyse(source, overlap)

    monkeypatch.setattr(separator, "analyse", broken)
    outcomes: list[Outcome] = []
    settings = FileSettings(wanted=Wanted(levels=[3]))
    with pytest.raises(ValueError, match="broadcast"):
        separate_files(paths, tmp_path / "out", separator, settings, on_outcome=outcomes.append)
    assert [each.path.stem for each in outcomes] == ["a"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, OSError])
def test_what_cannot_be_written_leaves_nothing(
    tmp_path: Path,
    separator: Separator,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[BaseException],
) -> None:
    """Both files wait for one batch; the report of the first fails."""
    paths = [save(tmp_path / f"{name}.wav", LOW_HZ, seconds=0.4) for name in "ab"]

    def fail(path: Path, result: Any, ontology: Any) -> None:
        if result.input == "a.wav":
            raise kind("the disk is full")

    monkeypatch.setattr("uss.results.recording_job.write_report", fail)
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
