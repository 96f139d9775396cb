"""Queries in words: from texts to what a separator is asked with, and what it must leave out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ontology import Ontology
from uss.conditions.conditioning import Conditioning
from uss.conditions.queries import Query
from uss.conditions.text_checks import check_text
from uss.conditions.text_classes import TextClasses
from uss.conditions.text_clauses import clauses_of
from uss.conditions.text_encoders import TextEncoder
from uss.conditions.understanding import Meaning, understand
from uss.core.arrays import Float32
from uss.core.errors import InputError

# What lies above the first class is asked for where that is not heard, and little where it is.
_ABOVE = 0.25
_LEAST_EXCLUDED = 0.5


@dataclass(frozen=True)
class MeantClass:
    """A class that a text means.

    Attributes:
        class_index, mid, name: of the class.
        weight: how much, in (0, 1].
    """

    class_index: int
    mid: str
    name: str
    weight: float


@dataclass(frozen=True, eq=False)
class TextQuery(Query):
    """What a text describes.

    Attributes:
        name: the text.
        understood: the classes that it means, the most probable first; none where only the
            separator's own encoder understands it.
        weights: how much each of ``class_indexes`` counts, in (0, 1].
        class_indexes: the classes it is asked with; those below the first belong to it.
        space: of the vector.
        vector: (H,) of the separator's own encoder of texts; None where there is none.
    """

    name: str
    understood: tuple[MeantClass, ...]
    weights: tuple[float, ...]
    class_indexes: tuple[int, ...]
    space: str | None = None
    vector: Float32 | None = None
    mid: None = None

    @property
    def key(self) -> object:
        """The same words are the same, in whatever case."""
        return ("text", self.name.casefold(), self.space)

    def heard_in(self, heard: Float32) -> Float32:
        """The maximum over its classes (Algorithm 4); 1 where it stands for none."""
        if not self.class_indexes:
            return np.ones(len(heard), np.float32)
        highest: Float32 = heard[:, self.class_indexes].max(axis=1)
        return highest

    def check(self, conditioning: Conditioning) -> None:
        """See whether its vector, or a query for one of its classes, fits; see ``Query``."""
        if self.vector is not None:
            if self.space != conditioning.space:
                raise InputError(
                    f"the text {self.name!r} is encoded in {self.space!r}, the separator takes "
                    f"{conditioning.space!r}; use the separator's own encoder"
                )
        elif not conditioning.separable[list(self.class_indexes)].any():
            raise InputError(
                f"the model has no query for what {self.name!r} means; its training clips held "
                "none; choose other words or another model"
            )

    def conditions(self, heard: Float32, conditioning: Conditioning) -> Float32:
        """Ask with its vector, or with its classes: by how much is meant times what is heard.

        Where none of them is heard, what is meant alone counts; see ``Conditioning``.
        """
        if self.vector is not None:
            return np.repeat(self.vector[None], len(heard), axis=0)
        indexes = list(self.class_indexes)
        if conditioning.class_queries is None:
            return conditioning.class_conditions(indexes, heard)
        meant = np.zeros(heard.shape[1], np.float32)
        meant[indexes] = self.weights
        weighted = heard * meant
        nothing = ~(weighted[:, conditioning.separable] > 0.0).any(axis=1)
        weighted[nothing] = meant
        return conditioning.class_conditions(indexes, weighted)


@dataclass(frozen=True)
class Asked:
    """What texts ask for.

    Attributes:
        queries: one for each text that asks for something; its name is the text.
        without: what the texts exclude.
    """

    queries: tuple[TextQuery, ...]
    without: tuple[TextQuery, ...]


def ask_in_words(
    texts: Sequence[str], classes: TextClasses, ontology: Ontology, own: TextEncoder | None = None
) -> Asked:
    """Make queries of texts.

    Args:
        texts: a sound, or several together, each; "rain without thunder" also excludes.
        classes: the embedded encoder.
        ontology: names the classes.
        own: the separator's own encoder, if it was trained to be asked in words.

    Raises:
        InputError: if a text is empty or too long, or, without an encoder of the separator's own,
            names no sound that is known.
    """
    queries: list[TextQuery] = []
    without: list[TextQuery] = []
    for text in texts:
        if own is not None:
            asked = _asked_of(own, text, classes, ontology)
        else:
            asked = _understood(text, classes, ontology)
        queries += asked.queries
        without += asked.without
    return Asked(tuple(queries), tuple(without))


def _understood(text: str, classes: TextClasses, ontology: Ontology) -> Asked:
    meant = understand(text, classes, ontology)
    gone = {index for each in meant.unwanted for index, _ in _primary(each)}
    wanted = [_without(each, gone) for each in meant.wanted]
    queries = [_wanted_query(meant.text, wanted, ontology)] if wanted else []
    asked_for = {each.class_index for query in queries for each in query.understood}
    without = [_unwanted_query(each, asked_for, ontology) for each in meant.unwanted]
    return Asked(tuple(queries), tuple(without))


def _asked_of(own: TextEncoder, text: str, classes: TextClasses, ontology: Ontology) -> Asked:
    """Encode what is wanted and what is not; the embedded encoder tells where, if it can."""
    whole = check_text(text)
    clauses = clauses_of(whole)
    wanted = whole
    if clauses.unwanted:
        wanted = " and ".join(" ".join(clause) for clause in clauses.wanted)
    queries = [_encoded(own, whole, wanted, classes, ontology)] if wanted else []
    unwanted = [" ".join(clause) for clause in clauses.unwanted]
    without = [_encoded(own, each, each, classes, ontology) for each in unwanted]
    return Asked(tuple(queries), tuple(without))


def _encoded(
    own: TextEncoder, name: str, text: str, classes: TextClasses, ontology: Ontology
) -> TextQuery:
    (vector,) = own.encode([text])
    try:
        known = _understood(text, classes, ontology).queries
    except InputError:
        known = ()
    if not known:
        return TextQuery(name, (), (), (), own.space, vector)
    return replace(known[0], name=name, space=own.space, vector=vector)


def _primary(meaning: Meaning) -> list[tuple[int, float]]:
    """The classes that a meaning is surely about."""
    least = _LEAST_EXCLUDED * meaning.weights[0]
    pairs = zip(meaning.classes, meaning.weights, strict=True)
    return [(index, weight) for index, weight in pairs if weight >= least]


def _without(meaning: Meaning, gone: set[int]) -> Meaning:
    """Leave out classes that are excluded, unless nothing else is meant."""
    pairs = list(zip(meaning.classes, meaning.weights, strict=True))
    kept = [pair for pair in pairs if pair[0] not in gone] or pairs
    indexes, weights = zip(*kept, strict=True)
    return Meaning(meaning.text, indexes, weights, meaning.is_named)


def _wanted_query(text: str, wanted: Sequence[Meaning], ontology: Ontology) -> TextQuery:
    """Ask for all meanings of a text in one stem."""
    understood: dict[int, float] = {}
    asked: dict[int, float] = {}
    for meaning in wanted:
        for index, weight in zip(meaning.classes, meaning.weights, strict=True):
            understood[index] = max(weight, understood.get(index, 0.0))
        for index, weight in _asked_with(meaning, ontology).items():
            asked[index] = max(weight, asked.get(index, 0.0))
    ranked = sorted(understood.items(), key=lambda pair: -pair[1])
    indexes = tuple(sorted(asked))
    weights = tuple(asked[index] for index in indexes)
    return TextQuery(text, _named(ranked, ontology), weights, indexes)


def _asked_with(meaning: Meaning, ontology: Ontology) -> dict[int, float]:
    """The classes of a meaning and those below the first; what lies above it counts little."""
    first = ontology.classes[meaning.classes[0]]
    above = {node.class_index for node in ontology.ancestors(first)}
    sure = {index for index, _ in _primary(meaning)}
    asked = {index: meaning.weights[0] for index in ontology.class_indexes(first)}
    for index, weight in zip(meaning.classes, meaning.weights, strict=True):
        if index not in above:
            asked[index] = max(weight, asked.get(index, 0.0))
        elif index in sure:
            asked[index] = _ABOVE * weight
    return asked


def _unwanted_query(meaning: Meaning, asked_for: set[int], ontology: Ontology) -> TextQuery:
    """Ask against what a meaning is surely about, and all below; not against what is asked for."""
    first = ontology.classes[meaning.classes[0]]
    above = {node.class_index for node in ontology.ancestors(first)}
    primary = [pair for pair in _primary(meaning) if pair[0] not in above]
    indexes = {
        below
        for index, _ in primary
        for below in ontology.class_indexes(ontology.classes[index])
        if below == meaning.classes[0] or below not in asked_for
    }
    chosen = tuple(sorted(indexes))
    return TextQuery(meaning.text, _named(primary, ontology), (1.0,) * len(chosen), chosen)


def _named(pairs: Sequence[tuple[int, float]], ontology: Ontology) -> tuple[MeantClass, ...]:
    nodes = [ontology.classes[index] for index, _ in pairs]
    return tuple(
        MeantClass(index, node.mid, node.name, weight)
        for (index, weight), node in zip(pairs, nodes, strict=True)
    )
