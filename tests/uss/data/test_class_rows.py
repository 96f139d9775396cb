import numpy as np
import pytest

from uss.core.errors import InputError
from uss.data.class_rows import ClassRows, purity_weights

CLASSES = np.array([5, 2, 5, 2, 5])


def test_every_class_has_its_rows() -> None:
    rows = ClassRows(CLASSES)
    assert rows.class_indexes == [2, 5] and len(rows) == 2
    assert [rows[0].tolist(), rows[1].tolist()] == [[1, 3], [0, 2, 4]]
    assert len(ClassRows(np.zeros(0, int))) == 0


def test_without_weights_all_are_drawn_alike(rng: np.random.Generator) -> None:
    rows = ClassRows(CLASSES)
    counts = np.bincount([rows.draw(1, rng) for _ in range(3000)], minlength=5)
    assert counts[[1, 3]].sum() == 0
    np.testing.assert_allclose(counts[[0, 2, 4]] / 3000, 1 / 3, atol=0.04)


def test_weights_count_within_a_class(rng: np.random.Generator) -> None:
    rows = ClassRows(CLASSES, np.array([1.0, 0.0, 3.0, 0.0, 0.0], np.float32))
    counts = np.bincount([rows.draw(1, rng) for _ in range(3000)], minlength=5)
    np.testing.assert_allclose(counts[[0, 2, 4]] / 3000, [0.25, 0.75, 0.0], atol=0.04)
    # In a class of zeros all are drawn alike.
    counts = np.bincount([rows.draw(0, rng) for _ in range(3000)], minlength=5)
    np.testing.assert_allclose(counts[[1, 3]] / 3000, 0.5, atol=0.04)


def test_weights_are_a_power_of_the_purity() -> None:
    purity = np.array([0.5, 1.0, 0.0], np.float32)
    weights = purity_weights(purity, 2.0)
    assert weights is not None and weights.tolist() == [0.25, 1.0, 0.0]
    assert purity_weights(purity, 0.0) is None
    with pytest.raises(InputError, match=r"purity_weight -1.*choose 0 or more"):
        purity_weights(purity, -1.0)
