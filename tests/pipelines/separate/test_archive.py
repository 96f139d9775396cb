"""Films and takes with a clock: what their stems say of themselves, as others read it."""

import json
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import bagit
import numpy as np
import pytest
import soundfile
import wavinfo

from uss.audio import AudioFile
from uss.audio.file_notes import FileNotes
from uss.audio.writing import AudioWriter

RATE = 48_000
PRECISION = "fp32"
NTSC = Fraction(30_000, 1_001)
Separate = Callable[..., int]


def write_film(path: Path, timecode: str | None, late_seconds: float = 0.0) -> Path:
    """Pictures of 2 s at 29.97 fps with a time code, and 5.1 noise in PCM that may start late."""
    options = {} if timecode is None else {"timecode": timecode}
    samples = np.random.default_rng(0).integers(-6_000, 6_000, (6, RATE)).astype(np.int16)
    with av.open(str(path), "w") as film:
        pictures = film.add_stream("mpeg4", rate=NTSC)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        pictures.metadata.update(options)
        voice = film.add_stream("pcm_s16le", rate=RATE, layout="5.1")
        film.metadata["title"] = "Straße"
        for number in range(60):
            picture = av.VideoFrame.from_ndarray(np.full((48, 32), 128, np.uint8), "yuv420p")
            picture.pts, picture.time_base = number, 1 / NTSC
            film.mux(pictures.encode(picture))
        film.mux(pictures.encode(None))
        for start in range(0, RATE, 1_600):
            piece = np.ascontiguousarray(samples[:, start : start + 1_600].T.reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(piece, format="s16", layout="5.1")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = start + round(late_seconds * RATE)
            film.mux(voice.encode(frame))
        film.mux(voice.encode(None))
    return path


def described(folder: Path) -> Any:
    return json.loads((folder / "detections.json").read_text("utf-8"))


def bext(path: Path) -> Mapping[str, Any]:
    read: Mapping[str, Any] = wavinfo.WavInfoReader(str(path)).bext.to_dict()
    return read


@pytest.mark.parametrize(
    ("timecode", "frames"),
    [("01:00:00;00", 107_892), ("01:00:00:00", 108_000), ("10:59:59:29", 1_187_999), (None, 0)],
)
def test_stems_of_a_film_lie_where_its_time_code_says(
    tmp_path: Path, separate: Separate, timecode: str | None, frames: int
) -> None:
    film = write_film(tmp_path / "film.mov", timecode, late_seconds=0.5)
    options = ("--level", "2", "--names", "ucs", "--bag", "--subtype", "PCM_24")
    assert separate(film, *options) == 0
    bag = tmp_path / "out" / "film"
    assert bagit.Bag(str(bag)).validate()
    content = described(bag / "data")
    reference = round((frames / NTSC + Fraction(1, 2)) * RATE)
    assert content["film_offset_seconds"] == pytest.approx(0.5, abs=1e-3)
    assert abs(content["time_reference"] - reference) <= RATE // 1_000
    assert content["timecode"] == timecode and content["tags"] == {"title": "Straße"}
    files = [bag / "data" / str(stem["file"]) for stem in content["stems"]]
    files += [bag / "data" / name for name in content["residuals"].values()]
    assert len(files) > 1
    for path in files:
        said = bext(path)
        assert said["time_reference"] == content["time_reference"]
        assert "of film.mov" in said["coding_history"] or "film.mov" in said["description"]
        assert "A=PCM,F=48000,W=24,M=multichannel,T=" in said["coding_history"]
        assert soundfile.info(path).channels == 6
    assert all(path.name.split("_")[2] == "USS" for path in files)
    # And they are the film's audio still.
    mixture = np.concatenate(list(AudioFile(film).blocks()), axis=1)
    total = sum(soundfile.read(path)[0] for path in files)
    np.testing.assert_allclose(np.asarray(total).T, mixture, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "later"),
    [((), 0.5), (("--align", "film"), 0.0), (("--from", "0.25"), 0.75)],
)
def test_the_clock_shows_when_the_stems_begin(
    tmp_path: Path, separate: Separate, options: tuple[str, ...], later: float
) -> None:
    film = write_film(tmp_path / "film.mov", "00:10:00;00", late_seconds=0.5)
    assert separate(film, "--level", "2", *options) == 0
    content = described(tmp_path / "out" / "film")
    expected = round((17_982 / NTSC + Fraction(later)) * RATE)
    assert abs(content["time_reference"] - expected) <= RATE // 1_000


