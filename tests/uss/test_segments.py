import numpy as np
import pytest

from uss.segments import Segmentation, context_window

OVERLAPS = [0.0, 0.1, 0.25, 0.5]


@pytest.mark.parametrize("overlap", OVERLAPS)
@pytest.mark.parametrize("segment_samples", [8, 64, 100])
@pytest.mark.parametrize("num_samples", [1, 7, 8, 9, 63, 64, 65, 99, 128, 150, 1000, 1001])
def test_weights_of_all_segments_sum_to_one_everywhere(
    num_samples: int, segment_samples: int, overlap: float
) -> None:
    segmentation = Segmentation.of(num_samples, segment_samples, overlap)
    total = np.zeros(int(segmentation.starts[-1]) + segment_samples)
    for index, start in enumerate(segmentation.starts):
        weights = segmentation.weights(index)
        assert weights.dtype == np.float32
        assert ((weights >= 0.0) & (weights <= 1.0)).all()
        total[start : start + segment_samples] += weights
    np.testing.assert_allclose(total, 1.0, atol=1e-6)


def test_weights_sum_to_one_where_half_a_segment_is_rounded_up() -> None:
    segmentation = Segmentation.of(30, 7, 0.5)
    total = np.zeros(60)
    for index, start in enumerate(segmentation.starts):
        total[start : start + 7] += segmentation.weights(index)
    np.testing.assert_allclose(total[:30], 1.0, atol=1e-6)


def test_the_cross_fade_is_linear_and_absent_at_the_ends() -> None:
    segmentation = Segmentation.of(20, 8, 0.5)
    assert segmentation.starts.tolist() == [0, 4, 8, 12]
    up = [0.125, 0.375, 0.625, 0.875]
    np.testing.assert_allclose(segmentation.weights(0), [1, 1, 1, 1, *up[::-1]])
    np.testing.assert_allclose(segmentation.weights(1), [*up, *up[::-1]])
    np.testing.assert_allclose(segmentation.weights(3), [*up, 1, 1, 1, 1])


@pytest.mark.parametrize(
    ("num_samples", "overlap", "starts"),
    [
        (1, 0.0, [0]),
        (1, 0.5, [0]),
        (8, 0.5, [0]),
        (9, 0.0, [0, 8]),
        (9, 0.25, [0, 6]),
        (14, 0.25, [0, 6]),
        (15, 0.25, [0, 6, 12]),
        (24, 0.0, [0, 8, 16]),
    ],
)
def test_segments_cover_the_recording_and_no_more_than_needed(
    num_samples: int, overlap: float, starts: list[int]
) -> None:
    segmentation = Segmentation.of(num_samples, 8, overlap)
    assert segmentation.starts.tolist() == starts
    assert segmentation.num_segments == len(starts)
    assert starts[-1] < num_samples <= starts[-1] + 8


@pytest.mark.parametrize("overlap", [-0.1, 0.51, 1.0, float("nan")])
def test_an_overlap_out_of_range_is_named(overlap: float) -> None:
    with pytest.raises(ValueError, match=f"overlap {overlap} is out of range"):
        Segmentation.of(100, 10, overlap)


def test_cut_returns_the_samples_and_pads_the_last_segment_with_zeros() -> None:
    waveform = np.arange(1, 21, dtype=np.float32).reshape(2, 10)
    segmentation = Segmentation.of(10, 8, 0.25)
    np.testing.assert_array_equal(segmentation.cut(waveform, 0), waveform[:, :8])
    np.testing.assert_array_equal(
        segmentation.cut(waveform, 1), [[7, 8, 9, 10, 0, 0, 0, 0], [17, 18, 19, 20, 0, 0, 0, 0]]
    )
    np.testing.assert_array_equal(segmentation.cut(waveform[0], 1), [7, 8, 9, 10, 0, 0, 0, 0])


@pytest.mark.parametrize("num_samples", [1, 5])
def test_cut_pads_a_recording_shorter_than_a_segment(num_samples: int) -> None:
    waveform = np.ones((1, num_samples), np.float32)
    piece = Segmentation.of(num_samples, 8, 0.25).cut(waveform, 0)
    np.testing.assert_array_equal(piece, [[1.0] * num_samples + [0.0] * (8 - num_samples)])


@pytest.mark.parametrize(
    ("centre", "expected"),
    [
        (5, [3, 4, 5, 6]),
        (0, [0, 0, 0, 1]),
        (1, [0, 0, 1, 2]),
        (9, [7, 8, 9, 0]),
        (11, [9, 0, 0, 0]),
        (12, [0, 0, 0, 0]),
        (100, [0, 0, 0, 0]),
        (-2, [0, 0, 0, 0]),
        (-100, [0, 0, 0, 0]),
    ],
)
def test_context_window_is_centred_and_zero_beyond_the_edges(
    centre: int, expected: list[int]
) -> None:
    waveform = np.arange(10, dtype=np.float32)
    np.testing.assert_array_equal(context_window(waveform, centre, 4), expected)


def test_context_window_wider_than_the_recording() -> None:
    np.testing.assert_array_equal(
        context_window(np.array([1.0, 2.0], np.float32), 1, 8), [0, 0, 0, 1, 2, 0, 0, 0]
    )
