import warnings
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from uss.pictures import draw_timeline
from uss.results import SeparationResult, StemResult


def make_result(num_samples: int, *names: str, file_name: str = "a.wav") -> SeparationResult:
    stems = tuple(
        StemResult("/m/x", name, 2, 0.9, (0.9, 0.1), ((0.0, 1.0),), -20.0, f"level2/{name}.wav")
        for name in names
    )
    return SeparationResult(
        file_name, 1_000, 2, num_samples / 1_000, 2.0, (0.0, 1.5), {}, stems, {}
    )


def noise(num_samples: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (2, num_samples)).astype(np.float32)


@pytest.mark.parametrize("num_stems", [0, 1, 3])
def test_the_picture_grows_with_the_number_of_stems(tmp_path: Path, num_stems: int) -> None:
    path = tmp_path / "timeline.png"
    result = make_result(3_000, *["Dog", "Speech", "Music"][:num_stems])
    draw_timeline(path, result, noise(3_000), [noise(3_000)] * num_stems, 0.2)
    assert [entry.name for entry in tmp_path.iterdir()] == ["timeline.png"]
    assert path.read_bytes().startswith(b"\x89PNG")
    height, width, _ = matplotlib.image.imread(path).shape
    assert width == 1_320
    assert height == pytest.approx(110 * (1.2 + 0.95 * (1.4 + 1.55 * num_stems)), abs=2)
    assert path.stat().st_size > 5_000


@pytest.mark.parametrize("num_stems", [0, 1, 3])
def test_curves_stand_alone_where_nothing_was_separated(tmp_path: Path, num_stems: int) -> None:
    path = tmp_path / "timeline.png"
    result = make_result(3_000, *["Dog", "Speech", "Music"][:num_stems])
    draw_timeline(path, result, noise(3_000), None, 0.2)
    height, _, _ = matplotlib.image.imread(path).shape
    assert height == pytest.approx(110 * (1.2 + 0.95 * (1.4 + 0.8 * num_stems)), abs=2)


def test_waves_curves_and_spans_are_visible(tmp_path: Path) -> None:
    silent, loud = tmp_path / "silent.png", tmp_path / "loud.png"
    result = make_result(3_000, "Dog")
    draw_timeline(silent, result, np.zeros((2, 3_000), np.float32), [noise(3_000)], 0.2)
    draw_timeline(loud, result, noise(3_000), [noise(3_000)], None)
    ink = [
        (matplotlib.image.imread(path)[:, :, :3].min(axis=2) < 0.5).sum() for path in (silent, loud)
    ]
    assert ink[1] > ink[0] + 10_000


@pytest.mark.parametrize("num_samples", [1, 2, 1_599, 1_601])
def test_recordings_of_any_length(tmp_path: Path, num_samples: int) -> None:
    path = tmp_path / "timeline.png"
    draw_timeline(
        path, make_result(num_samples, "Dog"), noise(num_samples), [noise(num_samples)], 0.2
    )
    assert path.stat().st_size > 5_000


def test_names_with_signs_that_mean_formulas_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "timeline.png"
    result = make_result(3_000, "Cost: $5_{x} & $\\frac", file_name="$a_$b^.wav")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_timeline(path, result, noise(3_000), [noise(3_000)], 0.2)
    assert path.exists()
