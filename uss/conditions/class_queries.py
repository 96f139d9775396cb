"""Class queries: one mean condition per class (eq. 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from ontology import OwnClass
from uss.core.arrays import Float32, Float64
from uss.core.errors import InputError
from uss.taggers import NUM_CLASSES, PROBABILITY_SPACE

TEXT_SPACE = "clap-512"
"""The condition space of separators that are asked in words (AudioSep)."""
FLAN_T5_SPACE = "flan-t5-large-50"
"""That of separators that read a text token by token (FlowSep)."""
WORDS_SPACE = "clap-words-59725"
"""That of separators that read CLAP's states of a text word by word (the bi-modal U-Net)."""
TEXT_SPACES: Mapping[str, str] = {
    TEXT_SPACE: "clap-music-speech-audioset",
    "clip-512": "clip-vit-base-patch32",
    "bert-mini-256": "bert-mini",
    "lass-net-256": "lass-net",
    FLAN_T5_SPACE: "flan-t5-large",
    WORDS_SPACE: "clap-music-audioset",
}
"""Spaces of text encoders, and the published file of one in each."""
SEQUENCE_SPACES = frozenset({FLAN_T5_SPACE, WORDS_SPACE})
"""Those whose vectors hold a text's tokens in their order, so that a mean of two says nothing."""


@dataclass(frozen=True)
class ClassQueries:
    """One mean condition per class (eq. 9).

    Attributes:
        space: the named space of the vectors.
        class_indexes: the classes that have a query, ascending.
        vectors: (N, H) float32, in that order.
        own: classes that AudioSet does not know, from index 527 on.
    """

    space: str
    class_indexes: tuple[int, ...]
    vectors: Float32
    own: tuple[OwnClass, ...] = ()

    @property
    def identity(self) -> object:
        """What tells these queries from others, in what ``request_hash`` takes."""
        return self

    def content(self) -> bytes:
        """Give what a hash of these queries is taken of."""
        return self.vectors.tobytes()

    def of_rows(self, rows: Sequence[int]) -> Float32:
        """Take the vectors of some classes, by their places in ``class_indexes``."""
        return self.vectors[list(rows)]

    def own_vectors(self) -> dict[str, Float32]:
        """Map the own classes that have a query, by their mids, to its (H,) vector."""
        return {
            each.mid: self.of_rows([self.class_indexes.index(index)])[0]
            for index, each in enumerate(self.own, start=NUM_CLASSES)
            if index in self.class_indexes
        }

    def described(self) -> dict[str, Any]:
        """Give all but the vectors, in what JSON holds."""
        own = {"own": [astuple(each) for each in self.own]} if self.own else {}
        return {"space": self.space, "class_indexes": list(self.class_indexes), **own}

    def condition(self, class_indexes: Sequence[int], probabilities: Float32) -> Float32 | None:
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
        return (weights @ self.of_rows(rows)).astype(np.float32)


CAPTION_SUFFIX = "-text"
"""Of a space's name in shards, where they hold texts in it beside audio."""


def caption_space(space: str, hears: bool) -> str:
    """Name what shards hold of captions: the space, told apart where audio lies there too."""
    return space + CAPTION_SUFFIX if hears else space


def average_by_class(
    space: str, conditions: Float32, labels: Sequence[Sequence[int]]
) -> ClassQueries:
    """Average conditions over all anchors that carry a class's label (eq. 9).

    Args:
        space: the named space of the conditions.
        conditions: (N, H), one per anchor.
        labels: the class indexes of each anchor.

    Raises:
        ValueError: if no anchor has a label.
    """
    sums: dict[int, Float64] = {}
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
    if space in TEXT_SPACES:
        raise InputError(
            f"the separator is steered by text embeddings ({space}), so text queries are needed, "
            f"and its file holds no text encoder; name one with --text-encoder, such as "
            f"{TEXT_SPACES[space]}, or class queries with --class-queries"
            + ("" if space == TEXT_SPACE else "; it cannot be asked with recordings (--query)")
        )
    raise InputError(
        f"the model has no class queries in its condition space {space!r}; make them from clips "
        "with uss-mine-anchors and an --encoder of that space, and give them with --class-queries"
    )