def take(path: Path, **notes: Any) -> Path:
    """A recorder's file: a second of noise at ten o'clock."""
    samples = np.random.default_rng(0).uniform(-0.2, 0.2, (2, RATE)).astype(np.float32)
    said = FileNotes(time_reference=36_000 * RATE, **notes)
    with AudioWriter(path, RATE, 2, "PCM_24", RATE, notes=said) as writer:
        writer.write(samples)
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_what_a_recorder_noted_is_in_the_stems(
    tmp_path: Path, separate: Separate, suffix: str
) -> None:
    recording = take(
        tmp_path / "take 1.wav",
        tags={"title": "Hof", "artist": "Ton", "date": "2020", "isrc": "DEA120000001"},
        description="Hof, früh",
        origination_date="2020-01-02",
        origination_time="10:00:00",
        coding_history=("A=PCM,F=48000,W=24,M=stereo,T=recorder",),
    )
    assert separate(recording, "--level", "2", "--from", "0.25", "--format", suffix) == 0
    folder = tmp_path / "out" / "take 1"
    content = described(folder)
    assert content["time_reference"] == 36_000 * RATE + RATE // 4
    stem = content["stems"][0]
    path = folder / stem["file"]
    with av.open(str(path)) as opened:
        said = {name.lower(): text for name, text in opened.metadata.items()}
    assert (said["title"], said["artist"], said["isrc"]) == ("Hof", "Ton", "DEA120000001")
    assert said["time_reference"] == str(content["time_reference"])
    assert said["coding_history"].startswith("A=PCM,F=48000,W=24,M=stereo,T=recorder")
    if suffix == "wav":
        own = bext(path)
        assert own["originator_date"] == "2020-01-02" and own["originator_time"] == "10:00:00"
        assert own["description"] == f"{stem['name']}, separated from take 1.wav: Hof, fruh"
        _, second = own["coding_history"].splitlines()
        assert second.startswith("A=PCM,F=48000,W=32,M=stereo,T=") and second.count(",") == 4
        cues = wavinfo.WavInfoReader(str(path)).cues.to_dict().values()
        spans = [(c["frame"], c["frame"] + c["length"]) for c in cues]
        assert spans == [
            (round(RATE * event["onset_seconds"]), round(RATE * event["offset_seconds"]))
            for event in stem["events"]
        ]


def test_nothing_found_leaves_a_residual_that_says_what_it_is(
    tmp_path: Path, separate: Separate
) -> None:
    recording = take(tmp_path / "take.wav")
    assert separate(recording, "--level", "2", "--threshold", "1", "--names", "ucs", "--bag") == 0
    folder = tmp_path / "out" / "take"
    assert bagit.Bag(str(folder)).validate()
    (path,) = (folder / "data" / "level2").iterdir()
    assert path.name == "AMBMisc_residual_USS_take.wav"
    assert bext(path)["description"].startswith("residual, separated from take.wav")
    np.testing.assert_allclose(soundfile.read(path)[0], soundfile.read(recording)[0], atol=1e-6)


def test_inputs_of_one_name_and_of_any_letters(tmp_path: Path, separate: Separate) -> None:
    names = ["a/take.wav", "b/take.wav", 'tab\tand "quotes".wav', f"{'🐕' * 50}.wav"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
    inputs = [take(tmp_path / name) for name in names]
    options = ("--level", "2", "--name", "{parent}/{stem}", "--names", "{stem}_{class}", "--bag")
    assert separate(*inputs, *options) == 0
    bags = [path.parent for path in (tmp_path / "out").rglob("bagit.txt")]
    assert len(bags) == 4 and all(bagit.Bag(str(each)).validate() for each in bags)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--names", "{stem}"), "put {class} into it"),
        (("--names", "{parent}_{class}"), "{parent} is of --name, which names the result's folder"),
        (("--name", "{class}"), "{class} is of --names, which names the stems' files"),
    ],
)
def test_templates_that_are_none_are_refused_before_any_work(
    tmp_path: Path,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    said: str,
) -> None:
    assert separate(take(tmp_path / "take.wav"), *options) == 2
    line = capsys.readouterr().err.strip()
    assert said in line and "\n" not in line
    assert not (tmp_path / "out").exists()


def test_the_command_is_noted_as_it_was_typed(tmp_path: Path, separate: Separate) -> None:
    recording = take(tmp_path / "take.wav")
    assert separate(recording, "--level", "2") == 0
    noted = json.loads((tmp_path / "out" / "take" / "provenance.json").read_text("utf-8"))
    assert noted["command"][0] == "uss-separate" and str(recording) in noted["command"]
    tagger = next(each for each in noted["models"] if each["role"] == "tagger")
    assert tagger["licence"] == "CC0-1.0" and len(tagger["sha256"]) == 64
