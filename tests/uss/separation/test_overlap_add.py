"""Estimates that come in any order become stems."""

import numpy as np
import pytest

from uss.audio.segments import Segmentation
from uss.core.arrays import Bools
from uss.separation.consistency import Combination, Family
from uss.separation.overlap_add import OverlapAdd

SEGMENTS = Segmentation(10, 4, 2)  # four segments, each shares half with the next
ONES = np.ones((1, 4), np.float32)


def joining(active: Bools, **combination: object) -> OverlapAdd:
    sources = tuple(range(len(active)))
    return OverlapAdd(SEGMENTS, active, Combination(sources, **combination))  # type: ignore[arg-type]


def everywhere(num_queries: int = 1) -> Bools:
    return np.ones((num_queries, SEGMENTS.num_segments), bool)


def test_a_segment_is_unfinished_until_all_its_estimates_are_there() -> None:
    join = joining(everywhere(2))
    assert join.first_unfinished is None
    first, second = join.open(0, ONES, [0, 1])
    (late,) = join.open(1, ONES, [1])
    assert join.first_unfinished == 0
    second(ONES)
    assert join.first_unfinished == 0
    assert join.tracks[1].cut(0, 4) is None
    first(ONES)
    assert join.first_unfinished == 1
    late(ONES)
    assert join.first_unfinished is None


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [0, 2, 1, 3]])
def test_what_is_active_throughout_adds_up_to_itself(order: list[int]) -> None:
    """Positions of a track never decrease, so only neighbours may change places here."""
    join = joining(everywhere())
    takers = {index: join.open(index, ONES, [0])[0] for index in range(4)}
    for index in sorted(order):
        takers[index](0.5 * ONES)
    np.testing.assert_allclose(join.tracks[0].cut(0, 10), np.full((1, 10), 0.5), atol=1e-6)


def test_a_stem_fades_shortly_where_its_neighbour_is_not_active() -> None:
    active = np.array([[True, False, True, True]])
    join = joining(active)
    (take,) = join.open(0, ONES, [0])
    take(ONES)
    # A hundredth of four samples is one, so the last one fades, to half.
    np.testing.assert_allclose(join.tracks[0].cut(0, 4), [[1.0, 1.0, 1.0, 0.5]])


def test_members_of_a_family_fade_where_the_family_does() -> None:
    """Else they would not add up there."""
    active = np.array([[True, False, True, True], [False, True, True, True]])
    join = joining(active, families=[Family(None, (0, 1))])
    mixture = np.random.default_rng(0).standard_normal((1, 4)).astype(np.float32)
    (take,) = join.open(0, mixture, [0])
    take(0.3 * mixture)
    faded = mixture * SEGMENTS.weights(0, previous_active=True, next_active=True)
    np.testing.assert_allclose(join.tracks[0].cut(0, 4), faded, atol=1e-5)


def test_what_is_forgotten_is_gone() -> None:
    join = joining(everywhere())
    for index in range(4):
        join.open(index, ONES, [0])[0](ONES)
    join.forget(6)
    assert join.tracks[0].cut(0, 2) is None
    np.testing.assert_allclose(join.tracks[0].cut(6, 10), np.ones((1, 4)), atol=1e-6)
