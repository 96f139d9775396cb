"""A film, a tape and a folder of tapes on their way into other programs."""

import csv
import io
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from pipelines.separate import command
from uss.interchange.labels import LABEL_FORMATS, read_labels
from uss.interchange.sessions import SESSION_FORMATS
from uss.results.raven_sequence import SEQUENCE_NAME
from uss.results.separate_file import separate_file

bagit = pytest.importorskip("bagit")
rpp = pytest.importorskip("rpp")
otio = pytest.importorskip("opentimelineio")

WriteNoise = Callable[..., Path]
Separate = Callable[..., int]
RATE = 48_000
NTSC = Fraction(30_000, 1001)
NUM_FRAMES = 90
START_FRAME = 107_892
"""01:00:00;00 in drop-frame timecode."""


def write_film(path: Path, late_seconds: float = 0.0) -> NDArray[np.float64]:
    """Write pictures of 3 s from 01:00:00;00 on, and 5.1 channels of sound; returns it, (T, 6)."""
    rng = np.random.default_rng(0)
    samples = rng.integers(-3_000, 3_000, (2 * RATE, 6)).astype(np.int16)
    samples[RATE // 2 : RATE] = 0
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=NTSC)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        pictures.metadata["timecode"] = "01:00:00;00"
        sound = container.add_stream("pcm_s16le", rate=RATE, layout="5.1")
        for number in range(NUM_FRAMES):
            picture = av.VideoFrame.from_ndarray(np.full((48, 32), 128, np.uint8), "yuv420p")
            picture.pts, picture.time_base = number, 1 / NTSC
            container.mux(pictures.encode(picture))
        container.mux(pictures.encode(None))
        for start in range(0, len(samples), 800):
            piece = np.ascontiguousarray(samples[start : start + 800].reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="5.1")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = start + round(late_seconds * RATE)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    return samples / 2.0**15


def record(folder: Path) -> Any:
    return json.loads((folder / "detections.json").read_text(encoding="utf-8"))


def spans(folder: Path) -> list[tuple[float, float, str]]:
    """What ``detections.json`` says is heard when."""
    return sorted(
        (event["onset_seconds"], event["offset_seconds"], stem["name"])
        for stem in record(folder)["stems"]
        for event in stem["events"]
    )


def labelled(path: Path, **options: Any) -> list[tuple[float, float, str]]:
    labels = read_labels(path, **options).labels
    return sorted((each.start_seconds, each.end_seconds, each.name) for each in labels)


def assert_alike(
    found: list[tuple[float, float, str]],
    expected: list[tuple[float, float, str]],
    late_seconds: float = 0.0,
) -> None:
    assert len(found) == len(expected) > 0
    for span, wanted in zip(found, expected, strict=True):
        assert span[2] == wanted[2]
        times = [late_seconds + each for each in wanted[:2]]
        assert span[:2] == pytest.approx(times, abs=0.001)


def mixed(tracks: list[tuple[Path, float, float, float]], seconds: float) -> NDArray[np.float64]:
    """Play files from their places on for as long as their parts last; returns (T, C)."""
    total = np.zeros((round(seconds * RATE), 6))
    for path, start, skipped, length in tracks:
        samples, rate = soundfile.read(path, always_2d=True)
        assert rate == RATE
        first, place = round(skipped * rate), round(start * rate)
        part = samples[first : first + round(length * rate)]
        total[place : place + len(part)] += part
    return total


