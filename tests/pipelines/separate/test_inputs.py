"""Folders, films of several tracks, many inputs and damaged ones, as uss-separate takes them."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from pipelines.separate import command
from pipelines.separate.inputs import check_names
from uss.audio.listing import list_recordings
from uss.results import opening
from uss.separation.separator import Separator

NOT_STEMS = {"detections.json", "timeline.png", "report.html", "provenance.json"}
SAMPLE_RATE = 32_000

WriteNoise = Callable[..., Path]
Separate = Callable[..., int]


@pytest.fixture
def tape(tmp_path: Path, write_noise: WriteNoise) -> Path:
    """A folder of two recordings among other things."""
    folder = tmp_path / "tape"
    write_noise(folder / "b.wav", 0.6)
    write_noise(folder / "A.WAV", 0.5)
    write_noise(folder / ".hidden.wav", 0.5)
    write_noise(folder / "below" / "c.wav", 0.5)
    (folder / "folder.wav").mkdir()
    (folder / "notes.txt").write_text("no audio")
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def errors(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if line.startswith("uss-separate: ")]


def write_film(path: Path, tracks: Sequence[np.ndarray]) -> Path:
    """A Matroska file of mono PCM tracks, (T,) int16 each."""
    with av.open(str(path), "w") as container:
        streams = [
            container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono") for _ in tracks
        ]
        for start in range(0, len(tracks[0]), 4_000):
            for stream, track in zip(streams, tracks, strict=True):
                piece = np.ascontiguousarray(track[None, start : start + 4_000])
                frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="mono")
                frame.sample_rate, frame.pts = SAMPLE_RATE, start
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def film_tracks(num_samples: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(-9_000, 9_000, num_samples).astype(np.int16) for _ in range(2)]


def test_a_folder_stands_for_the_recordings_in_it(tape: Path, tmp_path: Path) -> None:
    named = tmp_path / "anything.dat"
    assert list_recordings([named, tape]) == [named, tape / "A.WAV", tape / "b.wav"]


def test_a_folder_is_separated_with_one_model(
    tape: Path, tmp_path: Path, separate: Separate, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    load = Separator.from_pretrained

    def count(*arguments: Any, **options: Any) -> Any:
        loaded.append(arguments)
        return load(*arguments, **options)

    monkeypatch.setattr(Separator, "from_pretrained", count)
    assert separate(tape, "--level", "3") == 0
    assert len(loaded) == 1
    out = tmp_path / "out"
    assert names(out) == {"A", "b", "summary.csv"}
    assert names(out / "b" / "level3") == {"Dog.wav", "Speech.wav", "residual.wav"}
    first, second = rows(out)
    assert list(first) == ["input", "status", "duration_seconds", "num_stems", "stems", "error"]
    assert [first["input"], second["input"]] == [str(tape / "A.WAV"), str(tape / "b.wav")]
    assert (second["status"], second["error"]) == ("ok", "")
    assert (float(second["duration_seconds"]), int(second["num_stems"])) == (0.6, 2)
    assert sorted(second["stems"].split(";")) == ["Dog", "Speech"]


def test_a_file_is_taken_whatever_it_is_called(
    tmp_path: Path, write_noise: WriteNoise, separate: Separate
) -> None:
    recording = write_noise(tmp_path / "scene.wav", 0.5)
    named = recording.rename(tmp_path / "scene.dat")
    assert separate(named) == 0
    # One input needs no table.
    assert names(tmp_path / "out") == {"scene"}


def test_failures_are_rows_too(
    tape: Path, tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tape / "text.mp3").write_text("no audio\n" * 500)
    assert separate(tmp_path / "nowhere.wav", tmp_path / "empty", tape) == 2
    printed = errors(capsys)
    assert ["no such file" in printed[0], "holds no audio or video file" in printed[1]] == [
        True
    ] * 2
    assert "text.mp3" in printed[2] and len(printed) == 3
    table = rows(tmp_path / "out")
    assert [row["status"] for row in table] == ["failed", "failed", "ok", "ok", "failed"]
    assert [f"uss-separate: {row['error']}" for row in table if row["error"]] == printed
    assert (table[0]["duration_seconds"], table[0]["num_stems"], table[0]["stems"]) == ("", "0", "")
    assert names(tmp_path / "out") == {"A", "b", "summary.csv"}


def test_a_run_that_is_interrupted_sums_up_what_it_did(
    tape: Path, tmp_path: Path, separate: Separate, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = opening.open_recording

    def interrupt(path: Path, track: int) -> Any:
        if path.stem == "b":
            raise KeyboardInterrupt
        return opened(path, track)

    monkeypatch.setattr(opening, "open_recording", interrupt)
    assert separate(tape) == 130
    assert [row["input"] for row in rows(tmp_path / "out")] == [str(tape / "A.WAV")]


def test_a_table_of_somebody_else_is_kept(
    tape: Path, tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "out" / "summary.csv"
    table.parent.mkdir()
    table.write_text("year,profit\n")
    assert separate(tape) == 2
    assert "is no earlier summary" in errors(capsys)[0]
    assert table.read_text() == "year,profit\n"
    assert names(tmp_path / "out") == {"summary.csv"}
    table.unlink()
    assert separate(tape) == separate(tape) == 0


@pytest.mark.parametrize("other", ["b.wav", "b.flac", "B.mp4"])
def test_results_that_would_coincide_are_refused_before_any_work(
    tape: Path, tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str], other: str
) -> None:
    assert separate(tmp_path / other, tape, "--model", "never loaded") == 2
    (line,) = errors(capsys)
    assert other in line and str(tape / "b.wav") in line and "different output folders" in line
    assert not (tmp_path / "out").exists()


def test_no_result_takes_the_place_of_the_table() -> None:
    with pytest.raises(ValueError, match="take the place of summary"):
        check_names([Path("summary.csv.wav"), Path("b.wav")])
    check_names([Path("summary.csv.wav")])


@pytest.mark.parametrize("track", [1, 2])
def test_a_track_of_a_film(tmp_path: Path, separate: Separate, track: int) -> None:
    tracks = film_tracks(20_000)
    film = write_film(tmp_path / "film.mkv", tracks)
    assert separate(film, "--class", "Dog", "--track", str(track)) == 0
    folder = tmp_path / "out" / "film"
    total = sum(soundfile.read(path)[0] for path in (folder / "queries").iterdir())
    np.testing.assert_allclose(total, tracks[track - 1] / 32_768.0, atol=1e-6)
    settings = json.loads((folder / "detections.json").read_text(encoding="utf-8"))["settings"]
    assert settings["track"] == track


def test_a_track_a_film_lacks(
    tmp_path: Path, separate: Separate, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "film.mkv", film_tracks(20_000))
    assert separate(film, "--track", "3") == 2
    (line,) = errors(capsys)
    assert "film.mkv has 2 audio tracks" in line and "choose 1 to 2" in line
    assert not (tmp_path / "out").exists()


def test_a_cut_film_is_separated_as_far_as_it_goes(
    tmp_path: Path, separate: Separate, caplog: pytest.LogCaptureFixture
) -> None:
    film = write_film(tmp_path / "film.mkv", film_tracks(64_000))
    film.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    assert separate(film, "--level", "1") == 0
    info = soundfile.info(tmp_path / "out" / "film" / "level1" / "residual.wav")
    assert 20_000 < info.frames < 44_000
    warnings = [record.getMessage() for record in caplog.records if "cut off" in record.message]
    assert len(warnings) == 1 and str(film) in warnings[0]


def test_detection_alone_writes_no_stems(
    tmp_path: Path,
    write_noise: WriteNoise,
    bundle_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recording = write_noise(tmp_path / "scene.wav", 1.3)
    options = ["--model", str(bundle_file), "--device", "cpu", "--level", "1", "3"]
    full, alone = tmp_path / "full", tmp_path / "alone"
    command_line = [str(recording), *options, "--class", "Rain"]
    assert command.main([*command_line, "-o", str(full)]) == 0
    capsys.readouterr()
    assert command.main([*command_line, "-o", str(alone), "--detect-only"]) == 0
    assert names(alone / "scene") == NOT_STEMS
    picture = (alone / "scene" / "timeline.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    found, separated = (
        json.loads((folder / "scene" / "detections.json").read_text(encoding="utf-8"))
        for folder in (alone, full)
    )
    assert found["residuals"] == {}
    assert len(found["stems"]) == 6
    for stem, twin in zip(found["stems"], separated["stems"], strict=True):
        assert stem == {**twin, "file": None, "loudness_dbfs": None}
    printed = capsys.readouterr().out.splitlines()
    assert str(alone / "scene") in printed[0]
    assert any("level3/Dog" in line and "0.0-1.3 s" in line for line in printed)
    assert any("Rain" in line and line.endswith("  not detected") for line in printed)


def test_detection_alone_of_silence(
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recording = write_noise(tmp_path / "quiet.wav", 0.6, loud_seconds=0.0)
    assert separate(recording, "--detect-only") == 0
    printed = capsys.readouterr().out
    assert "quiet.wav: nothing detected" in printed and "residual" not in printed


def test_detection_alone_deletes_no_stems(
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recording = write_noise(tmp_path / "scene.wav", 0.6)
    assert separate(recording, "--detect-only") == 0
    assert separate(recording, "--detect-only") == 0
    assert separate(recording) == 0
    before = names(tmp_path / "out" / "scene")
    assert separate(recording, "--detect-only") == 2
    assert "--detect-only would delete" in errors(capsys)[0]
    assert names(tmp_path / "out" / "scene") == before >= {"level2"}
