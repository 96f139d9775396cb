"""Anchors that are asked for by the names of their classes."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from ontology import Ontology
from uss.core.arrays import Float32
from uss.data.named_anchors import NamedRows, named_queries
from uss.shards import Anchor, ShardReader, ShardSettings, shard_path, write_shard

NAMES = ("Rain", "Dog", "Rain", "Siren")


class Lengths:
    """A text is its length."""

    space, size = "lengths", 1

    def __init__(self) -> None:
        self.read: list[str] = []

    def encode(self, texts: Sequence[str]) -> Float32:
        self.read += texts
        return np.array([[len(text)] for text in texts], np.float32)


@pytest.fixture
def reader(
    tmp_path: Path,
    ontology: Ontology,
    make_anchor: Callable[..., Anchor],
    shard_settings: ShardSettings,
) -> ShardReader:
    anchors = [make_anchor(ontology.find(name).class_index) for name in NAMES]
    write_shard(shard_path(tmp_path, 0, len(NAMES)), anchors, [], shard_settings)
    return ShardReader(tmp_path)


def test_every_anchor_is_asked_for_with_the_words_of_its_class(reader: ShardReader) -> None:
    encoder = Lengths()
    queries = named_queries(reader, encoder, "The sound of {lower}")
    # Names of present classes alone are read, once.
    assert sorted(encoder.read) == [f"The sound of {name}" for name in ("dog", "rain", "siren")]
    rows = NamedRows(reader.class_index, queries)
    expected = [[len(f"The sound of {name}")] for name in NAMES]
    assert rows.shape == (4, 1)
    assert rows[np.arange(4)].tolist() == expected
    assert rows[1].tolist() == expected[1]
    assert rows[np.array([[0, 3], [2, 1]])].shape == (2, 2, 1)
    (block,) = rows.blocks()
    assert block[0] == 0 and block[1].tolist() == expected
