import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from uss.mining.anchors import AnchorSpan, find_anchors, random_spans, resample_frames

HOP = 320
SEGMENT = 64_000
CLIP = 320_000


def find(probability: NDArray[np.floating], count: int = 1, **changes: int) -> list[AnchorSpan]:
    sizes = {"hop_length": HOP, "clip_samples": CLIP, "segment_samples": SEGMENT} | changes
    return find_anchors(probability, count=count, **sizes)


def bump(centre: int, half_width: int, num_frames: int = 1000) -> NDArray[np.float64]:
    frames = np.arange(num_frames)
    return (np.abs(frames - centre) <= half_width).astype(np.float64)


def test_spans_equal_the_published_ones(shared: Path) -> None:
    parity = np.load(shared / "parity" / "anchors.npz")
    for row, probability in enumerate(parity["framewise"]):
        (span,) = find(probability)
        assert span.start_samples == parity["begin_sample"][row]
        assert span.end_samples == parity["end_sample"][row]


def test_score_is_the_mean_over_the_window() -> None:
    (span,) = find(bump(500, 50))
    assert span.score == pytest.approx(101 / 201)
    # The 201 frames around any of 450 to 550 hold the bump; the first of them wins.
    assert span[:2] == ((450 - 100) * HOP, (450 + 100) * HOP)


@pytest.mark.parametrize(("peak", "start"), [(0, 0), (40, 0), (999, CLIP - SEGMENT)])
def test_a_peak_near_an_edge_gives_a_segment_inside_the_clip(peak: int, start: int) -> None:
    (span,) = find(bump(peak, 20))
    assert span[:2] == (start, start + SEGMENT)


def test_equal_probabilities_give_the_first_segment() -> None:
    (span,) = find(np.zeros(1000))
    assert span == AnchorSpan(0, SEGMENT, 0.0)


def test_several_spans_come_best_first_and_do_not_overlap() -> None:
    spans = find(0.5 * bump(200, 100) + 0.9 * bump(700, 100), count=2)
    assert [span[:2] for span in spans] == [
        ((700 - 100) * HOP, (700 + 100) * HOP),
        ((200 - 100) * HOP, (200 + 100) * HOP),
    ]
    assert spans[0].score > spans[1].score


@pytest.mark.parametrize("segment_samples", [SEGMENT, 16_000, 48_000])
@pytest.mark.parametrize("seed", range(5))
def test_many_spans_never_overlap(segment_samples: int, seed: int) -> None:
    probability = np.random.default_rng(seed).random(1000)
    spans = sorted(find(probability, count=30, segment_samples=segment_samples))
    assert len(spans) > 1
    for before, after in itertools.pairwise(spans):
        assert before.end_samples <= after.start_samples
    assert spans[0].start_samples >= 0
    assert spans[-1].end_samples <= CLIP


def test_spans_do_not_overlap_where_a_segment_is_an_odd_number_of_frames() -> None:
    probability = np.random.default_rng(0).random(1000)
    spans = sorted(find(probability, count=30, segment_samples=17_600))
    for before, after in itertools.pairwise(spans):
        assert before.end_samples <= after.start_samples


def test_a_clip_of_two_and_a_half_segments_gives_at_most_two() -> None:
    spans = find(np.linspace(0.0, 1.0, 500), count=5, clip_samples=160_000)
    assert 1 <= len(spans) <= 2


@pytest.mark.parametrize("clip_samples", [1, 320, 63_999, 64_000])
def test_a_clip_shorter_than_the_segment_gives_its_whole_span(clip_samples: int) -> None:
    probability = np.array([0.25, 0.75])
    assert find(probability, count=3, clip_samples=clip_samples) == [
        AnchorSpan(0, clip_samples, 0.5)
    ]


def test_a_clip_one_sample_longer_than_the_segment() -> None:
    (span,) = find(np.linspace(0.0, 1.0, 200), clip_samples=SEGMENT + 1)
    assert span.end_samples - span.start_samples == SEGMENT
    assert 0 <= span.start_samples <= 1


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(0,\)"):
        find(np.zeros(0))
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        find(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="count must be at least 1, not 0"):
        find(np.zeros(10), count=0)


def test_resampling_a_line_gives_the_line() -> None:
    slow = np.arange(32) / 3.125
    fast = resample_frames(slow, 3.125, 100.0, 1000)
    assert fast.shape == (1000,)
    last = 31 / 3.125
    np.testing.assert_allclose(fast, np.minimum(np.arange(1000) / 100.0, last), atol=1e-12)


def test_resampling_interpolates_between_two_frames() -> None:
    np.testing.assert_allclose(
        resample_frames(np.array([0.0, 1.0]), 1.0, 4.0, 6), [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    )


def test_resampling_one_frame_holds_it() -> None:
    np.testing.assert_array_equal(resample_frames(np.array([0.3]), 3.125, 100.0, 4), [0.3] * 4)


def assert_uniform(counts: NDArray[np.integer], limit: float) -> None:
    expected = counts.sum() / len(counts)
    assert (np.square(counts - expected) / expected).sum() < limit


def test_random_spans_come_from_the_whole_clip(rng: np.random.Generator) -> None:
    starts = [random_spans(rng, CLIP, SEGMENT, 1)[0][0] for _ in range(4000)]
    assert min(starts) >= 0
    assert max(starts) <= CLIP - SEGMENT
    counts, _ = np.histogram(starts, bins=8, range=(0, CLIP - SEGMENT + 1))
    # Chi-square with 7 degrees of freedom exceeds 24.3 once in a thousand.
    assert_uniform(counts, 24.3)


def test_random_placements_are_equally_probable(rng: np.random.Generator) -> None:
    placements = [tuple(random_spans(rng, 7, 2, 2)) for _ in range(6000)]
    possible = [((a, a + 2), (b, b + 2)) for a in range(6) for b in range(6) if abs(a - b) >= 2]
    assert len(possible) == 20
    # Chi-square with 19 degrees of freedom exceeds 43.8 once in a thousand.
    assert set(placements) == set(possible)
    assert_uniform(np.array([placements.count(placement) for placement in possible]), 43.8)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_random_spans_do_not_overlap(rng: np.random.Generator, count: int) -> None:
    for clip_samples in (CLIP, CLIP - 1, CLIP + 12_345):
        for _ in range(50):
            spans = random_spans(rng, clip_samples, SEGMENT, count)
            assert len(spans) == min(count, clip_samples // SEGMENT)
            assert all(end - start == SEGMENT for start, end in spans)
            spans.sort()
            assert spans[0][0] >= 0
            assert spans[-1][1] <= clip_samples
            for before, after in itertools.pairwise(spans):
                assert before[1] <= after[0]


def test_as_many_random_spans_as_just_fit(rng: np.random.Generator) -> None:
    orders = {tuple(random_spans(rng, 6, 2, 3)) for _ in range(200)}
    assert orders == set(itertools.permutations([(0, 2), (2, 4), (4, 6)]))


@pytest.mark.parametrize(
    ("clip_samples", "num_spans"), [(1, 1), (99, 1), (100, 1), (199, 1), (200, 2), (299, 2)]
)
def test_a_short_clip_gives_fewer_random_spans(
    rng: np.random.Generator, clip_samples: int, num_spans: int
) -> None:
    spans = random_spans(rng, clip_samples, 100, 3)
    assert len(spans) == num_spans
    if clip_samples <= 100:
        assert spans == [(0, clip_samples)]


def test_no_random_spans_cannot_be_asked_for(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="count must be at least 1, not 0"):
        random_spans(rng, 10, 2, 0)
