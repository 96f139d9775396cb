"""What the first reading keeps beside P(segment, class)."""

import numpy as np
import pytest

from tests.uss.evaluation.conftest import CAT, DOG, RATE, make_separator, tone
from uss.audio import Recording
from uss.detection.analysis import Analysis
from uss.detection.framewise import Framewise


def analysed(waveform: np.ndarray, overlap: float = 0.0) -> Analysis:
    return make_separator().analyse(Recording(waveform[None], RATE), overlap)


def curve(framewise: Framewise | None, class_index: int, *times: float) -> list[float]:
    assert framewise is not None
    weights = np.zeros(527, np.float32)
    weights[class_index] = 1.0
    found = framewise.curve(weights, np.array(times))
    assert found is not None
    return found.tolist()


@pytest.fixture
def dog_then_cat() -> Analysis:
    """Segments of half a second: a dog, silence, a cat."""
    silence = np.zeros(RATE // 2, np.float32)
    return analysed(np.concatenate([tone(500.0), silence, tone(5_000.0)]))


def test_levels_are_those_of_the_recording(dog_then_cat: Analysis) -> None:
    levels = dog_then_cat.levels_db
    assert levels is not None and levels.shape == (30,)
    # A sine of amplitude 0.3.
    assert np.all(levels[:10] == -13.5) and np.all(levels[20:] == -13.5)
    assert np.all(levels[10:20] == -120.0)


def test_frames_are_those_of_the_detector(dog_then_cat: Analysis) -> None:
    # Its tagger has one frame a second, which is that of the start of each segment.
    assert curve(dog_then_cat.framewise, DOG, 0.0, 0.5, 1.0) == [1.0, 0.0, 0.0]
    assert curve(dog_then_cat.framewise, CAT, 0.0, 0.5, 1.0) == [0.0, 0.0, 1.0]


def test_nothing_is_kept_of_silence(dog_then_cat: Analysis) -> None:
    assert dog_then_cat.framewise is not None
    assert dog_then_cat.framewise.segments.tolist() == [0, 2]
    assert dog_then_cat.framewise.class_indexes.tolist() == [DOG, CAT]


def test_what_was_not_heard_has_no_frames(dog_then_cat: Analysis) -> None:
    without = dog_then_cat.without([DOG])
    assert curve(without.framewise, DOG, 0.0) == [0.0]
    assert curve(without.framewise, CAT, 1.0) == [1.0]


def test_the_duration(dog_then_cat: Analysis) -> None:
    assert dog_then_cat.duration_seconds == 1.5
