"""Frames of a tagger, kept sparsely."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uss.detection.framewise import LOWEST_PROBABILITY, Framewise, FramewiseRecorder

NUM_CLASSES = 5


def recorded(
    frames: np.ndarray,
    clipwise: np.ndarray,
    *,
    rate: float,
    window: float = 4.0,
    segment: float = 2.0,
    hop: float = 1.5,
    batch: int = 2,
) -> Framewise:
    """Record (I, F, K) frames of windows, in batches."""
    recorder = FramewiseRecorder(rate, window, segment)
    for start in range(0, len(frames), batch):
        part = slice(start, start + batch)
        recorder.add(clipwise[part].astype(np.float32), torch.from_numpy(frames[part]))
    return recorder.finish(np.arange(len(frames)) * hop)


def ramp(num_segments: int, rate: float, window: float = 4.0, hop: float = 1.5) -> np.ndarray:
    """Windows whose class 0 is a hundredth of the time in the recording, in seconds."""
    num_frames = int(window * rate) + 1
    starts = np.arange(num_segments) * hop - 1.0
    frames = np.zeros((num_segments, num_frames, NUM_CLASSES), np.float32)
    frames[:, :, 0] = (starts[:, None] + np.arange(num_frames) / rate) / 100.0
    return frames


def only_of(*class_indexes: int) -> np.ndarray:
    """Weights of a group."""
    weights = np.zeros(NUM_CLASSES, np.float32)
    weights[list(class_indexes)] = 1.0
    return weights


def only(class_index: int, num_segments: int) -> np.ndarray:
    clipwise = np.zeros((num_segments, NUM_CLASSES))
    clipwise[:, class_index] = 0.5
    return clipwise


@pytest.mark.parametrize("rate", [3.125, 10.0, 20.0, 31.25, 100.0])
@pytest.mark.parametrize("batch", [1, 3])
def test_frames_lie_where_they_were_heard_at_any_rate(rate: float, batch: int) -> None:
    framewise = recorded(ramp(4, rate), only(0, 4), rate=rate, batch=batch)
    assert framewise.offsets_seconds.min() >= 0.0
    assert framewise.offsets_seconds.max() < 2.0
    assert len(framewise.offsets_seconds) <= 40
    times = np.arange(0.5, 6.0, 0.05)
    curve = framewise.curve(only_of(0), times)
    assert curve is not None
    # Three digits of float16.
    np.testing.assert_allclose(curve, times / 100.0, rtol=2e-3)


def test_fast_frames_are_averaged() -> None:
    frames = np.zeros((1, 401, NUM_CLASSES), np.float32)
    # The window begins a second before the segment, so this is 0.5 to 0.55 s of it.
    frames[0, 150:155, 1] = [0.0, 0.25, 0.5, 0.75, 1.0]
    framewise = recorded(frames, only(1, 1), rate=100.0)
    assert framewise.values.shape == (1, 40)
    assert framewise.values[0, 10] == 0.5
    assert framewise.offsets_seconds[10] == pytest.approx(0.52)
    assert np.count_nonzero(framewise.values) == 1


def test_only_what_a_segment_may_hold_is_kept() -> None:
    clipwise = np.zeros((3, NUM_CLASSES))
    clipwise[0, 2] = LOWEST_PROBABILITY
    clipwise[1, 2] = LOWEST_PROBABILITY - 1e-4
    clipwise[2, [1, 4]] = 0.9
    framewise = recorded(np.ones((3, 9, NUM_CLASSES), np.float32), clipwise, rate=2.0)
    pairs = list(zip(framewise.segments, framewise.class_indexes, strict=True))
    assert pairs == [(0, 2), (2, 1), (2, 4)]
    # 2 bytes for each of 4 frames, 4 for the segment, 2 for the class.
    assert framewise.num_bytes == 3 * (2 * 4 + 4 + 2)


def test_a_group_is_the_maximum_over_its_classes() -> None:
    frames = np.zeros((1, 2, NUM_CLASSES), np.float32)
    frames[0, 0, [0, 1]] = [0.25, 0.75]
    frames[0, 1, [0, 1]] = [0.5, 0.125]
    framewise = recorded(frames, np.ones((1, NUM_CLASSES)), rate=1.0, window=2.0)
    times = np.array([0.0, 0.5, 1.0, 1.9])
    assert framewise.curve(only_of(0, 1), times).tolist() == [0.75, 0.625, 0.5, 0.5]  # type: ignore[union-attr]
    assert framewise.curve(only_of(0), times).tolist() == [0.25, 0.375, 0.5, 0.5]  # type: ignore[union-attr]
    assert framewise.curve(only_of(3), times).tolist() == [0.0] * 4  # type: ignore[union-attr]


def test_classes_count_by_their_weights() -> None:
    frames = np.full((1, 2, NUM_CLASSES), 0.25, np.float32)
    framewise = recorded(frames, np.ones((1, NUM_CLASSES)), rate=1.0, window=2.0)
    weights = np.array([0.0, 2.0, 4.0, 0.0, 0.0], np.float32)
    assert framewise.curve(weights, np.zeros(1)).tolist() == [1.0]  # type: ignore[union-attr]


def test_where_segments_overlap_the_nearer_one_counts() -> None:
    frames = np.zeros((2, 40, NUM_CLASSES), np.float32)
    frames[0, :, 0], frames[1, :, 0] = 0.25, 0.75
    framewise = recorded(frames, only(0, 2), rate=20.0, window=2.0)
    curve = framewise.curve(only_of(0), np.array([1.6, 1.7, 1.8, 1.9]))
    assert curve is not None and curve.tolist() == [0.25, 0.25, 0.75, 0.75]


def test_classes_and_segments_can_be_left_out() -> None:
    framewise = recorded(np.ones((2, 4, NUM_CLASSES), np.float32), only(0, 2), rate=1.0, window=4.0)
    times = np.array([0.5, 3.0])
    assert framewise.without([0]).curve(only_of(0), times).tolist() == [0.0, 0.0]  # type: ignore[union-attr]
    assert framewise.without([1]).curve(only_of(0), times).tolist() == [1.0, 1.0]  # type: ignore[union-attr]
    silent = framewise.where(np.array([True, False]))
    assert silent.curve(only_of(0), times).tolist() == [1.0, 0.0]  # type: ignore[union-attr]


def test_without_frames_in_the_segment_nothing_is_known() -> None:
    # One frame, which lies before the segment.
    framewise = recorded(np.ones((2, 1, NUM_CLASSES), np.float32), only(0, 2), rate=1.0)
    assert framewise.curve(only_of(0), np.array([0.0, 1.0])) is None
    assert recorded(np.ones((0, 1, 5)), only(0, 0), rate=1.0).curve(only_of(0), np.zeros(1)) is None
