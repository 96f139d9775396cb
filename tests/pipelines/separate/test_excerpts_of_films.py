"""Part of a recording: --from and --to."""

import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from tests.pipelines.separate.test_places_in_films import noise, total, write_film
from uss.results.separate_file import separate_file
from uss.separation.separator import Separator

RATE = 32_000
WriteNoise = Callable[..., Path]
Separate = Callable[..., int]


@pytest.mark.parametrize(
    "form", [("--from", "1", "--to", "2.5"), ("--from", "0:01", "--to", "0:00:02.5")]
)
def test_only_the_excerpt_is_separated(
    tmp_path: Path, write_noise: WriteNoise, separate: Separate, form: tuple[str, ...]
) -> None:
    recording = write_noise(tmp_path / "take.wav", 4.0)
    assert separate(recording, "--level", "1", *form) == 0
    folder = tmp_path / "out" / "take"
    np.testing.assert_allclose(
        total(folder), soundfile.read(recording)[0][RATE : RATE * 5 // 2], atol=1e-6
    )
    noted = json.loads((folder / "detections.json").read_text("utf-8"))
    assert (noted["start_seconds"], noted["duration_seconds"]) == (1.0, 1.5)
    assert (noted["settings"]["start_seconds"], noted["settings"]["end_seconds"]) == (1.0, 2.5)
    assert max(end for stem in noted["stems"] for _, end in stem["active_intervals"]) == 1.5
    assert "from 0:01 on" in (folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize("align", ["track", "film"])
def test_it_is_muxed_at_its_place(tmp_path: Path, separate: Separate, align: str) -> None:
    (samples,) = noise(num_samples=64_000)
    film = write_film(tmp_path / "film.mkv", [samples], [0.5])
    options = ("--from", "1", "--to", "2", "--align", align, "--mux")
    assert separate(film, "--level", "1", *options) == 0
    folder = tmp_path / "out" / "film"
    start = RATE if align == "track" else RATE // 2
    np.testing.assert_allclose(total(folder), samples[start : start + RATE] / 32_768.0, atol=1e-6)
    with av.open(str(folder / "film.mkv")) as copy:
        frames = list(copy.decode(audio=0))
    assert frames[0].time == (1.5 if align == "track" else 1.0)
    assert sum(frame.samples for frame in frames) == RATE


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--from", "5"), "lasts 0:00:04, so nothing is at 0:00:05; choose an earlier start"),
        (("--from", "3", "--to", "5"), "lasts 0:00:04, not until 0:00:05; choose an earlier end"),
        (("--from", "3", "--to", "3"), "an excerpt from 0:00:03 to 3.0 s holds nothing"),
        (("--from", "3", "--to", "1"), "choose an end after the start"),
        (("--from", "soon"), "'soon' is no time; give seconds (90.5) or h:mm:ss"),
        (("--from", "-1"), "'-1' is no time"),
        (("--to", "1:75"), "has more than 59 minutes or seconds"),
        (("--to", "0"), "holds nothing"),
    ],
)
def test_what_no_recording_has(
    tmp_path: Path,
    write_noise: WriteNoise,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    says: str,
) -> None:
    recording = write_noise(tmp_path / "take.wav", 4.0)
    assert separate(recording, *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert not (tmp_path / "out").exists()


def test_an_excerpt_for_programs(
    tmp_path: Path, write_noise: WriteNoise, bundle_file: Path
) -> None:
    recording = write_noise(tmp_path / "take.wav", 4.0)
    separator = Separator.from_pretrained(str(bundle_file), device="cpu")
    result = separate_file(
        recording,
        tmp_path / "out",
        separator=separator,
        levels=[1],
        start_seconds=3.25,
        detect_only=True,
    )
    assert (result.start_seconds, result.duration_seconds) == (3.25, 0.75)
    with pytest.raises(ValueError, match="holds nothing"):
        separate_file(recording, tmp_path / "out", separator=separator, end_seconds=0.0)
