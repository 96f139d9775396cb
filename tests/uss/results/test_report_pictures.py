import re
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ontology import Ontology
from tests.uss.results.report_examples import RATE, make_result, make_stem
from uss.results import report_pictures
from uss.results.report_pictures import MAX_COLUMNS, Picture, picture_files
from uss.results.result import SeparationResult


def write(folder: Path, result: SeparationResult, waveforms: dict[str, np.ndarray]) -> None:
    for file, waveform in waveforms.items():
        (folder / file).parent.mkdir(exist_ok=True)
        soundfile.write(folder / file, waveform, RATE, "FLOAT")


@pytest.fixture
def result(ontology: Ontology, tmp_path: Path) -> SeparationResult:
    """A tone in the first half, silence as residual: 2 s of them."""
    tone = 0.25 * np.sin(2.0 * np.pi * 1_000.0 * np.arange(2 * RATE) / RATE)
    tone[RATE:] = 0.0
    made = make_result(make_stem(ontology, "Dog", 3, "level3/Dog.wav"))
    made = replace(made, duration_seconds=2.0, num_channels=1)
    waveforms = {"level3/Dog.wav": tone, "level3/residual.wav": np.zeros_like(tone)}
    write(tmp_path, made, waveforms)
    return made


def test_a_file_is_seen_where_it_sounds(result: SeparationResult, tmp_path: Path) -> None:
    pictures = picture_files(tmp_path, result)
    assert list(pictures.files) == ["level3/Dog.wav", "level3/residual.wav"]
    picture = pictures.files["level3/Dog.wav"]
    assert len(picture.low) <= MAX_COLUMNS
    half = len(picture.high) // 2
    assert picture.high[: half - 1].max() == pytest.approx(0.25, abs=1e-3)
    assert picture.low[half + 1 :].min() == 0.0
    # 20 log10(0.25) is -12.04 dB, in steps of half a dB above -120.
    assert abs(pictures.loudest_half_decibels - 216) <= 1
    columns = picture.half_decibels.max(axis=0)
    assert np.all(columns[20 : len(columns) // 2 - 20] >= 214)
    assert np.all(columns[len(columns) // 2 + 20 :] == 0)
    assert not pictures.files["level3/residual.wav"].half_decibels.any()


def test_the_mixture_is_the_sum(result: SeparationResult, tmp_path: Path) -> None:
    tone = 0.5 * np.sin(2.0 * np.pi * 250.0 * np.arange(2 * RATE) / RATE)
    write(tmp_path, result, {"level3/residual.wav": tone})
    pictures = picture_files(tmp_path, result)
    mixture = pictures.mixture
    assert mixture is not None
    both = zip(*(picture.high.tolist() for picture in pictures.files.values()), strict=True)
    assert np.all(mixture.high <= np.array([sum(each) for each in both]) + 1e-6)
    assert mixture.high.max() > 0.7
    assert mixture.half_decibels.max() == pictures.loudest_half_decibels


def test_nothing_separated_has_no_pictures(result: SeparationResult, tmp_path: Path) -> None:
    found = replace(result, stems=(replace(result.stems[0], file=None),), residuals={})
    pictures = picture_files(tmp_path, found)
    assert (dict(pictures.files), pictures.mixture) == ({}, None)


def test_the_waveform_fills_its_height() -> None:
    low, high = np.array([0.0, -0.2, 0.0], np.float32), np.array([0.1, 0.1, 0.0], np.float32)
    path = Picture(low, high, np.zeros((2, 2), np.uint8)).waveform_path
    points = [tuple(map(int, each)) for each in re.findall(r"(\d+) (\d+)", path)]
    assert points == [(0, 25), (1, 25), (2, 50), (2, 50), (1, 100), (0, 50)]


def test_many_files_have_fewer_columns(
    result: SeparationResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_pictures, "_MAX_PIXELS", 96 * 3 * 150)
    for picture in picture_files(tmp_path, result).files.values():
        assert len(picture.low) == 150 and picture.half_decibels.shape == (96, 150)


def test_memory_does_not_grow_with_duration(result: SeparationResult, tmp_path: Path) -> None:
    peaks = []
    for seconds in (40, 160):
        noise = 0.1 * np.random.default_rng(0).standard_normal(seconds * RATE)
        write(tmp_path, result, {"level3/Dog.wav": noise, "level3/residual.wav": -noise})
        longer = replace(result, duration_seconds=float(seconds))
        picture_files(tmp_path, longer)
        tracemalloc.start()
        picture_files(tmp_path, longer)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.05 * peaks[0]
