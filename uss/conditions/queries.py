"""Queries: what to separate, as condition vectors in a named space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from uss.core.errors import InputError
from uss.taggers import PROBABILITY_SPACE, TaggerNetwork

FloatArray = NDArray[np.float32]

TEXT_SPACE = "clap-512"
"""The condition space of separators that are asked in words (AudioSep)."""


class ConditionEncoder(Protocol):
    """Maps audio to conditions.

    Attributes:
        space: the name of the space its vectors lie in.
        size: H.
    """

    space: str
    size: int

    @property
    def network(self) -> nn.Module:
        """What encodes; its weights identify the vectors."""
        ...

    def __call__(self, waveform: Tensor) -> Tensor:
        """Encode (B, T) waveforms at 32 kHz as (B, H) conditions."""
        ...


class EmbeddingEncoder:
    """Conditions are a tagger's embeddings, the "latent embedding" of section 3.4.

    The space is named after the tagger, because embeddings of different networks do not mix.
    """

    def __init__(self, tagger: TaggerNetwork) -> None:
        self.network = tagger
        self.space = f"{tagger.name}-{tagger.embedding_size}"
        self.size = tagger.embedding_size

    def __call__(self, waveform: Tensor) -> Tensor:
        """Encode (B, T) waveforms at 32 kHz as (B, H) embeddings."""
        return self.network(waveform).embedding


@dataclass(frozen=True)
class ClassQueries:
    """One mean condition per class (eq. 9).

    Attributes:
        space: the named space of the vectors.
        class_indexes: the classes that have a query, ascending.
        vectors: (N, H) float32, in that order.
    """

    space: str
    class_indexes: tuple[int, ...]
    vectors: FloatArray

    def condition(
        self, class_indexes: Sequence[int], probabilities: FloatArray
    ) -> FloatArray | None:
        """Query a group of classes, such as those below an ontology node.

        The queries of the group's classes are averaged with their probabilities as weights, so
        that "Animal" asks for the dog where a dog barks. Where all probabilities are 0 the
        weights are equal.

        Args:
            class_indexes: the group.
            probabilities: (..., K), one row per segment.

        Returns:
            (..., H) float32; None if no class of the group has a query.
        """
        wanted = set(class_indexes)
        rows = [row for row, index in enumerate(self.class_indexes) if index in wanted]
        if not rows:
            return None
        weights = probabilities[..., [self.class_indexes[row] for row in rows]].astype(np.float64)
        total = weights.sum(axis=-1, keepdims=True)
        weights = np.where(total > 0.0, weights / np.maximum(total, 1e-30), 1.0 / len(rows))
        return (weights @ self.vectors[rows]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class AudioQuery:
    """A query by example: what sounds like given recordings.

    Attributes:
        name: what its stem is called.
        space: the named space of the vector.
        vector: (H,) float32, the mean condition of the examples' segments.
        probabilities: (K,) float32, the mean class probabilities of these segments.
        mid: there is none.
    """

    name: str
    space: str
    vector: FloatArray
    probabilities: FloatArray
    mid: None = None

    def similarity(self, probabilities: FloatArray) -> FloatArray:
        """Cosine similarity of (I, K) class probabilities to the query's: (I,) in [0, 1]."""
        norms = np.linalg.norm(probabilities, axis=1) * np.linalg.norm(self.probabilities)
        products = probabilities @ self.probabilities
        similar: FloatArray = np.divide(
            products, norms, out=np.zeros_like(products), where=norms > 0.0
        )
        return np.clip(similar, 0.0, 1.0)


def average_by_class(
    space: str, conditions: FloatArray, labels: Sequence[Sequence[int]]
) -> ClassQueries:
    """Average conditions over all anchors that carry a class's label (eq. 9).

    Args:
        space: the named space of the conditions.
        conditions: (N, H), one per anchor.
        labels: the class indexes of each anchor.

    Raises:
        ValueError: if no anchor has a label.
    """
    sums: dict[int, NDArray[np.float64]] = {}
    counts: dict[int, int] = {}
    for vector, classes in zip(conditions, labels, strict=True):
        for index in classes:
            sums[index] = sums.get(index, 0.0) + vector.astype(np.float64)
            counts[index] = counts.get(index, 0) + 1
    if not sums:
        raise InputError("no anchor has a label, so there are no class queries")
    indexes = tuple(sorted(sums))
    vectors = np.stack([sums[index] / counts[index] for index in indexes])
    return ClassQueries(space, indexes, vectors.astype(np.float32))


def fitting_queries(
    space: str, given: ClassQueries | None, own: ClassQueries | None
) -> ClassQueries | None:
    """Choose class queries that can steer a separator; None where eq. 10 takes their place.

    A separator of class probabilities is asked by eq. 10 unless queries are given.

    Raises:
        ValueError: if there are none in the separator's condition space, and it needs them.
    """
    if given is not None and given.space != space:
        raise InputError(
            f"the class queries are of {given.space!r}, the separator takes {space!r}; make them "
            "with the encoder of that space"
        )
    if given is not None:
        return given
    if space == PROBABILITY_SPACE:
        return None
    if own is not None and own.space == space:
        return own
    if space == TEXT_SPACE:
        raise InputError(
            f"the separator is steered by text embeddings ({space}), so text queries are needed, "
            "which this program does not make; give ones made elsewhere with --class-queries"
        )
    raise InputError(
        f"the model has no class queries in its condition space {space!r}; make them from clips "
        "with uss-mine-anchors and an --encoder of that space, and give them with --class-queries"
    )
