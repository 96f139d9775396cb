import time
import warnings
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from uss.audio.envelopes import Envelope
from uss.conditions.text_queries import MeantClass
from uss.results.result import RunSettings, SeparationResult, StemResult
from uss.results.timeline import draw_timeline

RATE = 1_000
MARGINS, MIXTURE, STEM, CURVE_ALONE = 1.3, 1.4, 1.55, 0.8


def make_result(num_samples: int, *names: str, file_name: str = "a.wav") -> SeparationResult:
    stems = tuple(
        StemResult("/m/x", name, 2, 0.9, (0.9, 0.1), ((0.0, 1.0),), -20.0, f"level2/{name}.wav")
        for name in names
    )
    return SeparationResult(
        file_name, RATE, 2, num_samples / RATE, 2.0, (0.0, 1.5), RunSettings(), stems, {}
    )


def make_long_result(duration_seconds: float, num_stems: int) -> SeparationResult:
    """Segments of two seconds without overlap; each seventh is active."""
    starts = tuple(np.arange(0.0, duration_seconds, 2.0).tolist())
    active = tuple((start, start + 2.0) for start in starts[::7])
    curve = tuple(np.random.default_rng(0).uniform(0.0, 1.0, len(starts)).tolist())
    stem = StemResult("/m/x", "Dog", 3, 0.9, curve, active, -20.0, "level3/Dog.wav")
    return SeparationResult(
        "a.wav", RATE, 2, duration_seconds, 2.0, starts, RunSettings(), (stem,) * num_stems, {}
    )


def noise(num_samples: int) -> Envelope:
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, (2, num_samples))
    return Envelope.of(waveform.astype(np.float32), RATE)


def silence(num_samples: int) -> Envelope:
    return Envelope.of(np.zeros((2, num_samples), np.float32), RATE)


def pixels(path: Path) -> np.ndarray:
    """(height, width, 3) between 0 and 1."""
    return matplotlib.image.imread(path)[:, :, :3]


def orange(picture: np.ndarray) -> np.ndarray:
    """Where active spans are."""
    return np.abs(picture - np.array([0xFE, 0xD7, 0xAA]) / 255.0).max(axis=2) < 0.02


@pytest.mark.parametrize("num_stems", [0, 1, 3])
def test_the_picture_grows_with_the_number_of_stems(tmp_path: Path, num_stems: int) -> None:
    path = tmp_path / "timeline.png"
    result = make_result(3_000, *["Dog", "Speech", "Music"][:num_stems])
    draw_timeline(path, result, noise(3_000), [noise(3_000)] * num_stems, 0.2)
    assert [entry.name for entry in tmp_path.iterdir()] == ["timeline.png"]
    assert path.read_bytes().startswith(b"\x89PNG")
    height, width, _ = pixels(path).shape
    assert width == 1_320
    assert height == pytest.approx(110 * (MARGINS + 0.95 * (MIXTURE + STEM * num_stems)), abs=2)
    assert path.stat().st_size > 5_000


@pytest.mark.parametrize("num_stems", [0, 1, 3])
def test_curves_stand_alone_where_nothing_was_separated(tmp_path: Path, num_stems: int) -> None:
    path = tmp_path / "timeline.png"
    result = make_result(3_000, *["Dog", "Speech", "Music"][:num_stems])
    draw_timeline(path, result, noise(3_000), None, 0.2)
    inches = MARGINS + 0.95 * (MIXTURE + CURVE_ALONE * num_stems)
    assert pixels(path).shape[0] == pytest.approx(110 * inches, abs=2)


def test_of_very_many_stems_the_most_probable_are_drawn(tmp_path: Path) -> None:
    path = tmp_path / "timeline.png"
    draw_timeline(path, make_long_result(4.0, 300), noise(4_000), None, 0.2)
    inches = MARGINS + 0.95 * (MIXTURE + CURVE_ALONE * 40)
    assert pixels(path).shape[0] == pytest.approx(110 * inches, abs=2)


def test_waves_curves_and_spans_are_visible(tmp_path: Path) -> None:
    silent, loud = tmp_path / "silent.png", tmp_path / "loud.png"
    result = make_result(3_000, "Dog")
    draw_timeline(silent, result, silence(3_000), [noise(3_000)], 0.2)
    draw_timeline(loud, result, noise(3_000), [noise(3_000)], None)
    ink = [(pixels(path).min(axis=2) < 0.5).sum() for path in (silent, loud)]
    assert ink[1] > ink[0] + 10_000
    assert orange(pixels(loud)).any()


@pytest.mark.parametrize("num_samples", [1, 2, 1_599, 1_601, 5_000])
def test_recordings_of_any_length(tmp_path: Path, num_samples: int) -> None:
    path = tmp_path / "timeline.png"
    draw_timeline(
        path, make_result(num_samples, "Dog"), noise(num_samples), [noise(num_samples)], 0.2
    )
    assert path.stat().st_size > 5_000


