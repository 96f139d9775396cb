"""A report of two hours."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ontology import Ontology
from tests.browser import Browser
from tests.uss.results.report_examples import RATE, make_result, make_stem
from uss.interchange.hand_over import Event
from uss.results.report import write_report
from uss.results.report_pictures import Pictures, picture_files
from uss.results.result import SeparationResult

SECONDS = 7_200
NUM_STEMS = 20
MAX_BYTES = 20_000_000
MAX_LOAD_SECONDS = 10.0
MAX_ANSWER_SECONDS = 1.0


def write_two_hours(path: Path, rng: np.random.Generator) -> None:
    """Five seconds of noise at the start of each minute."""
    path.parent.mkdir(exist_ok=True)
    minute = np.zeros(60 * RATE, np.float32)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for _ in range(SECONDS // 60):
            minute[: 5 * RATE] = 0.1 * rng.standard_normal(5 * RATE)
            file.write(minute)


@pytest.fixture
def two_hours(ontology: Ontology, tmp_path: Path, rng: np.random.Generator) -> SeparationResult:
    """A stem and a residual, whose pictures are read from the files."""
    for name in ("Dog", "residual"):
        write_two_hours(tmp_path / "level3" / f"{name}.flac", rng)
    dog = make_stem(ontology, "Dog", 3, "level3/Dog.flac")
    events = tuple(Event(7.2 * row, 7.2 * row + 1.3, 0.9) for row in range(1_000))
    result = make_result(replace(dog, events=events))
    residuals = {"level3": "level3/residual.flac"}
    return replace(result, duration_seconds=float(SECONDS), num_channels=1, residuals=residuals)


def many(result: SeparationResult, pictures: Pictures) -> tuple[SeparationResult, Pictures]:
    """Twenty stems instead of one, none of whose pictures says anything of another's."""
    noise = np.random.default_rng(1)
    stem, (picture, _) = result.stems[0], list(pictures.files.values())
    shape = picture.half_decibels.shape
    stems, files = [], dict(pictures.files)
    for number in range(NUM_STEMS):
        file = f"level3/Dog {number}.flac"
        stems.append(replace(stem, name=f"Dog {number}", file=file))
        # Nothing takes more room than noise.
        values = noise.integers(0, 255, shape).astype(np.uint8)
        high = noise.random(len(picture.high), np.float32)
        files[file] = replace(picture, low=-high, high=high, half_decibels=values)
    return replace(result, stems=tuple(stems)), replace(pictures, files=files)


@pytest.mark.slow
def test_two_hours_stay_small_and_answer(
    two_hours: SeparationResult, tmp_path: Path, ontology: Ontology, browser: Browser
) -> None:
    pictures = picture_files(tmp_path, two_hours)
    columns = pictures.files["level3/Dog.flac"].half_decibels.max(axis=0)
    # A column is six seconds: every tenth holds noise, and none is missed.
    assert len(columns) == 1_200
    assert np.all(columns[::10] > 100) and not columns[5::10].any()
    result, drawn = many(two_hours, pictures)
    for stem in result.stems:
        (tmp_path / str(stem.file)).symlink_to(tmp_path / "level3" / "Dog.flac")
    path = tmp_path / "report.html"
    write_report(path, result, ontology, pictures=drawn)
    assert path.stat().st_size < MAX_BYTES
    (tmp_path / "timeline.png").write_bytes(b"")

    browser.open(path.as_uri())
    timing = "performance.getEntriesByType('navigation')[0]"
    load_seconds = browser.evaluate(f"{timing}.loadEventEnd") / 1000.0
    assert 0.0 < load_seconds < MAX_LOAD_SECONDS
    shown = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    browser.evaluate(shown)
    answers = []
    for key, code in (("5", 53), ("ArrowRight", 39), ("n", 78), ("m", 77), ("0", 48)):
        began = time.monotonic()
        browser.press(key, code)
        browser.evaluate(shown)
        answers.append(time.monotonic() - began)
    print(f"{path.stat().st_size} bytes, loaded in {load_seconds:.2f} s, answers {answers}")
    assert sorted(answers)[len(answers) // 2] < MAX_ANSWER_SECONDS
    browser.click("#stem-4 .spectrogram")
    browser.click("#stem-4 .play")
    playing = "document.querySelector('#stem-4 audio')"
    browser.wait_for(f"!{playing}.paused && {playing}.currentTime > 3600.1")
