"""Anchors that are asked for by the names of their classes, where no shard stores what is said.

A vector that holds a text word by word has as many numbers as a second of audio, and those of two
texts have no mean. So shards store none, and a class has one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from uss.conditions.class_queries import ClassQueries
from uss.conditions.class_words import class_words
from uss.conditions.text_encoders import TextEncoder
from uss.core.arrays import Float32, Indexes
from uss.shards import ShardReader

_BLOCK = 256


class NamedRows:
    """(N, H) of all anchors, each that of its class; ``uss.shards.Rows``.

    Args:
        class_index: (N,) of the anchors.
        queries: of their classes.
    """

    def __init__(self, class_index: Indexes, queries: ClassQueries) -> None:
        self._class_index = class_index
        self._known = np.array(queries.class_indexes)
        self._vectors = queries.vectors

    @property
    def shape(self) -> tuple[int, ...]:
        """N and H."""
        return len(self._class_index), self._vectors.shape[1]

    def __getitem__(self, rows: Any, /) -> Any:
        """Take the rows of one anchor, or of an array of them: (..., H)."""
        return self._vectors[np.searchsorted(self._known, self._class_index[rows])]

    def blocks(self) -> Iterator[tuple[int, Float32]]:
        """Take all rows in order; see ``Rows``."""
        for first in range(0, len(self._class_index), _BLOCK):
            yield first, self[np.arange(first, min(first + _BLOCK, len(self._class_index)))]


def named_queries(reader: ShardReader, encoder: TextEncoder, template: str) -> ClassQueries:
    """Read the names of the classes that anchors are of.

    Args:
        reader: the anchors.
        encoder: reads.
        template: what is said of a class, see ``class_words``.

    Raises:
        ValueError: if the template names no class.
    """
    settings = reader.settings
    words = class_words(encoder, settings.ontology, template)
    present = tuple(np.unique(reader.class_index).tolist())
    vectors = words.of_rows([words.class_indexes.index(index) for index in present])
    return ClassQueries(encoder.space, present, vectors, own=settings.own_classes)
