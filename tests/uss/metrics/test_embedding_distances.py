"""FAD and KAD against programs of their own, written from the definitions alone."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.linalg

from uss.metrics.embedding_distances import (
    embedding_error,
    frechet_distance,
    kernel_distance,
    median_distance,
)

Rng = np.random.Generator


@pytest.fixture
def rng() -> Rng:
    return np.random.default_rng(0)


def correlated(rng: Rng, num: int, size: int, shift: float = 0.0) -> np.ndarray:
    """(num, size) float32 embeddings, not negative, as a tagger's last layer has them."""
    mixing = np.random.default_rng(5).standard_normal((size, size)) / math.sqrt(size)
    return np.maximum(rng.standard_normal((num, size)) @ mixing + shift, 0.0).astype(np.float32)


def fad_by_square_root(one: np.ndarray, other: np.ndarray) -> float:
    """As fadtk and frechet_audio_distance: numpy's covariances, scipy's root of their product."""
    means = one.mean(axis=0) - other.mean(axis=0)
    covariances = [np.cov(each.astype(np.float64), rowvar=False) for each in (one, other)]
    root = scipy.linalg.sqrtm((covariances[0] @ covariances[1]).astype(complex))
    traces = np.trace(covariances[0]) + np.trace(covariances[1]) - 2.0 * np.trace(root.real)
    return float(means @ means + traces)


def kad_by_loops(one: Any, other: Any) -> float:
    """As kadtk: 100 times the unbiased MMD², the bandwidth the lower median of the first set."""

    def distance(x: Any, y: Any) -> float:
        return math.dist(x.tolist(), y.tolist())

    num, many = len(one), len(other)
    ordered = sorted(distance(one[i], one[j]) for i in range(num) for j in range(i))
    width = ordered[(len(ordered) - 1) // 2]

    def kernel(x: Any, y: Any) -> float:
        return math.exp(-(distance(x, y) ** 2) / (2.0 * width**2 + 1e-8))

    within = sum(kernel(one[i], one[j]) for i in range(num) for j in range(num) if i != j)
    beside = sum(kernel(other[i], other[j]) for i in range(many) for j in range(many) if i != j)
    across = sum(kernel(x, y) for x in one for y in other)
    mmd = within / (num * (num - 1)) + beside / (many * (many - 1)) - 2 * across / (num * many)
    return 100.0 * mmd


class TestFrechetDistance:
    def test_of_known_gaussians_it_is_the_closed_form(self, rng: Rng) -> None:
        """In one dimension (m - n)² + (s - t)²; samples are moved to have exactly these moments."""
        drawn = rng.standard_normal((2, 200, 1))
        unit = (drawn - drawn.mean(axis=1, keepdims=True)) / drawn.std(axis=1, ddof=1)[:, None]
        found = frechet_distance(1.0 + 2.0 * unit[0], 4.0 + 0.5 * unit[1])
        assert found == pytest.approx(3.0**2 + 1.5**2, abs=1e-9)

    @pytest.mark.parametrize(("num", "many"), [(120, 90), (12, 90), (12, 9)])
    def test_it_is_that_of_the_published_programs(self, rng: Rng, num: int, many: int) -> None:
        """Also of fewer embeddings than their 24 dimensions, where covariances are singular."""
        one, other = correlated(rng, num, 24), correlated(rng, many, 24, shift=0.3)
        assert frechet_distance(one, other) == pytest.approx(
            fad_by_square_root(one, other), abs=1e-3
        )

    def test_of_a_set_with_itself_it_is_zero(self, rng: Rng) -> None:
        one = correlated(rng, 40, 64)
        assert frechet_distance(one, one) == pytest.approx(0.0, abs=1e-9)

    def test_the_order_does_not_matter(self, rng: Rng) -> None:
        one, other = correlated(rng, 30, 8), correlated(rng, 50, 8, shift=0.5)
        assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one))

    def test_a_single_embedding_has_no_distribution(self, rng: Rng) -> None:
        assert math.isnan(frechet_distance(correlated(rng, 1, 4), correlated(rng, 9, 4)))

    def test_other_dimensions_are_refused(self, rng: Rng) -> None:
        with pytest.raises(ValueError, match=r"shapes \(5, 4\) and \(5, 3\)"):
            frechet_distance(correlated(rng, 5, 4), correlated(rng, 5, 3))


class TestKernelDistance:
    @pytest.mark.parametrize(("num", "many"), [(15, 11), (16, 8)])
    def test_it_is_that_of_kadtk(self, rng: Rng, num: int, many: int) -> None:
        one, other = correlated(rng, num, 12), correlated(rng, many, 12, shift=0.3)
        assert kernel_distance(one, other) == pytest.approx(kad_by_loops(one, other), abs=1e-3)

    def test_it_is_unbiased(self, rng: Rng) -> None:
        """Small sets of one distribution are 0 apart in the mean, where FAD is far from it."""
        pairs = [(correlated(rng, 10, 6), correlated(rng, 10, 6)) for _ in range(400)]
        distances = [kernel_distance(*pair, bandwidth=2.0) for pair in pairs]
        error = np.std(distances) / math.sqrt(len(distances))
        assert abs(np.mean(distances)) < 3.0 * error
        assert min(distances) < 0.0
        assert min(frechet_distance(*pair) for pair in pairs) > 0.1

    def test_sums_do_not_depend_on_blocks(self, rng: Rng, monkeypatch: pytest.MonkeyPatch) -> None:
        one, other = correlated(rng, 30, 5), correlated(rng, 20, 5, shift=0.2)
        whole = kernel_distance(one, other)
        monkeypatch.setattr("uss.metrics.embedding_distances._BLOCK_VALUES", 50)
        assert kernel_distance(one, other) == pytest.approx(whole, abs=1e-9)

    def test_the_median_is_the_lower_one(self) -> None:
        """Distances 1, 2, 3, 4, 6, 7 of points on a line: of 3 and 4 torch takes 3."""
        assert median_distance(np.array([[0.0], [1.0], [3.0], [7.0]])) == 3.0

    def test_embeddings_that_are_all_alike_have_one(self) -> None:
        alike = np.ones((4, 3), np.float32)
        assert kernel_distance(alike, alike) == pytest.approx(0.0, abs=1e-9)
        assert kernel_distance(alike, 2.0 * alike) == pytest.approx(200.0)

    def test_a_single_embedding_has_no_pairs(self, rng: Rng) -> None:
        assert math.isnan(kernel_distance(correlated(rng, 9, 4), correlated(rng, 1, 4)))


class TestEmbeddingError:
    def test_by_hand(self) -> None:
        reference = np.array([[3.0, 0.0], [0.0, 4.0]])
        other = np.array([[3.0, 0.0], [3.0, 4.0]])
        assert embedding_error(reference, other) == pytest.approx(3.0 / 5.0)
        assert embedding_error(reference, reference) == 0.0

    def test_of_unit_length_it_is_a_chord(self) -> None:
        one, other = np.array([[1.0, 0.0]]), np.array([[0.6, 0.8]])
        assert embedding_error(one, other) == pytest.approx(math.sqrt(2.0 - 2.0 * 0.6))

    def test_a_zero_reference_is_undefined(self) -> None:
        assert math.isnan(embedding_error(np.zeros((1, 3)), np.ones((1, 3))))

    def test_other_windows_are_refused(self) -> None:
        with pytest.raises(ValueError, match="give pairs of windows"):
            embedding_error(np.ones((1, 3)), np.ones((2, 3)))
