"""The cosine, by hand."""

import numpy as np
import pytest

from uss.metrics.alike import cosine


def test_by_hand() -> None:
    one = np.array([3.0, 4.0, 0.0], np.float32)
    assert cosine(one, 2.0 * one) == pytest.approx(1.0)
    assert cosine(one, np.array([4.0, 3.0, 0.0], np.float32)) == pytest.approx(24.0 / 25.0)
    assert cosine(one, np.array([0.0, 0.0, 5.0], np.float32)) == 0.0


def test_nothing_is_like_nothing() -> None:
    assert cosine(np.zeros(3, np.float32), np.ones(3, np.float32)) == 0.0
