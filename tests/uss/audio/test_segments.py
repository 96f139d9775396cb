import numpy as np
import pytest

from uss.audio.segments import Segmentation

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


def test_beside_an_inactive_neighbour_a_hundredth_of_a_segment_fades() -> None:
    """Of 200 samples that share 50, two fade: at a quarter and three quarters of the amplitude."""
    segmentation = Segmentation.of(1_000, 200, 0.25)
    alone = segmentation.weights(2, previous_active=False, next_active=False)
    assert alone.dtype == np.float32
    np.testing.assert_allclose(alone, [0.25, 0.75] + [1.0] * 196 + [0.75, 0.25])
    both = segmentation.weights(2)
    first = segmentation.weights(2, previous_active=False)
    last = segmentation.weights(2, next_active=False)
    np.testing.assert_array_equal(first[:100], alone[:100])
    np.testing.assert_array_equal(first[100:], both[100:])
    np.testing.assert_array_equal(last[:100], both[:100])
    np.testing.assert_array_equal(last[100:], alone[100:])


def test_the_ends_of_a_recording_do_not_fade_whoever_is_active() -> None:
    segmentation = Segmentation.of(500, 200, 0.25)
    assert segmentation.num_segments == 3
    first = segmentation.weights(0, previous_active=False)
    last = segmentation.weights(2, next_active=False)
    np.testing.assert_array_equal(first, segmentation.weights(0))
    np.testing.assert_array_equal(last, segmentation.weights(2))
    assert first[0] == last[-1] == 1.0


def test_a_short_fade_is_no_longer_than_what_segments_share() -> None:
    """A hundredth of 400 samples would be four, they share two; and there is one at least."""
    np.testing.assert_allclose(
        Segmentation(2_000, 400, 398).weights(1, False, False)[:3], [0.25, 0.75, 1.0]
    )
    np.testing.assert_allclose(
        Segmentation.of(40, 8, 0.5).weights(1, False, False), [0.5, 1, 1, 1, 1, 1, 1, 0.5]
    )


def test_segments_that_share_nothing_do_not_fade() -> None:
    """As in the paper."""
    weights = Segmentation.of(100, 10, 0.0).weights(3, previous_active=False, next_active=False)
    assert weights.tolist() == [1.0] * 10


@pytest.mark.parametrize("active", [[0, 1, 1, 0, 1, 0], [1, 0, 0, 1, 1, 1], [1] * 6])
def test_runs_of_active_segments_sum_to_one_but_for_the_fades_at_their_ends(
    active: list[int],
) -> None:
    segmentation = Segmentation.of(950, 200, 0.25)
    assert segmentation.num_segments == len(active)
    total, expected = np.zeros(950), np.zeros(950)
    for index, start in enumerate(segmentation.starts):
        if active[index]:
            before = bool(active[max(0, index - 1)])
            after = bool(active[min(5, index + 1)])
            total[start : start + 200] += segmentation.weights(index, before, after)
            expected[start : start + 200] = 1.0
    edges = np.flatnonzero(np.diff(expected)) + 1
    for edge in edges:
        expected[edge - 2 : edge + 2] *= [0.75, 0.25, 0.25, 0.75]
    np.testing.assert_allclose(total, expected, atol=1e-6)
