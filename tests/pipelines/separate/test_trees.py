"""Trees of recordings, runs that go on, many files, and the table that sums them up."""

import csv
import json
import multiprocessing
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import soundfile

from pipelines.separate.summary import SummaryRow, write_summary
from uss.audio import AudioFile
from uss.results.identity import Identity

WriteNoise = Callable[..., Path]
Separate = Callable[..., int]


@pytest.fixture
def tree(tmp_path: Path, write_noise: WriteNoise) -> Path:
    """Recordings of one name in several folders, and what is none."""
    folder = tmp_path / "tape"
    for seed, name in enumerate(("a.wav", "day 1/a.wav", "day 1/night/a.wav", "day 2/b.wav")):
        write_noise(folder / name, 0.5, seed=seed)
    write_noise(folder / ".trash" / "a.wav", 0.5)
    (folder / "day 2" / "loop").symlink_to(folder)
    return folder


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        return {row["input"]: row for row in csv.DictReader(file)}


def results(output: Path) -> set[str]:
    return {path.parent.relative_to(output).as_posix() for path in output.rglob("detections.json")}


def times(output: Path) -> dict[str, int]:
    """When each result was written."""
    return {
        path.parent.relative_to(output).as_posix(): path.stat().st_mtime_ns
        for path in output.rglob("detections.json")
    }


def errors(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


# Trees


def test_the_structure_of_a_tree_is_repeated_in_the_output(
    tree: Path, tmp_path: Path, separate: Separate
) -> None:
    assert separate(tree, "--recursive", "--detect-only", "--name", "{name}") == 0
    expected = {"a.wav", "day 1/a.wav", "day 1/night/a.wav", "day 2/b.wav"}
    assert results(tmp_path / "out") == expected
    assert rows(tmp_path / "out").keys() == {str(tree / name) for name in expected}


def test_without_a_template_results_are_called_like_the_files(
    tree: Path, tmp_path: Path, separate: Separate
) -> None:
    assert separate(tree, "--recursive", "--detect-only") == 0
    assert results(tmp_path / "out") == {"a", "day 1/a", "day 1/night/a", "day 2/b"}


def test_the_output_is_not_searched_although_it_lies_in_the_tree(
    tree: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tree / "separated"
    for _ in range(2):
        assert separate(tree, "--recursive", "--level", "1", "-o", output) == 0
        assert results(output) == {"a", "day 1/a", "day 1/night/a", "day 2/b"}
    capsys.readouterr()
    assert separate(tree, "--recursive", "-o", tree) == 2
    assert "choose another output folder" in errors(capsys)[0]


def test_a_folder_of_folders_says_how_they_are_searched(
    tree: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "a.wav").unlink()
    assert separate(tree, "--detect-only") == 2
    assert "--recursive" in errors(capsys)[0]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("{date}", "{number} and /"),
        ("../{stem}", "below the output"),
        ("{stem}", "tell them apart with --name"),
        ("all", "tell them apart with --name"),
    ],
)
def test_names_are_refused_before_the_model_is_loaded(
    tree: Path,
    tmp_path: Path,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
    name: str,
    said: str,
) -> None:
    files = [tree / "a.wav", tree / "day 1" / "a.wav"]
    assert separate(*files, "--name", name, "--model", "never loaded") == 2
    (line,) = errors(capsys)
    assert said in line
    assert not (tmp_path / "out").exists()


def test_a_template_must_not_lead_through_a_file(
    tree: Path, tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "tape").write_text("a file")
    assert separate(tree / "a.wav", "--name", "{parent}/{stem}") == 2
    assert "tape is a file; choose a folder" in errors(capsys)[0]
    assert (tmp_path / "out" / "tape").read_text() == "a file"


# Going on


