"""When sounds begin and end, worked out by hand at 20 frames per second."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from uss.detection.onsets import find_intervals

WHOLE = [(0.0, 10.0)]


def levels(*loud: tuple[float, float, float], rest: float = -120.0) -> NDArray[np.float32]:
    """Ten seconds at a level, but for (start, end, level)."""
    out = np.full(200, rest, np.float32)
    for start, end, level_db in loud:
        out[round(start * 20) : round(end * 20)] = level_db
    return out


def test_an_event_lasts_as_long_as_it_is_loud() -> None:
    assert find_intervals(WHOLE, levels((2.35, 3.1, -20.0))) == [(2.35, 3.1)]


def test_it_begins_and_ends_30_db_below_its_loudest_moment() -> None:
    fading = levels((2.0, 3.0, -49.0), (3.0, 4.0, -20.0), (4.0, 5.0, -50.0), (5.0, 6.0, -51.0))
    assert find_intervals(WHOLE, fading) == [(2.0, 5.0)]


def test_what_never_comes_within_25_db_is_no_event_of_its_own() -> None:
    assert find_intervals(WHOLE, levels((1.0, 2.0, -20.0), (4.0, 5.0, -46.0))) == [(1.0, 2.0)]
    both = find_intervals(WHOLE, levels((1.0, 2.0, -20.0), (4.0, 5.0, -45.0)))
    assert both == [(1.0, 2.0), (4.0, 5.0)]


def test_the_loudest_moment_is_looked_for_within_five_seconds() -> None:
    loud = np.full(400, -120.0, np.float32)
    loud[0:20], loud[200:220] = -20.0, -60.0
    assert find_intervals([(0.0, 20.0)], loud) == [(0.0, 1.0), (10.0, 11.0)]
    # But not below all limits.
    loud[200:220] = -86.0
    assert find_intervals([(0.0, 20.0)], loud) == [(0.0, 1.0)]


def test_short_gaps_are_closed() -> None:
    assert find_intervals(WHOLE, levels((1.0, 2.0, 0.0), (2.7, 3.0, 0.0))) == [(1.0, 3.0)]
    apart = [(1.0, 2.0), (2.75, 3.0)]
    assert find_intervals(WHOLE, levels(*((*each, 0.0) for each in apart))) == apart


def test_a_single_frame_is_left_out_unless_there_is_nothing_else() -> None:
    click = (6.0, 6.05, 0.0)
    assert find_intervals(WHOLE, levels((1.0, 1.1, 0.0), click)) == [(1.0, 1.1)]
    assert find_intervals(WHOLE, levels(click)) == [(6.0, 6.05)]


def test_frames_below_the_threshold_count_as_quieter() -> None:
    loud = np.zeros(200, np.float32)
    heard = np.zeros(200, np.float32)
    # 20 log10 of a tenth is -20 dB, of 0.04 -28 dB, of 0.03 -30.5 dB.
    heard[40:60], heard[60:80], heard[80:100] = 0.1, 0.04, 0.03
    assert find_intervals(WHOLE, loud, heard) == [(2.0, 4.0)]


def test_frames_above_the_threshold_count_as_they_are() -> None:
    loud = levels((2.0, 3.0, -20.0), (3.0, 4.0, -49.0), (4.0, 5.0, -55.0))
    heard = np.ones(200, np.float32)
    heard[60:] = 100.0
    assert find_intervals(WHOLE, loud, heard) == [(2.0, 4.0)]


@pytest.mark.parametrize("least", [0.0, 1e-6, 0.02])
def test_what_is_active_has_an_event_however_improbable_its_frames(least: float) -> None:
    heard = np.full(200, least, np.float32)
    assert find_intervals(WHOLE, levels((2.0, 3.0, -20.0)), heard) == [(2.0, 3.0)]


def test_each_interval_has_events_of_its_own() -> None:
    loud = levels((1.0, 1.5, -10.0), (6.0, 7.5, -60.0))
    assert find_intervals([(0.0, 2.0), (5.5, 7.0)], loud) == [(1.0, 1.5), (6.0, 7.0)]


def test_no_event_leaves_its_interval() -> None:
    assert find_intervals([(1.02, 2.03)], np.zeros(200, np.float32)) == [(1.02, 2.03)]
    assert find_intervals([(9.0, 9.99)], np.zeros(200, np.float32)) == [(9.0, 9.99)]


def test_a_silent_stem_is_as_long_as_it_is_active() -> None:
    assert find_intervals([(1.0, 3.5)], levels()) == [(1.0, 3.5)]


@pytest.mark.parametrize("num_frames", [0, 1])
def test_what_is_shorter_than_a_frame(num_frames: int) -> None:
    assert find_intervals([(0.0, 0.01)], np.zeros(num_frames, np.float32)) == [(0.0, 0.01)]


def test_nothing_active_has_no_events() -> None:
    assert find_intervals([], np.zeros(200, np.float32)) == []


def test_events_lie_apart_and_within_what_is_active(rng: np.random.Generator) -> None:
    for _ in range(100):
        loud = (40.0 * rng.standard_normal(200).cumsum() / 10.0).astype(np.float32)
        heard = rng.uniform(0.0, 1.0, 200).astype(np.float32) ** 4
        found = find_intervals([(0.5, 4.0), (4.5, 9.97)], loud, heard)
        edges = np.array(found).ravel()
        assert np.all(np.diff(edges) > 0.0)
        assert any(offset <= 4.0 for _, offset in found)
        assert any(onset >= 4.5 for onset, _ in found)
        assert edges[0] >= 0.5 and edges[-1] <= 9.97
        assert not any(onset < 4.5 and offset > 4.0 for onset, offset in found)
