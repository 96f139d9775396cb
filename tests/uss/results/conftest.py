"""Reports in folders with their files, and what opens them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ontology import Ontology
from tests.browser import Browser, find_browser
from tests.uss.results.report_examples import AWKWARD, RATE, SECONDS, make_result, make_stem
from uss.results.report import write_report
from uss.results.report_pictures import picture_files
from uss.results.result import SeparationResult

WriteFolder = Callable[[SeparationResult], Path]


@pytest.fixture
def two_levels(ontology: Ontology) -> SeparationResult:
    """A WAV and a FLAC stem at two levels, and a query made of audio with an awkward name."""
    dog = make_stem(ontology, "Dog", 3, "level3/Dog.flac")
    query = replace(dog, mid=None, name=AWKWARD, level=None, file=f"queries/{AWKWARD}.wav")
    return make_result(make_stem(ontology, "Music", 1, "level1/Music.wav"), dog, query)


@pytest.fixture
def write_folder(tmp_path: Path, ontology: Ontology) -> WriteFolder:
    """Write a result as a folder with a report, and return the path of that."""

    def write(result: SeparationResult) -> Path:
        tone = 0.1 * np.sin(2.0 * np.pi * 440.0 * np.arange(round(SECONDS * RATE)) / RATE)
        folder = tmp_path / "Straße & 100% #1"
        folder.mkdir()
        (folder / "timeline.png").write_bytes(b"a picture")
        for file in [stem.file for stem in result.stems] + list(result.residuals.values()):
            if file is not None:
                (folder / file).parent.mkdir(exist_ok=True)
                subtype = "PCM_16" if file.endswith(".flac") else "FLOAT"
                soundfile.write(folder / file, np.stack([tone, tone], axis=1), RATE, subtype)
        pictures = picture_files(folder, result)
        write_report(folder / "report.html", result, ontology, pictures=pictures)
        return folder / "report.html"

    return write


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A headless Chromium, or skip without one."""
    program = find_browser()
    if program is None:
        pytest.skip("there is no Chromium to open the report in")
    with Browser(program, tmp_path / "profile") as browser:
        yield browser