@pytest.fixture
def read_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were heard."""
    heard: list[str] = []
    read = AudioFile.blocks

    def note(self: AudioFile, *arguments: Any) -> Any:
        heard.append(Path(str(self.path)).name)
        return read(self, *arguments)

    monkeypatch.setattr(AudioFile, "blocks", note)
    return heard


def test_a_run_that_goes_on_leaves_what_is_done(
    tree: Path,
    tmp_path: Path,
    separate: Separate,
    read_files: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    assert separate(tree / "a.wav", tree / "day 2" / "b.wav", "--level", "1") == 0
    before = times(out)
    table = (out / "summary.csv").read_text()
    read_files.clear()
    capsys.readouterr()
    assert separate(tree / "a.wav", tree / "day 2", "--level", "1", "--resume") == 0
    assert (times(out), read_files) == (before, [])
    assert (out / "summary.csv").read_text() == table
    printed = capsys.readouterr().out.splitlines()
    assert ["skipped" in line and str(out) in line for line in printed] == [True, True]
    # Mirrored, b's place is another one, and the rest is new.
    assert separate(tree, "--recursive", "--level", "1", "--resume") == 0
    assert {name for name, time in times(out).items() if before.get(name) == time} == {"a", "b"}
    assert set(rows(out)) == {
        str(path) for path in tree.rglob("[ab].wav") if ".trash" not in str(path)
    }


def change_input(recording: Path, write_noise: WriteNoise) -> None:
    write_noise(recording, 0.5, seed=77)


CHANGES: dict[str, Sequence[str]] = {
    "threshold": ["--threshold", "0.3"],
    "level": ["--level", "1", "2"],
    "a class": ["--class", "Dog"],
    "what is unwanted": ["--not", "Rain"],
    "overlap": ["--overlap", "0"],
    "consistency": ["--consistency"],
    "band": ["--full-band"],
    "format": ["--format", "flac"],
    "subtype": ["--subtype", "PCM_16"],
    "precision": ["--precision", "bf16"],
}


@pytest.mark.parametrize("change", CHANGES)
def test_another_request_runs_again(
    tree: Path, tmp_path: Path, separate: Separate, read_files: list[str], change: str
) -> None:
    options = ("--level", "1", "--precision", "fp32")
    assert separate(tree / "a.wav", *options) == 0
    read_files.clear()
    assert separate(tree / "a.wav", *options, "--resume", *CHANGES[change]) == 0
    assert read_files
    read_files.clear()
    assert separate(tree / "a.wav", *options, "--resume", *CHANGES[change]) == 0
    assert not read_files


def test_another_example_of_the_same_name_runs_again(
    tree: Path, separate: Separate, write_noise: WriteNoise, tmp_path: Path, read_files: list[str]
) -> None:
    example = write_noise(tmp_path / "call.wav", 0.5, seed=9)
    for seed, runs in ((9, True), (9, False), (8, True)):
        write_noise(example, 0.5, seed=seed)
        read_files.clear()
        assert separate(tree / "a.wav", "--query", example, "--resume") == 0
        assert ("a.wav" in read_files) is runs


def test_another_model_runs_again(
    tree: Path, tmp_path: Path, separate: Separate, make_bundle: Any, read_files: list[str]
) -> None:
    model = make_bundle(tmp_path / "model.safetensors", ("Dog",))
    for heard, runs in ((("Dog",), True), (("Dog",), False), (("Rain",), True)):
        make_bundle(model, heard)
        read_files.clear()
        assert separate(tree / "a.wav", "--model", model, "--resume") == 0
        assert bool(read_files) is runs


def test_an_incomplete_result_is_made_again(
    tree: Path, tmp_path: Path, separate: Separate, read_files: list[str]
) -> None:
    assert separate(tree / "a.wav", "--level", "1") == 0
    (tmp_path / "out" / "a" / "level1" / "residual.wav").unlink()
    read_files.clear()
    assert separate(tree / "a.wav", "--level", "1", "--resume") == 0
    assert read_files
    assert (tmp_path / "out" / "a" / "level1" / "residual.wav").is_file()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def lose_the_end(path: Path) -> None:
    """As file systems do in a power failure: the size is there, what was written is not."""
    content = path.read_bytes()
    path.write_bytes(content[:-100] + bytes(100))


def encode_anew(path: Path) -> None:
    samples, sample_rate = soundfile.read(path)
    soundfile.write(path, samples, sample_rate, "PCM_16")


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("name", ["level1/residual.wav", "timeline.png", "report.html"])
@pytest.mark.parametrize("damage", [cut, lose_the_end, encode_anew, empty, Path.unlink])
def test_a_result_that_is_not_as_it_was_written_is_made_again(
    tree: Path,
    tmp_path: Path,
    separate: Separate,
    read_files: list[str],
    damage: Callable[[Path], object],
    name: str,
) -> None:
    if damage is encode_anew and not name.endswith(".wav"):
        return
    assert separate(tree / "a.wav", "--level", "1") == 0
    file = tmp_path / "out" / "a" / name
    size = file.stat().st_size
    damage(file)
    read_files.clear()
    assert separate(tree / "a.wav", "--level", "1", "--resume") == 0
    assert read_files and file.stat().st_size == pytest.approx(size, abs=500)
    read_files.clear()
    assert separate(tree / "a.wav", "--level", "1", "--resume") == 0
    assert not read_files


def test_a_result_that_lacks_something_is_made_again(
    tree: Path,
    tmp_path: Path,
    separate: Separate,
    read_files: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("uss.results.views.write_report", fail)
        assert separate(tree / "a.wav", "--level", "1") == 2
    noted = json.loads((tmp_path / "out" / "a" / "detections.json").read_text())
    assert len(noted["missing"]) == 1 and "no room" in noted["missing"][0]
    assert separate(tree / "a.wav", "--level", "1", "--resume") == 0
    assert read_files and (tmp_path / "out" / "a" / "report.html").is_file()


def test_a_result_of_a_release_without_events_is_made_again(
    tree: Path, tmp_path: Path, separate: Separate, read_files: list[str]
) -> None:
    assert separate(tree / "a.wav", "--level", "1") == 0
    record = tmp_path / "out" / "a" / "detections.json"
    noted = json.loads(record.read_text())
    for stem in noted["stems"]:
        del stem["events"]
    record.write_text(json.dumps(noted))
    read_files.clear()
    assert separate(tree / "a.wav", "--level", "1", "--resume") == 0
    assert read_files
    assert all(stem["events"] for stem in json.loads(record.read_text())["stems"])


def test_another_recording_is_refused_also_when_going_on(
    tree: Path,
    tmp_path: Path,
    separate: Separate,
    write_noise: WriteNoise,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert separate(tree / "a.wav", "--detect-only") == 0
    # Of the same size.
    write_noise(tree / "a.wav", 0.5, seed=77)
    capsys.readouterr()
    assert separate(tree / "a.wav", "--detect-only", "--resume") == 2
    assert "held something else then" in errors(capsys)[0]
    assert separate(tree / "a.wav", "--detect-only", "--force") == 0


def test_keeping_and_replacing_at_once_makes_no_sense(
    tree: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(tree, "--resume", "--force") == 2
    assert "leave out one" in errors(capsys)[0]


# The table


def test_rows_of_earlier_runs_stay(tree: Path, tmp_path: Path, separate: Separate) -> None:
    first, second, third = (
        tree / "a.wav",
        tree / "day 1" / "night" / "a.wav",
        tree / "day 2" / "b.wav",
    )
    missing = tmp_path / "missing.wav"
    assert separate(first, missing, "--detect-only") == 2
    assert separate(second, third, "--detect-only", "--name", "{number} {stem}") == 0
    assert list(rows(tmp_path / "out")) == [str(each) for each in (first, missing, second, third)]
    # Also one input alone has its row there, now that there is a table.
    third.rename(missing)
    assert separate(missing, "--detect-only") == 0
    assert rows(tmp_path / "out")[str(missing)]["status"] == "ok"
    assert len(rows(tmp_path / "out")) == 4


def write_rows(output: Path, run: int, num_rows: int) -> None:
    for number in range(num_rows):
        write_summary(output, [SummaryRow(f"{run}-{number}.wav", "ok", 1.0, 1, "Dog")])


def test_runs_at_the_same_time_lose_no_rows(tmp_path: Path) -> None:
    processes = [
        multiprocessing.get_context("fork").Process(target=write_rows, args=(tmp_path, run, 25))
        for run in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60.0)
        assert process.exitcode == 0
    assert set(rows(tmp_path)) == {
        f"{run}-{number}.wav" for run in range(4) for number in range(25)
    }
    assert os.listdir(tmp_path) == ["summary.csv"]


# Many


_COUNTED = re.compile(r"[/\\](uss|pipelines|pathlib)[/\\.]")


class Calls:
    """Counts calls of functions, and what the interpreter reports of files, in this thread."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.is_counting = False
        sys.addaudithook(self._audit)

    def _audit(self, event: str, _: object) -> None:
        if self.is_counting and event.startswith(("open", "os.", "shutil.", "tempfile.")):
            self.events[event] += 1

    def _call(self, frame: Any, event: str, _: object) -> None:
        # Going through a list of files calls pathlib, or what is in the house, for each.
        if event == "call" and _COUNTED.search(frame.f_code.co_filename):
            self.events["calls"] += 1

    def count(self, work: Callable[[], object]) -> Counter[str]:
        self.events.clear()
        self.is_counting = True
        sys.setprofile(self._call)
        try:
            work()
        finally:
            sys.setprofile(None)
            self.is_counting = False
        return self.events.copy()