def test_a_span_shorter_than_a_pixel_is_visible(tmp_path: Path) -> None:
    path = tmp_path / "timeline.png"
    day = 24 * 3_600.0
    result = make_long_result(day, 1)
    stem = replace(result.stems[0], active_intervals=((40_000.0, 40_002.0),))
    result = replace(result, stems=(stem,))
    envelope = Envelope(sample_rate=1)
    envelope.add(np.zeros((1, round(day)), np.float32))
    draw_timeline(path, result, envelope, [envelope], None)
    columns = np.flatnonzero(orange(pixels(path)).sum(axis=0) > 30)
    assert 1 <= len(columns) <= 3


def test_two_hours_with_twelve_stems_are_drawn_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "timeline.png"
    result = make_long_result(7_200.0, 12)
    envelope = noise(7_200 * RATE)
    start = time.perf_counter()
    draw_timeline(path, result, envelope, [envelope] * 12, 0.2)
    assert time.perf_counter() - start < 10.0


@pytest.mark.parametrize(
    ("seconds", "texts", "unit"),
    [
        (5.0, ["0", "1", "2", "3", "4", "5"], "in seconds"),
        (60.0, ["0:00", "0:05", "0:10"], "as m:ss"),
        (180.0, ["0:00", "0:15", "0:30"], "as m:ss"),
        (3_599.0, ["0:00", "5:00", "10:00"], "as m:ss"),
        (7_200.0, ["0:00:00", "0:10:00", "0:20:00"], "as h:mm:ss"),
        (100_000.0, ["0:00:00", "4:00:00", "8:00:00"], "as h:mm:ss"),
        (1e6, ["0:00:00", "24:00:00", "48:00:00"], "as h:mm:ss"),
        (1e7, ["0:00:00", "240:00:00", "480:00:00"], "as h:mm:ss"),
    ],
)
def test_time_is_numbered_in_round_steps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seconds: float, texts: list[str], unit: str
) -> None:
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *arguments: object, **options: object) -> None:
        figures.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    result = SeparationResult("a.wav", RATE, 1, seconds, 2.0, (), RunSettings(), (), {})
    draw_timeline(tmp_path / "timeline.png", result, noise(1_000), None, 0.2)
    axes = figures[0].axes[-1]
    labels = {label.get_position()[0]: label.get_text() for label in axes.get_xticklabels()}
    drawn = [text for position, text in labels.items() if 0.0 <= position <= seconds]
    assert drawn[: len(texts)] == texts
    assert len(drawn) <= 13
    assert axes.get_xlabel() == f"time {unit}"


def test_a_query_made_of_audio_has_neither_mid_nor_level(tmp_path: Path) -> None:
    path = tmp_path / "timeline.png"
    result = make_result(3_000, "a_file_name_without_blanks_" * 6)
    result = replace(result, stems=(replace(result.stems[0], mid=None, level=None),))
    draw_timeline(path, result, noise(3_000), [noise(3_000)], 0.2)
    assert (pixels(path)[:, :2] == 1.0).all(), "the label leaves the picture"


@pytest.mark.parametrize("is_separated", [True, False])
def test_what_was_marked_is_underlined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_separated: bool
) -> None:
    """In the time of the excerpt, which begins after a second."""
    figures: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *a, **b: (figures.append(figure), save(figure, *a, **b))
    )
    result = make_result(3 * RATE, "bell")
    stem = replace(result.stems[0], mid=None, level=None, marked=((1.5, 2.0),))
    result = replace(result, stems=(stem,), start_seconds=1.0)
    stems = [noise(3 * RATE)] if is_separated else None
    draw_timeline(tmp_path / "timeline.png", result, noise(3 * RATE), stems, 0.2)
    (axes,) = [each for each in figures[0].axes if "marked" in each.get_ylabel()]
    boxes = [path.get_extents() for each in axes.collections for path in each.get_paths()]
    assert any((box.x0, box.x1) == pytest.approx((0.5, 1.0)) and box.y1 < 0.1 for box in boxes)


def test_names_with_signs_that_mean_formulas_elsewhere_or_that_the_font_lacks(
    tmp_path: Path,
) -> None:
    path = tmp_path / "timeline.png"
    result = make_result(3_000, "Cost: $5_{x} & $\\frac", file_name="$a_$b^ \u72ac.wav")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_timeline(path, result, noise(3_000), [noise(3_000)], 0.2)
    assert path.exists()


@pytest.mark.parametrize("is_heard", [True, False])
def test_what_words_mean_fits_beside_the_curve(tmp_path: Path, is_heard: bool) -> None:
    names = ("Domestic sounds, home sounds", "Livestock, farm animals, working animals", "Animal")
    understood = tuple(MeantClass(None, "/m/x", name, 1.0) for name in names)
    stem = replace(
        make_result(3 * RATE, "a dog that barks at the far end of a very long garden").stems[0],
        mid=None,
        level=None,
        text="a dog",
        understood=understood,
        probability=0.9 if is_heard else None,
        probabilities=(0.9, 0.1) if is_heard else None,
    )
    result = replace(make_result(3 * RATE), stems=(stem,))
    path = tmp_path / "timeline.png"
    draw_timeline(path, result, noise(3 * RATE), [noise(3 * RATE)], 0.2)
    assert (pixels(path)[:, :2] == 1.0).all(), "the label leaves the picture"
