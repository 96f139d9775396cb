"""Tracks, pipes and times together with names, earlier results, words and presets."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.pipelines.separate.test_places_in_films import noise, write_film
from tests.pipelines.separate.test_streams import Input as Piped
from uss.results.separate_file import separate_file
from uss.separation.separator import Separator

WriteNoise = Callable[..., Path]
Separate = Callable[..., int]
Pipe = Callable[[Path], None]

pytestmark = pytest.mark.usefixtures("quick_pictures")


@pytest.fixture
def pipe_in(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    monkeypatch.delenv("TMPDIR", raising=False)

    def pipe(path: Path) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Piped(path.read_bytes())))

    return pipe


@pytest.fixture
def take(tmp_path: Path, write_noise: WriteNoise) -> Path:
    return write_noise(tmp_path / "take.wav", 1.2)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_film(tmp_path / "film.mkv", noise(2), [0.0, 0.0], default=2)


def record(folder: Path) -> Any:
    return json.loads((folder / "detections.json").read_text("utf-8"))


def results(out: Path) -> set[str]:
    return {path.parent.relative_to(out).as_posix() for path in out.rglob("detections.json")}


def test_a_template_names_the_track_that_is_taken(
    tmp_path: Path, separate: Separate, film: Path, take: Path, bundle_file: Path
) -> None:
    name = ("--name", "{track}/{stem}")
    assert separate(film, take, "--level", "1", *name) == 0
    assert results(tmp_path / "out") == {"2/film", "1/take"}
    assert separate(film, take, "--level", "1", "--track", "all", *name) == 0
    assert results(tmp_path / "out") == {"1/film", "2/film", "1/take"}
    separator = Separator.from_pretrained(str(bundle_file), device="cpu")
    separate_file(film, tmp_path / "lib", separator=separator, name="{stem} {track}", levels=[1])
    assert results(tmp_path / "lib") == {"film 2"}


def test_a_template_without_tracks_still_tells_them_apart(
    tmp_path: Path, separate: Separate, film: Path
) -> None:
    assert separate(film, "--level", "1", "--track", "all", "--name", "x/{name}") == 0
    assert results(tmp_path / "out") == {"x/film.mkv.track1", "x/film.mkv.track2"}


def test_tracks_are_known_by_their_numbers(
    tmp_path: Path, separate: Separate, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(film, "--level", "1", "--track", "all") == 0
    out = tmp_path / "out"
    assert [record(out / f"film.track{n}")["identity"]["track"] for n in (1, 2)] == [1, 2]
    table = (out / "summary.csv").read_text("utf-8")
    assert f"{film} (track 1),ok" in table and f"{film} (track 2),ok" in table
    capsys.readouterr()
    assert separate(film, "--level", "1", "--track", "all", "--resume") == 0
    assert capsys.readouterr().out.count("skipped") == 2


def test_the_default_track_is_resumed_and_no_other_takes_its_place(
    tmp_path: Path, separate: Separate, film: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(film, "--level", "1") == 0
    assert record(tmp_path / "out" / "film")["identity"]["track"] == 2
    capsys.readouterr()
    for track in ((), ("--track", "2")):
        assert separate(film, "--level", "1", "--resume", *track) == 0
        assert "skipped" in capsys.readouterr().out
    assert separate(film, "--level", "1", "--track", "1") == 2
    assert "is the result of another recording, audio track 2" in capsys.readouterr().err


@pytest.mark.parametrize("option", [("--from", "0.5"), ("--to", "1"), ("--align", "film")])
def test_another_part_is_another_request(
    tmp_path: Path,
    separate: Separate,
    take: Path,
    option: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert separate(take, "--level", "1") == 0
    capsys.readouterr()
    assert separate(take, "--level", "1", "--resume", *option) == 0
    assert "skipped" not in capsys.readouterr().out
    assert separate(take, "--level", "1", "--resume", *option) == 0
    assert "skipped" in capsys.readouterr().out


def test_what_came_through_a_pipe_is_known_by_what_it_held(
    tmp_path: Path,
    separate: Separate,
    take: Path,
    write_noise: WriteNoise,
    pipe_in: Pipe,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipe_in(take)
    assert separate("-", "--level", "1") == 0
    identity = record(tmp_path / "out" / "stdin")["identity"]
    assert (identity["path"], identity["size_bytes"]) == ("stdin", take.stat().st_size)
    capsys.readouterr()
    pipe_in(take)
    assert separate("-", "--level", "1", "--resume") == 0
    assert "skipped" in capsys.readouterr().out
    pipe_in(write_noise(tmp_path / "other.wav", 0.6, seed=1))
    assert separate("-", "--level", "1") == 2
    error = capsys.readouterr().err
    assert "stdin is the result of another recording" in error and ".spooled" not in error
    assert "--name with a name of your own or another output folder" in error
    assert "{parent}" not in error
    pipe_in(tmp_path / "other.wav")
    assert separate("-", "--level", "1", "--name", "other") == 0
    write_noise(tmp_path / "stdin.wav", 0.5)
    capsys.readouterr()
    pipe_in(take)
    assert separate("-", tmp_path / "stdin.wav") == 2
    assert '--name "{number} {stem}"' in capsys.readouterr().err


def test_standard_input_has_the_name_of_a_template(
    tmp_path: Path, separate: Separate, take: Path, pipe_in: Pipe
) -> None:
    pipe_in(take)
    assert separate("-", take, "--level", "1", "--name", "{number:02} {stem}") == 0
    assert results(tmp_path / "out") == {"01 stdin", "02 take"}
    assert not list((tmp_path / "out").glob(".spooled*"))


def test_a_piped_film_is_named_by_its_default_track(
    tmp_path: Path, separate: Separate, film: Path, pipe_in: Pipe
) -> None:
    pipe_in(film)
    assert separate("-", "--level", "1", "--mux", "--name", "{stem} {track}") == 0
    assert results(tmp_path / "out") == {"stdin 2"}
    assert (tmp_path / "out" / "stdin 2" / "stdin 2.mkv").exists()


def test_a_fault_names_no_spooled_file(
    separate: Separate,
    take: Path,
    pipe_in: Pipe,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(path: Path, *_: object) -> None:
        raise RuntimeError(f"no luck with {path}")

    monkeypatch.setattr("uss.results.opening.open_recording", fail)
    pipe_in(take)
    assert separate("-") == 1
    error = capsys.readouterr().err
    assert "standard input: a fault of this program" in error and ".spooled" not in error


@pytest.mark.parametrize(
    ("options", "file"),
    [
        (("--stdout", "dialogue"), "queries/dialogue.wav"),
        (("--class", "dialogue", "--stdout", "Speech"), "queries/dialogue.wav"),
        (("--class", "Speech", "--stdout", "dialogue"), "queries/Speech.wav"),
        (("--class", "Dog", "--stdout", "dogs"), "queries/Dog.wav"),
        (("--preset", "film", "--stdout", "dialogue"), "film/dialogue.wav"),
        (("--preset", "film", "--stdout", "residual"), "film/residual.wav"),
        (("--preset", "film", "--class", "dialogue", "--stdout", "dialogue"),
         "queries/dialogue.wav"),
        (("--preset", "film", "--stdout", "Dog"), "queries/Dog.wav"),
        (("--stdout", "dialogue@0.2-0.9"), "queries/dialogue.wav"),
    ],
)  # fmt: skip
def test_words_and_presets_on_standard_output(
    tmp_path: Path,
    separate: Separate,
    take: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    options: tuple[str, ...],
    file: str,
) -> None:
    assert separate(take, *options) == 0
    folder = tmp_path / "out" / "take"
    assert capfdbinary.readouterr().out == (folder / file).read_bytes()
    groups = {path.name for path in folder.iterdir() if path.is_dir()}
    asked = {"film"} if "--preset" in options else set()
    assert groups == asked | {file.split("/")[0]}


def test_a_stem_of_a_result_that_stays_on_standard_output(
    tmp_path: Path, separate: Separate, take: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    for option in ((), ("--resume",)):
        assert separate(take, "--stdout", "Dog", *option) == 0
        stem = (tmp_path / "out" / "take" / "queries" / "Dog.wav").read_bytes()
        assert capfdbinary.readouterr().out == stem


def test_a_word_for_several_classes_at_some_times(
    tmp_path: Path, separate: Separate, take: Path
) -> None:
    assert separate(take, "--class", "weather@0.2-0.9") == 0
    folder = tmp_path / "out" / "take"
    (weather,) = record(folder)["stems"]
    assert weather["mid"] is None and len(weather["mids"]) > 1
    assert weather["active_intervals"] == [[0.2, 0.9]]
    samples, rate = soundfile.read(folder / "queries" / "weather.wav")
    assert not samples[: round(0.2 * rate)].any() and not samples[round(0.9 * rate) :].any()
    assert np.abs(samples).max() > 1e-4


def test_an_example_at_some_times_is_not_removed_with_its_result(
    tmp_path: Path, separate: Separate, take: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(take, "--class", "Dog") == 0
    stem = tmp_path / "out" / "take" / "queries" / "Dog.wav"
    capsys.readouterr()
    assert separate(take, "--query", f"{stem}@0.2-0.9", "--threshold", "0") == 2
    assert "is to be read" in capsys.readouterr().err
    assert stem.exists()
