"""A separator in other processes, and copied."""

import copy
import multiprocessing
import pickle

import numpy as np
import pytest

from tests.uss.evaluation.conftest import RATE, make_separator, tone
from uss.separation.separator import Separator


def separate(separator: Separator) -> np.ndarray:
    waveform = tone(500.0) + tone(6_000.0)
    stem: np.ndarray = separator.separate(waveform, RATE, classes=["Dog"])["Dog"]
    return stem


@pytest.mark.parametrize("how", ["pickled", "copied"])
def test_a_copy_separates_the_same(how: str) -> None:
    separator = make_separator()
    expected = separate(separator)
    twin = pickle.loads(pickle.dumps(separator)) if how == "pickled" else copy.deepcopy(separator)
    assert twin is not separator and twin.model is not separator.model
    np.testing.assert_array_equal(separate(twin), expected)
    assert np.abs(expected).max() > 0.2


@pytest.mark.slow
def test_a_spawned_process_gets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As data loaders do that start their workers by spawn."""
    separator = Separator.from_pretrained("default", device="cpu", precision="fp32")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (name,) = pool.map(_tagger_of, [separator])
    assert name == separator.tagger.name


def _tagger_of(separator: Separator) -> str:
    return separator.tagger.name
