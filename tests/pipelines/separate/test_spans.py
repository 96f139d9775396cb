"""Marked seconds of a recording ask for what sounds in them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from tests.pipelines.conftest import tiny_tagger
from tests.pipelines.separate.outputs import assert_adds_up, read, record, stems
from tests.pipelines.separate.test_places_in_films import noise, write_film
from uss import Separator, Span, separate_file
from uss.audio import Recording
from uss.checkpoints.bundle import Bundle
from uss.conditions.class_queries import ClassQueries
from uss.conditions.span_queries import SpanQuery
from uss.core.runtime import Runtime
from uss.interchange.labels import LABEL_FORMATS
from uss.models import ResUNet

RATE = 32_000
PRECISION = "fp32"
WriteNoise = Callable[..., Path]
Separate = Callable[..., int]


@pytest.fixture
def take(tmp_path: Path, write_noise: WriteNoise) -> Path:
    """Silent at its end, and longer than a piece of eight seconds."""
    return write_noise(tmp_path / "take.wav", 10.0, loud_seconds=9.0)


def labels(path: Path, *rows: tuple[float, float, str]) -> Path:
    path.write_text("".join(f"{start}\t{end}\t{name}\n" for start, end, name in rows))
    return path


def asked(folder: Path) -> dict[str, Any]:
    """What the record says was marked, by the names of stems."""
    return {each["name"]: each["marked"] for each in record(folder)["stems"]}


def assert_same(folder: Path, other: Path) -> None:
    found, expected = stems(folder), stems(other)
    assert found.keys() == expected.keys()
    for name, samples in found.items():
        np.testing.assert_allclose(samples, expected[name], atol=1e-6)


def test_each_name_is_a_stem_and_all_add_up(tmp_path: Path, take: Path, separate: Separate) -> None:
    words = ("--span", "bell@2-3", "--span", "0:05-6", "--span", "bell@0:07.5-8,3-3.5")
    assert separate(take, *words) == 0
    folder = tmp_path / "out" / "take"
    found = stems(folder / "queries")
    assert set(found) == {"bell", "span", "residual"}
    assert_adds_up(folder / "queries", take)
    # Separated wherever there is sound, and asked with different seconds.
    assert all(np.abs(found[name][: 8 * RATE]).max() > 1e-4 for name in ("bell", "span"))
    assert np.abs(found["bell"] - found["span"]).max() > 1e-6
    assert asked(folder) == {"bell": [[2.0, 3.5], [7.5, 8.0]], "span": [[5.0, 6.0]]}
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "as marked at 0:02&ndash;0:03.5, 0:07.5&ndash;0:08" in report
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert provenance["marked"] == asked(folder)
    assert provenance["command"][-2:] == ["--span", "bell@0:07.5-8,3-3.5"]


def test_a_span_is_an_example_with_the_rest_taken_off(take: Path, bundle_file: Path) -> None:
    separator = Separator.from_pretrained(str(bundle_file), device="cpu", precision="fp32")
    waveform, rate = soundfile.read(take, dtype="float32")
    (query,) = separator.marked_queries(Recording(waveform[None], rate), "bell@2-4", only=False)
    assert isinstance(query, SpanQuery)
    inside = separator.audio_query("bell", [Recording(waveform[None, 2 * rate : 4 * rate], rate)])
    np.testing.assert_allclose(query.probabilities, inside.probabilities)
    # Twelve of the rest's segments of half a second, of which all but the last two s are heard.
    starts = [0.0, 0.5, 1.0, 1.5, *np.arange(4.0, 10.0, 0.5)]
    chosen = [starts[round(each)] for each in np.linspace(0, len(starts) - 1, 12)]
    pieces = [waveform[None, round(each * rate) : round((each + 0.5) * rate)] for each in chosen]
    rest = separator.audio_query("rest", [Recording(each, rate) for each in pieces])
    expected = 1.5 * inside.vector - 0.5 * rest.vector
    np.testing.assert_allclose(query.vector, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (8_000, 1)])
def test_only_where_it_is_marked(
    tmp_path: Path, separate: Separate, write_noise: WriteNoise, rate: int, channels: int
) -> None:
    take = write_noise(tmp_path / "take.wav", 10.0, sample_rate=rate, num_channels=channels)
    assert separate(take, "--span", "bell@2-3,7.5-9", "--span-only") == 0
    folder = tmp_path / "out" / "take"
    assert_adds_up(folder / "queries", take)
    bell = read(folder / "queries" / "bell.wav")
    inside = np.zeros(len(bell), bool)
    for start, end in ((2.0, 3.0), (7.5, 9.0)):
        inside[round(start * rate) : round(end * rate)] = True
    assert not bell[~inside].any()
    for start in (2.1, 2.8, 7.6, 8.9):
        first = round(start * rate)
        assert np.abs(bell[first : first + rate // 20]).max() > 1e-4
    # No click: a fade of 5 ms begins with almost nothing.
    edge = round(2.0 * rate)
    assert np.abs(bell[edge : edge + 2]).max() < 0.05 * np.abs(bell).max()
    (stem,) = record(folder)["stems"]
    assert stem["active_intervals"] == stem["marked"] == [[2.0, 3.0], [7.5, 9.0]]


@pytest.mark.parametrize("name", LABEL_FORMATS)
def test_what_any_label_file_marks(
    tmp_path: Path, take: Path, separate: Separate, name: str
) -> None:
    """Written by one run, marked for the next."""
    assert separate(take, "--class", "Dog@2-3,5-6", "--detect-only", "--labels", name) == 0
    (file, *_) = (
        path
        for path in (tmp_path / "out" / "take").iterdir()
        if path.suffix not in (".json", ".png", ".html") and "durations" not in path.name
    )
    assert separate(take, "--spans", file, "-o", tmp_path / "again", "--detect-only") == 0
    (dog,) = record(tmp_path / "again" / "take")["stems"]
    assert (dog["name"], dog["mid"]) == ("Dog", None)
    np.testing.assert_allclose(dog["marked"], [[2.0, 3.0], [5.0, 6.0]], atol=1e-3)


def test_together_with_all_else_that_is_asked(
    tmp_path: Path, take: Path, separate: Separate, write_noise: WriteNoise
) -> None:
    marks = labels(tmp_path / "marks.txt", (2.0, 3.0, "Dog"), (5.0, 6.0, ""))
    example = write_noise(tmp_path / "bell.wav", 1.0, seed=1)
    words = ("--class", "Dog", "--query", example, "--text", "the cat", "--level", "3")
    assert separate(take, "--spans", marks, *words, "--not", "Speech", "--consistency") == 0
    folder = tmp_path / "out" / "take"
    listed = record(folder)["stems"]
    queries = {each["file"] for each in listed if each["level"] is None}
    # A class and a label may have one name.
    assert len(queries) == 5
    assert sum("Dog" in file for file in queries) == 2
    assert {each["name"] for each in listed if each["marked"]} == {"Dog", "span"}
    assert_adds_up(folder / "queries", take)
    assert_adds_up(folder / "level3", take)


def test_a_part_may_be_asked_for_by_what_is_marked_elsewhere(
    tmp_path: Path, take: Path, separate: Separate
) -> None:
    part = ("--from", "4", "--to", "7.5")
    assert separate(take, "--span", "bell@2-3", *part) == 0
    folder = tmp_path / "out" / "take"
    assert len(read(folder / "queries" / "bell.wav")) == round(3.5 * RATE)
    assert asked(folder) == {"bell": [[2.0, 3.0]]}
    assert separate(take, "--span", "bell@2-5", "--span-only", *part) == 0
    bell = read(folder / "queries" / "bell.wav")
    assert np.abs(bell[: round(0.9 * RATE)]).max() > 1e-4
    assert not bell[RATE:].any()
    (stem,) = record(folder)["stems"]
    assert (stem["marked"], stem["active_intervals"]) == ([[2.0, 5.0]], [[0.0, 1.0]])


def test_films_count_from_their_start_where_their_formats_do(
    tmp_path: Path, separate: Separate
) -> None:
    film = write_film(tmp_path / "film.mkv", noise(), [0.75])
    assert separate(film, "--span", "bell@0.5-1") == 0
    expected = tmp_path / "out" / "film" / "queries"
    cues = tmp_path / "cues.vtt"
    cues.write_text("WEBVTT\n\n00:00:01.250 --> 00:00:01.750\nbell\n")
    text = labels(tmp_path / "marks.txt", (0.5, 1.0, "bell"))
    for number, marks in enumerate((cues, text)):
        assert separate(film, "--spans", marks, "-o", tmp_path / str(number)) == 0
        assert_same(tmp_path / str(number) / "film" / "queries", expected)
    # Stems that begin with the film are marked in its time.
    assert separate(film, "--spans", cues, "--align", "film", "-o", tmp_path / "aligned") == 0
    folder = tmp_path / "aligned" / "film"
    assert asked(folder) == {"bell": [[1.25, 1.75]]}
    aligned = read(folder / "queries" / "bell.wav")
    assert len(aligned) == len(read(expected / "bell.wav")) + round(0.75 * RATE)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--span", "bell@12-15"), "'bell' is marked at 0:00:12, and the recording lasts 0:00:10"),
        (("--span", "bell@9-15"), "'bell' is marked at 0:00:15"),
        (("--span", "bell@9-15", "--to", "5"), "'bell' is marked at 0:00:15"),
        (("--span", "bell@3-2"), "'3-2' ends before it starts; give START-END"),
        (("--span", "3-3.01"), "too short to recognise anything; mark at least 0.05 s"),
        (("--span", "bell"), "'bell' is no span of time"),
        (("--span", "9.2-9.8"), "'span' is marked where all is silent; mark where it sounds"),
        (("--span-only",), "--span-only needs spans; mark some with --span or --spans"),
        (("--span", "1-2", "--span-only", "--from", "4"), "is marked nowhere between 0:00:04 and"),
        (("--spans", "marks.srt"), "files that end in '.srt' are no labels"),
        (("--spans", "none.txt"), "none.txt: no such file; check the path"),
        (("--spans", "empty.txt"), "holds no labels; mark what is wanted"),
        (("--spans", "late.txt"), "labels seconds up to 15.00, and the recording lasts 10.00 s"),
        (("--spans", "grid.TextGrid"), "is for 12.00 s, and the recording lasts 10.00 s"),
        (("--spans", "other.csv"), "other.csv labels tape.wav, not take.wav"),
        (("--spans", "reversed.txt"), "line 1: a span from 3 to 2 s holds nothing"),
        (("--spans", "point.txt"), "'a' is marked for 0.000 s"),
        (("--spans", "gone.txt"), "gone.txt"),
    ],
)
def test_what_is_refused_in_one_line(
    tmp_path: Path,
    take: Path,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "marks.srt").write_text("1\n")
    labels(tmp_path / "empty.txt")
    labels(tmp_path / "late.txt", (1.0, 15.0, "a"))
    labels(tmp_path / "reversed.txt", (3.0, 2.0, "a"))
    labels(tmp_path / "point.txt", (2.0, 2.0, "a"))
    (tmp_path / "other.csv").write_text("file,start,end,name\ntape.wav,1,2,a\n")
    (tmp_path / "grid.TextGrid").write_text(
        'File type = "ooTextFile"\nObject class = "TextGrid"\n0 12 <exists> 1 "IntervalTier" '
        '"a" 0 12 1 0 12 "bell"'
    )
    assert separate(take, *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert not (tmp_path / "out").exists()


def test_spans_are_of_one_recording(
    tmp_path: Path,
    take: Path,
    separate: Separate,
    write_noise: WriteNoise,
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = write_noise(tmp_path / "other.wav", 1.0)
    assert separate(take, other, "--span", "1-2") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "spans are times of one recording, and 2 are to be separated; separate each" in line
    assert not (tmp_path / "out").exists()


def test_labels_of_the_result_itself_are_not_removed_by_the_next(
    tmp_path: Path, take: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(take, "--class", "Dog@2-3", "--labels", "audacity") == 0
    file = tmp_path / "out" / "take" / "take.labels.txt"
    labels(file, (2.0, 3.0, "my own"))
    capsys.readouterr()
    assert separate(take, "--spans", file) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "is to be read, and belongs to the result that would be replaced" in line
    assert "my own" in file.read_text()
    assert separate(take, "--spans", file, "-o", tmp_path / "again") == 0


def test_what_is_marked_otherwise_is_separated_again(
    tmp_path: Path, take: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    file = labels(tmp_path / "marks.txt", (2.0, 3.0, "bell"))
    for row, is_kept in (((2.0, 3.0, "bell"), True), ((2.0, 3.5, "bell"), False)):
        assert separate(take, "--spans", file) == 0
        labels(file, row)
        capsys.readouterr()
        assert separate(take, "--spans", file, "--resume") == 0
        assert ("skipped" in capsys.readouterr().out) == is_kept


def test_a_marked_stem_may_go_to_standard_output(
    tmp_path: Path, take: Path, separate: Separate, capsysbinary: Any
) -> None:
    file = labels(tmp_path / "marks.txt", (2.0, 3.0, "bell"))
    assert separate(take, "--spans", file, "--stdout", "bell") == 0
    sound = capsysbinary.readouterr().out
    assert sound == (tmp_path / "out" / "take" / "queries" / "bell.wav").read_bytes()


def test_all_tracks_of_a_film_are_asked_with_their_own_sound(
    tmp_path: Path, separate: Separate
) -> None:
    film = write_film(tmp_path / "film.mkv", noise(2), [0.0, 0.0])
    assert separate(film, "--span", "bell@0.2-1", "--track", "all", "--detect-only") == 0
    for number in (1, 2):
        assert asked(tmp_path / "out" / f"film.track{number}") == {"bell": [[0.2, 1.0]]}


def test_for_programs(tmp_path: Path, take: Path, bundle_file: Path, quick_pictures: None) -> None:
    separator = Separator.from_pretrained(str(bundle_file), device="cpu", precision="fp32")
    marks = labels(tmp_path / "marks.txt", (2.0, 3.0, "bell"))
    result = separate_file(take, tmp_path / "a", separator=separator, spans=marks)
    assert {each.name: each.marked for each in result.stems} == {"bell": ((2.0, 3.0),)}
    separate_file(
        take, tmp_path / "b", separator=separator, spans=[Span(2.0, 2.5, "bell"), "bell@2.5-3"]
    )
    assert_same(tmp_path / "a" / "take" / "queries", tmp_path / "b" / "take" / "queries")

    waveform, rate = soundfile.read(take, dtype="float32")
    found = separator.separate(waveform, rate, spans="bell@2-3")
    written = read(tmp_path / "a" / "take" / "queries" / "bell.wav")[:, 0]
    np.testing.assert_allclose(found["bell"], written, atol=1e-5)
    only = separator.separate(torch.from_numpy(waveform), rate, spans=["2-"], span_only=True)
    assert not only["span"][: 2 * rate].any()
    assert only["span"][2 * rate :].any()
    with pytest.raises(ValueError, match="the recording lasts 0:00:10"):
        separator.separate(waveform, rate, spans="12-13")
    with pytest.raises(ValueError, match="nothing is wanted in spans alone"):
        separate_file(take, tmp_path / "c", separator=separator, span_only=True)
    assert not (tmp_path / "c").exists()


def test_a_separator_that_is_asked_in_words_says_so(
    tmp_path: Path, take: Path, quick_pictures: None
) -> None:
    tagger = tiny_tagger()
    model = ResUNet("clip-512", 4, channels=(4, 8), n_fft=256, hop_length=64, segment_seconds=0.5)
    queries = ClassQueries("clip-512", (0,), np.ones((1, 4), np.float32))
    runtime = Runtime(torch.device("cpu"), torch.float32)
    separator = Separator(Bundle(tagger, model, queries), runtime=runtime)
    with pytest.raises(ValueError, match=r"in words \(clip-512\).*ask for a class, or choose a"):
        separate_file(take, tmp_path / "out", separator=separator, spans="bell@1-2")
    assert not (tmp_path / "out").exists()