@pytest.fixture(scope="module")
def calls() -> Calls:
    return Calls()


def test_many_files_take_as_long_each_as_few_and_a_bad_one_stops_none(
    tmp_path: Path, separate: Separate, write_noise: WriteNoise, calls: Calls
) -> None:
    """What is done for a file does not depend on how many there are: operations are counted."""

    def operations(num_files: int, *options: str) -> Counter[str]:
        tape, output = tmp_path / f"tape{num_files}", tmp_path / f"out{num_files}"
        for number in range(num_files):
            path = tape / f"{number}.wav"
            if not path.exists():
                write_noise(path, 0.1, loud_seconds=0.0)
        (tape / "bad.wav").write_text("no audio")
        words = (tape, "--recursive", "--detect-only", "-o", output, *options)
        statuses: list[int] = []
        counted = calls.count(lambda: statuses.append(separate(*words)))
        assert statuses == [2]
        table = rows(output)
        assert Counter(row["status"] for row in table.values()) == {"ok": num_files, "failed": 1}
        assert len(results(output)) == num_files
        return counted

    separate(write_noise(tmp_path / "first.wav", 0.1), "--detect-only")
    for options in ((), (), ("--resume",)):
        few, some, many = (operations(number, *options) for number in (4, 8, 24))
        for kind in many:
            # Four times as many more files: four times as many more operations.
            more, fewer = many[kind] - some[kind], some[kind] - few[kind]
            assert more == pytest.approx(4 * fewer, rel=0.02, abs=8), (kind, options)
        assert many["calls"] > 24


def test_hashing_reads_a_file_once_and_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "film.mkv"
    path.write_bytes(os.urandom(3_000_000))
    opened: list[object] = []

    def note(event: str, arguments: Sequence[object]) -> None:
        if event == "open" and arguments[0] == str(path):
            opened.append(event)

    sys.addaudithook(note)
    first = Identity.of(path, 1)
    assert first == Identity.of(path, 1)
    assert len(opened) == 1
    path.write_bytes(b"other" + path.read_bytes()[5:])
    opened.clear()
    assert not first.is_same_recording(Identity.of(path, 1))
    assert len(opened) == 1


def test_a_result_says_nothing_of_folders_that_were_not_named(
    tree: Path, tmp_path: Path, separate: Separate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results are handed on; where somebody keeps recordings is nobody's business."""
    monkeypatch.chdir(tree)
    assert separate(Path("a.wav"), "--detect-only") == 0
    text = (tmp_path / "out" / "a" / "detections.json").read_text()
    assert json.loads(text)["identity"]["path"] == "a.wav"
    assert str(tree) not in text
