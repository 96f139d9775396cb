"""Queries: what can be separated, whatever kind it is of."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ontology import Node, Ontology
from uss.conditions.conditioning import Conditioning
from uss.core.arrays import Float32
from uss.core.errors import InputError

logger = logging.getLogger(__name__)


class Query(ABC):
    """What can be separated, and must not be, if it is unwanted.

    Attributes:
        name: what its stem is called.
        mid: its AudioSet id; None if it is no node of the ontology.
        mids: of the nodes it stands for, if it stands for several; else empty.
        class_indexes: the classes it stands for, which thresholds and Algorithm 4 apply to; empty
            if it stands for none, and is then looked for wherever there is sound.
    """

    name: str
    mid: str | None
    mids: tuple[str, ...] = ()
    class_indexes: tuple[int, ...] = ()

    @property
    def key(self) -> object:
        """Equal for queries that ask for the same."""
        return self.mid or self

    @abstractmethod
    def heard_in(self, heard: Float32) -> Float32 | None:
        """How probable it is, (I,), in segments of (I, K) class probabilities; None: unknown."""

    @abstractmethod
    def check(self, conditioning: Conditioning) -> None:
        """See whether a separator can be asked for it.

        Raises:
            ValueError: if not.
        """

    @abstractmethod
    def conditions(self, heard: Float32, conditioning: Conditioning) -> Float32:
        """Make what the separator is asked with.

        Args:
            heard: (N, K) probabilities of the segments, as the separator's own tagger hears them.
            conditioning: of the separator.

        Returns:
            (N, H).
        """


class _ClassQuery(Query):
    """What stands for classes: they say where it is, and what the separator is asked with."""

    def heard_in(self, heard: Float32) -> Float32:
        """Q(i, j): the maximum over its classes (Algorithm 4)."""
        highest: Float32 = heard[:, self.class_indexes].max(axis=1, initial=0.0)
        return highest

    def check(self, conditioning: Conditioning) -> None:
        """See whether there is a query for one of its classes; see ``Query``."""
        if not conditioning.separable[list(self.class_indexes)].any():
            raise InputError(
                f"the model has no query for {self.name!r}, nor for anything below it; "
                "its training clips held none; choose another class or model"
            )

    def conditions(self, heard: Float32, conditioning: Conditioning) -> Float32:
        """Ask for its classes, see ``Conditioning``."""
        return conditioning.class_conditions(self.class_indexes, heard)


@dataclass(frozen=True)
class NodeQuery(_ClassQuery):
    """A node of the ontology: all classes at or below it.

    Attributes:
        name, mid, class_indexes: see ``Query``.
    """

    name: str
    mid: str
    class_indexes: tuple[int, ...]

    @classmethod
    def of(cls, node: Node, ontology: Ontology, name: str | None = None) -> NodeQuery:
        """Ask for a node, by its own name if no other is given."""
        return cls(name or node.name, node.mid, ontology.class_indexes(node))


@dataclass(frozen=True)
class UnionQuery(_ClassQuery):
    """Several nodes as one sound: all classes at or below any of them.

    Attributes:
        name, mids, class_indexes: see ``Query``.
    """

    name: str
    mids: tuple[str, ...]
    class_indexes: tuple[int, ...]
    mid: None = None

    @classmethod
    def of(
        cls,
        name: str,
        nodes: Sequence[Node],
        ontology: Ontology,
        without: Sequence[Node] = (),
    ) -> UnionQuery:
        """Ask for nodes, except for what lies at or below others."""
        indexes = {index for node in nodes for index in ontology.class_indexes(node)}
        indexes -= {index for node in without for index in ontology.class_indexes(node)}
        return cls(name, tuple(node.mid for node in nodes), tuple(sorted(indexes)))

    @property
    def key(self) -> object:
        """The same classes are the same, whatever they are called."""
        return self.class_indexes


@dataclass(frozen=True, eq=False)
class AudioQuery(Query):
    """A query by example: what sounds like given recordings.

    Attributes:
        name: see ``Query``.
        space: the named space of the vector.
        vector: (H,) float32, the mean condition of the examples' segments.
        probabilities: (K,) float32, the mean class probabilities of these segments.
    """

    name: str
    space: str
    vector: Float32
    probabilities: Float32
    mid: None = None

    def heard_in(self, heard: Float32) -> Float32:
        """How alike segments and examples are: the cosine of their probabilities, in [0, 1]."""
        norms = np.linalg.norm(heard, axis=1) * np.linalg.norm(self.probabilities)
        products = heard @ self.probabilities
        similar: Float32 = np.divide(
            products, norms, out=np.zeros_like(products), where=norms > 0.0
        )
        return np.clip(similar, 0.0, 1.0)

    def check(self, conditioning: Conditioning) -> None:
        """See whether its vector lies in the separator's space; see ``Query``."""
        if self.space != conditioning.space:
            raise InputError(
                f"the query {self.name!r} is of {self.space!r}, the separator takes "
                f"{conditioning.space!r}; make the query with this separator"
            )

    def conditions(self, heard: Float32, conditioning: Conditioning) -> Float32:
        """Its own vector, whatever is heard."""
        return np.repeat(self.vector[None], len(heard), axis=0)


@dataclass(frozen=True)
class OwnClassQuery(Query):
    """A class that AudioSet does not know, and so no tagger tells where it is.

    Attributes:
        name, mid: see ``Query``.
    """

    name: str
    mid: str

    def heard_in(self, heard: Float32) -> Float32:
        """1 everywhere: the mask alone decides."""
        return np.ones(len(heard), np.float32)

    def check(self, conditioning: Conditioning) -> None:
        """See whether the model has a query for it; see ``Query``."""
        if self.mid not in conditioning.own:
            raise InputError(
                f"the model has no query for {self.name!r}; its training clips held none; mine "
                "clips of it, and train with them"
            )

    def conditions(self, heard: Float32, conditioning: Conditioning) -> Float32:
        """Its query, whatever is heard."""
        return np.repeat(conditioning.own[self.mid][None], len(heard), axis=0)


def named_queries(named: Any, ontology: Ontology) -> list[Query]:
    """Look up what is asked for by name; what is a query already stays as it is.

    What is found by an alias is called by it, so that people find the stem under the word they
    typed.

    Args:
        named: AudioSet names, mids, class indexes, aliases and queries. A single name stands for a
            list of one, not of its letters.
        ontology: knows the names.

    Raises:
        ValueError: if there is no node of a name.
    """
    listed = [named] if isinstance(named, (str, int, Query)) else named
    return [each if isinstance(each, Query) else _named_query(each, ontology) for each in listed]


def _named_query(name: str | int, ontology: Ontology) -> Query:
    nodes = ontology.look_up(name)
    word = nodes[0].name
    if not ontology.is_name(name):
        word = str(name).strip()
        logger.info('took "%s" for %s', word, "; ".join(node.name for node in nodes))
    if len(nodes) > 1:
        return UnionQuery.of(word, nodes, ontology)
    if nodes[0].mid in ontology.own:
        return OwnClassQuery(word, nodes[0].mid)
    return NodeQuery.of(nodes[0], ontology, word)
