"""Chunks that are joined before they are decoded."""

from typing import Any

import numpy as np
import pytest
import torch

from uss.audio.segments import Segmentation
from uss.separation.chunk_drawing import Drawn
from uss.separation.latent_join import LatentJoin
from uss.separation.model_runs import Segment

FRAME = 10
SEGMENTATION = Segmentation(270, 100, 70)
"""Four chunks of ten frames, of which neighbours share three."""


class Runs:
    """Takes a latent for the samples that it stands for, a frame's mean for ten of them."""

    class model:  # noqa: N801
        latent_samples = FRAME

    def __init__(self) -> None:
        self.decoded: list[Drawn] = []

    def decode(self, drawn: Drawn) -> Any:
        self.decoded.append(drawn)
        samples = np.repeat(drawn.latent.mean(axis=(1, 3)), FRAME, axis=1)
        return samples / np.broadcast_to(np.reshape(drawn.gains, (len(samples), -1)), samples.shape)


class Joined:
    """A join whose chunks are constant, and what has come of it."""

    def __init__(self, active: Any, segmentation: Segmentation = SEGMENTATION) -> None:
        self.runs = Runs()
        self.join = LatentJoin(segmentation, np.array(active, bool), self.runs)  # type: ignore[arg-type]
        self.got: dict[tuple[int, int], Any] = {}

    def draw(self, index: int, value: float, gain: float = 1.0, row: int = 0) -> None:
        encoded = (torch.zeros(1), torch.zeros(1), torch.full((1,), gain))
        segment = Segment(torch.zeros(1, 100), encoded=encoded)

        def take(samples: Any) -> None:
            assert (row, index) not in self.got
            self.got[row, index] = samples

        (taker,) = self.join.takers(index, segment, [row], [take])
        taker(np.full((1, 2, 10, 3), value, np.float32))

    @property
    def num_kept(self) -> int:
        return len(self.join._chunks)


def test_both_neighbours_decode_the_same_where_they_overlap() -> None:
    joined = Joined([[True] * 4])
    joined.draw(0, 1.0)
    assert joined.got == {}
    joined.draw(1, 4.0)
    assert list(joined.got) == [(0, 0)]
    joined.draw(2, 2.0)
    joined.draw(3, 3.0)
    assert list(joined.got) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    for index in range(3):
        np.testing.assert_allclose(
            joined.got[0, index][:, 70:], joined.got[0, index + 1][:, :30], rtol=1e-6
        )
    first = joined.got[0, 0][0]
    np.testing.assert_allclose(first[:70], 1.0)
    # Ramps over three frames, at the middles of a third each.
    np.testing.assert_allclose(first[70::10], [1.5, 2.5, 3.5], rtol=1e-6)
    assert joined.num_kept == 0


def test_levels_go_over_into_each_other_and_are_undone() -> None:
    """Chunks heard with other gains: their levels are faded in decibels."""
    joined = Joined([[True, True, False, False]])
    joined.draw(0, 1.0, gain=1.0)
    joined.draw(1, 1.0, gain=16.0)
    gains = joined.runs.decoded[0].gains[0]
    assert gains[0] == 1.0 and gains[60] == 1.0
    np.testing.assert_allclose(gains[75], 16.0 ** (0.5 / 3), rtol=0.2)
    assert np.all(np.diff(gains) >= 0.0)
    np.testing.assert_allclose(joined.runs.decoded[1].gains[0][-1], 16.0, rtol=1e-5)


def test_what_is_not_asked_for_is_no_neighbour() -> None:
    joined = Joined([[True, False, True, True]])
    joined.draw(0, 1.0)
    np.testing.assert_allclose(joined.got[0, 0], np.ones((1, 100)))
    joined.draw(2, 5.0)
    assert (0, 2) not in joined.got
    joined.draw(3, 5.0)
    np.testing.assert_allclose(joined.got[0, 2], np.full((1, 100), 5.0))
    assert joined.num_kept == 0


def test_any_order_gives_the_same_and_leaves_nothing() -> None:
    expected = Joined([[True] * 4])
    for index in range(4):
        expected.draw(index, float(index))
    for order in ([3, 2, 1, 0], [1, 0, 3, 2], [2, 0, 3, 1]):
        joined = Joined([[True] * 4])
        for index in order:
            joined.draw(index, float(index))
        assert joined.num_kept == 0
        for key, samples in expected.got.items():
            np.testing.assert_array_equal(joined.got[key], samples)


def test_stems_are_joined_each_for_itself() -> None:
    joined = Joined([[True] * 4, [True] * 4])
    for index in range(4):
        joined.draw(index, 1.0)
        joined.draw(index, 7.0, row=1)
    assert np.unique(joined.got[1, 2]).tolist() == [7.0]
    assert np.unique(joined.got[0, 2]).tolist() == [1.0]


def test_little_is_kept_of_a_long_recording() -> None:
    long = Segmentation(70_000, 100, 70)
    joined = Joined([[True] * long.num_segments], long)
    for index in range(200):
        joined.draw(index, 1.0)
        assert joined.num_kept <= 2


def test_without_overlap_chunks_stand_alone() -> None:
    joined = Joined([[True] * 3], Segmentation(270, 100, 100))
    joined.draw(0, 1.0)
    joined.draw(1, 2.0)
    assert [float(each.mean()) for each in joined.got.values()] == [1.0, 2.0]
    assert joined.num_kept == 0


def test_overlaps_of_parts_of_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap by 25 share no whole frames of 10"):
        Joined([[True]], Segmentation(100, 100, 75))
