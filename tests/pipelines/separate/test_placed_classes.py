"""Classes and examples that are wanted at some times only."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.pipelines.separate.test_formats import assert_adds_up
from uss.separation.separator import Separator

RATE = 32_000
WriteNoise = Callable[..., Path]
Separate = Callable[..., int]


@pytest.fixture
def take(tmp_path: Path, write_noise: WriteNoise) -> Path:
    """Longer than a piece of eight seconds."""
    return write_noise(tmp_path / "take.wav", 10.0)


def stem(folder: Path, name: str) -> NDArray[np.float64]:
    samples: NDArray[np.float64] = soundfile.read(folder / "queries" / f"{name}.wav")[0]
    return samples


def assert_only_in(samples: NDArray[np.float64], *spans: tuple[float, float]) -> None:
    """Sound in all of some spans, and exact zeros elsewhere."""
    outside = np.ones(len(samples), bool)
    for start, end in spans:
        inside = slice(round(start * RATE), round(end * RATE))
        outside[inside] = False
        blocks = np.array_split(samples[inside], 10)
        assert min(np.abs(block).max() for block in blocks) > 1e-4
    assert not samples[outside].any()


def described(folder: Path) -> Any:
    return json.loads((folder / "detections.json").read_text("utf-8"))


def test_a_class_that_is_not_heard_is_separated_where_it_is_wanted(
    tmp_path: Path, take: Path, separate: Separate
) -> None:
    assert separate(take, "--class", "Rain@3.2-4.1,7.5-8.5") == 0
    folder = tmp_path / "out" / "take"
    assert_only_in(stem(folder, "Rain"), (3.2, 4.1), (7.5, 8.5))
    assert_adds_up(folder / "queries", take)
    (rain,) = described(folder)["stems"]
    assert rain["active_intervals"] == [[3.2, 4.1], [7.5, 8.5]]
    assert rain["loudness_dbfs"] is not None


def test_a_class_that_is_heard_everywhere_is_silent_elsewhere(
    tmp_path: Path, take: Path, separate: Separate
) -> None:
    classes = ("Dog@0-1", "Speech", "Music@9-")
    assert separate(take, "--class", *classes, "--consistency", "--full-band") == 0
    folder = tmp_path / "out" / "take"
    assert_only_in(stem(folder, "Dog"), (0.0, 1.0))
    assert_only_in(stem(folder, "Speech"), (0.0, 10.0))
    assert_only_in(stem(folder, "Music"), (9.0, 10.0))
    assert_adds_up(folder / "queries", take)


def test_inside_its_span_it_is_what_it_would_be_everywhere(
    tmp_path: Path, take: Path, separate: Separate
) -> None:
    assert separate(take, "--class", "Dog", "--threshold", "0") == 0
    everywhere = stem(tmp_path / "out" / "take", "Dog")
    assert separate(take, "--class", "Dog@3-6") == 0
    placed = stem(tmp_path / "out" / "take", "Dog")
    inside = slice(round(3.01 * RATE), round(5.99 * RATE))
    np.testing.assert_allclose(placed[inside], everywhere[inside], atol=1e-6)


def test_beside_its_level_it_is_another_stem(
    tmp_path: Path, take: Path, separate: Separate
) -> None:
    assert separate(take, "--class", "Dog@1-2", "--level", "3") == 0
    folder = tmp_path / "out" / "take"
    assert_only_in(stem(folder, "Dog"), (1.0, 2.0))
    level = soundfile.read(folder / "level3" / "Dog.wav")[0]
    assert np.abs(level[5 * RATE :]).max() > 1e-4


def test_an_example_at_some_times(tmp_path: Path, take: Path, separate: Separate) -> None:
    assert separate(take, "--query", f"{take}@2-3") == 0
    assert_only_in(stem(tmp_path / "out" / "take", "take"), (2.0, 3.0))


def test_a_file_that_is_called_so_is_an_example(
    tmp_path: Path, take: Path, separate: Separate, write_noise: WriteNoise
) -> None:
    example = write_noise(tmp_path / "bell.wav", 1.0).rename(tmp_path / "bell@2-3")
    assert separate(take, "--query", example) == 0
    assert_only_in(stem(tmp_path / "out" / "take", "bell@2-3"), (0.0, 10.0))


def test_times_are_those_of_the_recording_also_in_an_excerpt(
    tmp_path: Path, take: Path, separate: Separate
) -> None:
    assert separate(take, "--class", "Rain@6-7", "--from", "5.5", "--to", "8") == 0
    folder = tmp_path / "out" / "take"
    samples = stem(folder, "Rain")
    assert len(samples) == round(2.5 * RATE)
    assert_only_in(samples, (0.5, 1.5))
    assert described(folder)["stems"][0]["active_intervals"] == [[0.5, 1.5]]


def test_only_what_is_found_is_written(tmp_path: Path, take: Path, separate: Separate) -> None:
    assert separate(take, "--class", "Rain@6-7", "--detect-only") == 0
    (rain,) = described(tmp_path / "out" / "take")["stems"]
    assert (rain["active_intervals"], rain["file"]) == ([[6.0, 7.0]], None)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--class", "Dog@12-15"), "Dog is wanted at 0:00:12 of what"),
        (("--class", "Dog@12-15"), "which lasts 0:00:10; choose an earlier time"),
        (("--class", "Dog@9-15"), "Dog is wanted at 0:00:15"),
        (("--class", "Dog@12-"), "Dog is wanted at 0:00:12"),
        (("--class", "Dog@1-2", "--from", "5"), "before the excerpt, which starts at 0:00:05"),
        (("--class", "Dog@15"), "'15' is no span of time"),
        (("--class", "Dog@1-2", "Dog"), "everywhere and at some times"),
        (("--query", "bell.wav@1-2"), "no such file"),
        (("--query", "bell@home.wav"), "no such file"),
    ],
)
def test_times_that_are_refused(
    tmp_path: Path,
    take: Path,
    separate: Separate,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    says: str,
) -> None:
    assert separate(take, *options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert not (tmp_path / "out").exists()


def test_the_last_times_a_player_shows_are_those_of_the_end(
    tmp_path: Path, take: Path, separate: Separate
) -> None:
    assert separate(take, "--class", "Rain@9-10.05") == 0
    assert described(tmp_path / "out" / "take")["stems"][0]["active_intervals"] == [[9.0, 10.0]]


def test_placed_classes_for_programs(bundle_file: Path, take: Path) -> None:
    separator = Separator.from_pretrained(str(bundle_file), device="cpu")
    waveform, rate = soundfile.read(take, dtype="float32")
    stems = separator.separate(waveform, rate, classes=["Rain@3-4"])
    assert_only_in(stems["Rain"].astype(float), (3.0, 4.0))
    np.testing.assert_allclose(stems["Rain"] + stems.residual, waveform, atol=1e-6)