def assert_null(
    total: NDArray[np.float64], sound: NDArray[np.float64], late_seconds: float
) -> None:
    expected = np.zeros_like(total)
    place = round(late_seconds * RATE)
    expected[place : place + len(sound)] = sound
    np.testing.assert_allclose(total, expected, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize(("late_seconds", "is_bag"), [(0.0, True), (0.75, False)])
def test_a_film_goes_to_the_sound_editor(
    tmp_path: Path,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
    late_seconds: float,
    is_bag: bool,
) -> None:
    """All that is written tells the same times, and the stems are the film's sound; in bags too."""
    film = tmp_path / "reel 3" / "film.mov"
    film.parent.mkdir()
    sound = write_film(film, late_seconds)
    formats = ("--session", *SESSION_FORMATS, "--labels", *LABEL_FORMATS)
    archived = ("--names", "ucs", "--bag") if is_bag else ()
    assert separate(film, "--level", "2", *formats, *archived) == 0
    folder = tmp_path / "out" / "film"
    if is_bag:
        assert bagit.Bag(str(folder)).validate()
        folder = folder / "data"
        named = {Path(each["file"]).name for each in record(folder)["stems"]}
        assert named and all(name.endswith("_USS_film.wav") for name in named)
    expected = spans(folder)
    assert record(folder)["film_offset_seconds"] == pytest.approx(late_seconds, abs=1e-6)

    assert_alike(labelled(folder / "film.labels.txt"), expected)
    assert_alike(labelled(folder / "film.Table.1.selections.txt"), expected)
    assert_alike(labelled(folder / "film.vtt"), expected, late_seconds)
    assert_alike(labelled(folder / "film.eaf", film_offset_seconds=late_seconds), expected)

    project = rpp.loads((folder / "film.rpp").read_text(encoding="utf-8"))
    assert float(project.find("PROJOFFS")[1]) == pytest.approx(3_599.9964, abs=1e-6)
    assert project.find("TIMEMODE")[4:6] == ["30", "1"]
    rows = [row for row in project.findall("MARKER") if row[3]]
    ends = [row for row in project.findall("MARKER") if not row[3]]
    regions = [
        (float(first[2]), float(last[2]), first[3]) for first, last in zip(rows, ends, strict=True)
    ]
    assert_alike(sorted(regions), expected, late_seconds)
    playing = []
    for track in project.findall("TRACK"):
        (item,) = track.findall("ITEM")
        (media,) = item.findall("SOURCE")
        file = folder / media.find("FILE")[1]
        assert file.is_file()
        if media.attrib == ["VIDEO"]:
            assert file.samefile(film)
            # Its sound is on a muted track, or reaches no output.
            assert track.find("MUTESOLO")[1] == "1" or track.find("MAINSEND")[1] == "0"
            continue
        places = [float(item.find(key)[1]) for key in ("POSITION", "SOFFS", "LENGTH")]
        playing.append((file, *places))
    assert len(playing) == len(record(folder)["stems"]) + 1
    assert_null(mixed(playing, 3.0), sound, late_seconds)

    timeline = otio.adapters.read_from_file(str(folder / "film.otio"))
    start = timeline.global_start_time
    assert (start.value, start.rate) == (START_FRAME, pytest.approx(float(NTSC)))
    (video,) = timeline.video_tracks()
    assert video[0].trimmed_range().duration.value == NUM_FRAMES
    playing, markers = [], []
    for track in timeline.audio_tracks():
        (clip,) = track.find_clips()
        file = folder / unquote(clip.media_reference.target_url)
        assert file.is_file()
        times = (
            track.range_of_child(clip).start_time,
            clip.trimmed_range().start_time,
            clip.trimmed_range().duration,
        )
        if not track.enabled:
            assert file.samefile(film)
            continue
        playing.append((file, *(time.value / time.rate for time in times)))
        for marker in clip.markers:
            span = marker.marked_range
            first = clip.transformed_time(span.start_time, timeline.tracks)
            last = clip.transformed_time(span.end_time_exclusive(), timeline.tracks)
            markers.append((first.value / first.rate, last.value / last.rate, marker.name))
    assert_alike(sorted(markers), expected, late_seconds)
    assert_null(mixed(playing, 3.0), sound, late_seconds)

    edl = (folder / "film.edl").read_text(encoding="utf-8").splitlines()
    assert edl[1] == "FCM: DROP FRAME"
    assert "01:00:00;00 01:00:03;00 01:00:00;00 01:00:03;00" in edl[3]
    for (onset, _, name), line in zip(expected, [x for x in edl if "LOC:" in x], strict=True):
        seconds, frames = line.split()[2].rpartition(";")[::2]
        time = int(seconds[-2:]) + int(frames) / float(NTSC)
        assert time == pytest.approx(onset + late_seconds, abs=1 / float(NTSC))
        assert name.upper() in line

    files = set(record(folder)["files"])
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")} == files
    report = (folder / "report.html").read_text(encoding="utf-8")
    for name in ("film.rpp", "film.otio", "film.aaf", "film.edl", "film.labels.txt", "film.eaf"):
        assert name in files
        assert f'href="{name}"' in report
    assert capsys.readouterr().err == ""


def test_labels_need_no_stems(tmp_path: Path, separate: Separate, scene: Path) -> None:
    assert separate(scene, "--detect-only", "--labels", *LABEL_FORMATS) == 0
    folder = tmp_path / "out" / "scene"
    assert not list(folder.rglob("*.wav"))
    assert_alike(labelled(folder / "scene.rttm", recording="scene.wav"), spans(folder))


def test_times_of_an_excerpt_are_those_of_the_recording(
    tmp_path: Path, separate: Separate, write_noise: WriteNoise
) -> None:
    tape = write_noise(tmp_path / "tape.wav", 4.0)
    part = ("--from", "1.5", "--to", "3.5")
    assert separate(tape, *part, "--labels", "csv", "--session", "reaper") == 0
    folder = tmp_path / "out" / "tape"
    assert_alike(labelled(folder / "tape.labels.csv"), spans(folder), 1.5)
    project = rpp.loads((folder / "tape.rpp").read_text(encoding="utf-8"))
    for track in project.findall("TRACK"):
        item = track.find("ITEM")
        place = [float(item.find(key)[1]) for key in ("POSITION", "LENGTH")]
        assert place == pytest.approx([1.5, 2.0])


def test_nothing_is_detected(tmp_path: Path, separate: Separate, write_noise: WriteNoise) -> None:
    silence = write_noise(tmp_path / "silence.wav", 1.0, loud_seconds=0.0)
    formats = ("--labels", *LABEL_FORMATS, "--session", *SESSION_FORMATS)
    assert separate(silence, *formats) == 0
    folder = tmp_path / "out" / "silence"
    assert record(folder)["missing"] == []
    for name in record(folder)["files"]:
        path = folder / name
        if path.suffix in (".txt", ".csv", ".TextGrid", ".eaf", ".rttm", ".vtt"):
            assert read_labels(path).labels == ()


def test_a_folder_gets_a_table_that_counts_on_from_file_to_file(
    tmp_path: Path, separate: Separate, write_noise: WriteNoise
) -> None:
    tapes = tmp_path / "tapes"
    for number, seconds in enumerate((1.3, 0.7, 2.0)):
        write_noise(tapes / f"{number}.wav", seconds, seed=number)
    (tapes / "broken.wav").write_bytes(b"RIFF")
    assert separate(tapes, "--labels", "raven") == 2
    out = tmp_path / "out"
    rows = list(csv.DictReader((out / SEQUENCE_NAME).open(encoding="utf-8"), delimiter="\t"))
    assert [int(row["Selection"]) for row in rows] == list(range(1, len(rows) + 1))
    begins = {"0.wav": 0.0, "1.wav": 1.3, "2.wav": 2.0}
    for row in rows:
        place, offset = float(row["Begin Time (s)"]), float(row["File Offset (s)"])
        assert place == pytest.approx(begins[row["Begin File"]] + offset, abs=1e-6)
        assert Path(row["Begin Path"]) == tapes / row["Begin File"]
    for name in begins:
        folder = out / name.removesuffix(".wav")
        assert_alike(labelled(out / SEQUENCE_NAME, recording=name), spans(folder))
    # What was done before has its place in the sequence too.
    before = (out / SEQUENCE_NAME).read_bytes()
    (tapes / "broken.wav").unlink()
    (out / SEQUENCE_NAME).unlink()
    assert separate(tapes, "--labels", "raven", "--resume") == 0
    assert (out / SEQUENCE_NAME).read_bytes() == before


@pytest.mark.parametrize("options", [["--from", "0.1"], ["--labels", "csv"]])
def test_no_table_of_parts_nor_without_being_asked(
    tmp_path: Path, separate: Separate, write_noise: WriteNoise, options: list[str]
) -> None:
    tapes = [write_noise(tmp_path / f"{number}.wav", 1.0) for number in range(2)]
    labels = [] if "--labels" in options else ["--labels", "raven"]
    assert separate(*tapes, "--detect-only", *labels, *options) == 0
    assert not (tmp_path / "out" / SEQUENCE_NAME).exists()


def test_a_table_of_somebody_elses_stays(
    tmp_path: Path,
    separate: Separate,
    write_noise: WriteNoise,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tapes = [write_noise(tmp_path / f"{number}.wav", 1.0) for number in range(2)]
    other = tmp_path / "out" / SEQUENCE_NAME
    other.parent.mkdir()
    other.write_text("Selection\tmine\n")
    assert separate(*tapes, "--labels", "raven") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{other} exists and is no earlier table" in line
    assert list(other.parent.iterdir()) == [other]


def test_two_inputs_of_one_name(
    tmp_path: Path,
    separate: Separate,
    write_noise: WriteNoise,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tapes = [write_noise(tmp_path / day / "tape.wav", 1.0) for day in ("monday", "tuesday")]
    formats = ("--labels", "raven", "--session", "reaper")
    assert separate(*tapes, *formats) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert separate(*tapes, *formats, "--name", "{parent}/{stem}") == 0
    for day, tape in zip(("monday", "tuesday"), tapes, strict=True):
        folder = tmp_path / "out" / day / "tape"
        project = rpp.loads((folder / "tape.rpp").read_text(encoding="utf-8"))
        file = project.find("TRACK").find("ITEM").find("SOURCE").find("FILE")[1]
        assert (folder / file).samefile(tape)
        assert (folder / "tape.Table.1.selections.txt").is_file()
    paths = {
        row["Begin Path"]
        for row in csv.DictReader(
            (tmp_path / "out" / SEQUENCE_NAME).open(encoding="utf-8"), delimiter="\t"
        )
    }
    assert paths == {str(tape) for tape in tapes}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--labels", "subrip"], "invalid choice: 'subrip'"),
        (["--session", "ableton"], "invalid choice: 'ableton'"),
        (["--session", "reaper", "--detect-only"], "--session needs stems"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    tmp_path: Path,
    separate: Separate,
    scene: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    complaint: str,
) -> None:
    try:
        status = separate(scene, *options)
    except SystemExit as end:
        status = int(end.code or 0)
    assert status == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_said_before_anything_is_read(
    tmp_path: Path,
    separate: Separate,
    scene: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    assert separate(scene, "--session", "otio") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install 'uss-pipeline[session]'" in line
    assert not (tmp_path / "out").exists()


def test_an_export_that_fails_leaves_the_stems(
    tmp_path: Path,
    separate: Separate,
    scene: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("uss.interchange.reaper.session_tracks", fail)
    assert separate(scene, "--session", "reaper", "otio", "--labels", "audacity") == 2
    folder = tmp_path / "out" / "scene"
    (line,) = capsys.readouterr().err.splitlines()
    assert "scene.rpp is missing (OSError: the disk is full)" in line
    names = {path.name for path in folder.iterdir()}
    assert {"scene.otio", "scene.labels.txt", "level2", "report.html"} <= names
    assert not any("rpp" in name for name in names)
    assert len(record(folder)["missing"]) == 1
    assert "scene.rpp" not in (folder / "report.html").read_text(encoding="utf-8")


def test_exports_go_with_their_result_and_others_files_stay(
    tmp_path: Path, separate: Separate, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert separate(scene, "--labels", "audacity", "--session", "reaper") == 0
    folder = tmp_path / "out" / "scene"
    (folder / "scene.otio").write_text("mine")
    assert separate(scene) == 0
    names = {path.name for path in folder.iterdir()}
    assert "scene.otio" in names
    assert not names & {"scene.labels.txt", "scene.rpp"}
    capsys.readouterr()
    assert separate(scene, "--session", "otio") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "scene.otio is none of the earlier result's files" in line
    assert (folder / "scene.otio").read_text() == "mine"


def test_an_unwritable_target_leaves_nothing(
    tmp_path: Path, separate: Separate, scene: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    assert separate(scene, "--labels", "raven", "-o", tmp_path / "file" / "out") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "scene.wav"]


def test_what_came_through_a_pipe_links_nothing_that_is_gone(
    tmp_path: Path, separate: Separate, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(scene.read_bytes())))
    assert separate("-", "--session", "reaper", "--labels", "eaf") == 0
    folder = tmp_path / "out" / "stdin"
    project = rpp.loads((folder / "stdin.rpp").read_text(encoding="utf-8"))
    names = [track.find("NAME")[1] for track in project.findall("TRACK")]
    assert "Original" not in names
    assert names[-1] == "Residual"
    assert "MEDIA_URL" not in (folder / "stdin.eaf").read_text(encoding="utf-8")


def test_names_with_emoji_quotes_and_two_hundred_letters(
    tmp_path: Path, separate: Separate, write_noise: WriteNoise
) -> None:
    for name in ('he said "🐕" & went', "x" * 200):
        tape = write_noise(tmp_path / f"{name}.wav", 1.0)
        formats = ("--labels", *LABEL_FORMATS, "--session", *SESSION_FORMATS)
        assert separate(tape, "--query", tape, *formats) == 0
        folder = tmp_path / "out" / name
        assert record(folder)["missing"] == []
        project = rpp.loads((folder / f"{name}.rpp").read_text(encoding="utf-8"))
        for track in project.findall("TRACK"):
            assert (folder / track.find("ITEM").find("SOURCE").find("FILE")[1]).is_file()
        for suffix in (".labels.txt", ".TextGrid", ".eaf", ".vtt", ".labels.csv"):
            assert [label[2] for label in labelled(folder / f"{name}{suffix}")] == [name]


def test_programs_ask_for_exports_too(
    tmp_path: Path, bundle_file: Path, quick_pictures: None, scene: Path
) -> None:
    from uss.separation.separator import Separator

    separator = Separator.from_pretrained(str(bundle_file), device="cpu")
    result = separate_file(
        scene, tmp_path / "out", separator=separator, labels="vtt", sessions=["reaper"]
    )
    assert {"scene.vtt", "scene.rpp"} <= set(result.files)
    (label, *_) = read_labels(tmp_path / "out" / "scene" / "scene.vtt").labels
    assert result.stems[0].events[0].probability == result.stems[0].probability
    assert label.end_seconds == pytest.approx(result.stems[0].events[0].offset_seconds, abs=0.001)
    for wrong in ({"labels": ["subrip"]}, {"sessions": ["reaper"], "detect_only": True}):
        with pytest.raises(ValueError, match=r"subrip|session needs stems"):
            separate_file(scene, tmp_path / "other", separator=separator, **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "other").exists()


def test_the_parser_names_the_formats(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert ", ".join(SESSION_FORMATS) in text
    assert ", ".join(LABEL_FORMATS) in text
