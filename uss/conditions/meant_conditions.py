"""What is said, as conditions of a separator: by what texts mean, or by its own text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ontology import load_ontology
from uss.conditions.asking_in_words import ask_in_words
from uss.conditions.class_queries import ClassQueries
from uss.conditions.conditioning import Conditioning
from uss.conditions.text_classes import load_text_classes
from uss.conditions.text_encoders import TextEncoder
from uss.core.arrays import Bools, Float32
from uss.core.errors import InputError
from uss.taggers import NUM_CLASSES, PROBABILITY_SPACE

_MAX_REMEMBERED_BYTES = 2**28
_AND = " and "


class Worded(NamedTuple):
    """Conditions of N texts.

    Attributes:
        conditions: (N, H) float32; zeros where a text is not understood.
        is_understood: (N,) bool.
    """

    conditions: Float32
    is_understood: Bools


class Wording(Protocol):
    """Makes conditions of texts.

    Attributes:
        space: the named space of the conditions.
        size: H.
    """

    space: str
    size: int

    def words(self, texts: Sequence[str]) -> Worded:
        """Make conditions of N texts."""
        ...


class ByMeaning:
    """A text is asked with the classes that it means, as ``uss-separate --text`` asks.

    Their queries are averaged by how much each is meant; without queries what is meant is the
    condition. The name of a class means that class and those below it, and so do several names
    with "and" between them.

    Args:
        queries: of the classes; None for the space of probabilities.
    """

    def __init__(self, queries: ClassQueries | None) -> None:
        self.space = PROBABILITY_SPACE if queries is None else queries.space
        self.size = NUM_CLASSES if queries is None else queries.vectors.shape[1]
        self._conditioning = Conditioning(self.space, queries)
        self._ontology = load_ontology()
        self._named = {
            node.name.casefold(): self._ontology.class_indexes(node)
            for node in self._ontology.classes
        }
        self._longest = 1 + max(name.count(_AND) for name in self._named)

    def words(self, texts: Sequence[str]) -> Worded:
        """See ``Wording``."""
        conditions = np.zeros((len(texts), self.size), np.float32)
        understood = np.zeros(len(texts), bool)
        for row, text in enumerate(texts):
            meant = self._meant(text)
            if (meant[self._conditioning.separable] > 0.0).any():
                indexes = np.flatnonzero(meant).tolist()
                conditions[row] = self._conditioning.class_conditions(indexes, meant[None])[0]
                understood[row] = True
        return Worded(conditions, understood)

    def _of_names(self, text: str) -> frozenset[int]:
        """Find the classes of a text that is names alone, the longest first; else none."""
        pieces, found = text.split(_AND), set[int]()
        while pieces:
            for count in range(min(len(pieces), self._longest), 0, -1):
                if (indexes := self._named.get(_AND.join(pieces[:count]))) is not None:
                    found.update(indexes)
                    del pieces[:count]
                    break
            else:
                return frozenset()
        return frozenset(found)

    def _meant(self, text: str) -> Float32:
        """(K,) how much each class is meant; zeros of a text that is not understood."""
        meant = np.zeros(NUM_CLASSES, np.float32)
        if indexes := self._of_names(text.strip().casefold()):
            meant[list(indexes)] = 1.0
            return meant
        try:
            queries = ask_in_words([text], load_text_classes(), self._ontology).queries
        except InputError:
            return meant
        for query in queries:
            meant[list(query.class_indexes)] = query.weights
        return meant


class ByEncoder:
    """A text is asked with what the separator's own text encoder makes of it, whatever it says."""

    def __init__(self, encoder: TextEncoder, size: int) -> None:
        self.encoder = encoder
        self.space, self.size = encoder.space, size

    def words(self, texts: Sequence[str]) -> Worded:
        """See ``Wording``; a text without any word is not understood."""
        return Worded(self.encoder.encode(texts), np.array([bool(t.strip()) for t in texts], bool))


class Remembered:
    """A wording that makes each text's condition once, as long as they fit into its memory."""

    def __init__(self, wording: Wording) -> None:
        self.wording = wording
        self.space, self.size = wording.space, wording.size
        self._most = max(1, _MAX_REMEMBERED_BYTES // (4 * wording.size))
        self._made: dict[str, tuple[Float32, bool]] = {}

    def words(self, texts: Sequence[str]) -> Worded:
        """See ``Wording``."""
        new = [text for text in dict.fromkeys(texts) if text not in self._made]
        if len(self._made) + len(new) > self._most:
            self._made.clear()
            new = list(dict.fromkeys(texts))
        if new:
            made = self.wording.words(new)
            pairs = zip(made.conditions, made.is_understood.tolist(), strict=True)
            self._made |= zip(new, pairs, strict=True)
        rows = [self._made[text] for text in texts]
        conditions = np.zeros((len(rows), self.size), np.float32)
        for row, (condition, _) in enumerate(rows):
            conditions[row] = condition
        return Worded(conditions, np.array([known for _, known in rows], bool))
