"""From texts to queries: what a separator is asked with, and what it must leave out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ontology import Node, Ontology
from uss.conditions.text_checks import check_text, shown
from uss.conditions.text_classes import TextClasses
from uss.conditions.text_clauses import clauses_of
from uss.conditions.text_encoders import TextEncoder
from uss.conditions.text_meanings import Meaning
from uss.conditions.text_phrases import EVERYTHING, Clause
from uss.conditions.text_queries import MeantClass, TextQuery
from uss.conditions.text_words import STOP_WORDS
from uss.conditions.understanding import Understood, understand
from uss.core.errors import InputError


@dataclass(frozen=True)
class Asked:
    """What texts ask for.

    Attributes:
        queries: one for each text that asks for something; its name is the text.
        without: what the texts exclude.
    """

    queries: tuple[TextQuery, ...]
    without: tuple[TextQuery, ...]


def listed_texts(texts: Any) -> list[str]:
    """Take one text, or several, from a program.

    Raises:
        InputError: if they are anything else.
    """
    if isinstance(texts, str):
        return [texts]
    if isinstance(texts, (bytes, dict)) or not isinstance(texts, Iterable):
        raise InputError(f"{texts!r} is no text; give words, such as 'a dog barks', or a list")
    listed = list(texts)
    for each in listed:
        if not isinstance(each, str):
            raise InputError(f"{each!r} is no text; give words, such as 'a dog barks'")
    return listed


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
        InputError: if a text is empty or too long, excludes what it asks for, or, without an
            encoder of the separator's own, names no sound that is known.
    """
    queries: list[TextQuery] = []
    without: list[TextQuery] = []
    for text in texts:
        if own is not None:
            asked = _asked_of(own, text, classes, ontology)
        else:
            asked = _understood(understand(text, classes, ontology), ontology)
        queries += asked.queries
        without += asked.without
    return Asked(tuple(queries), tuple(without))


def _understood(meant: Understood, ontology: Ontology) -> Asked:
    wanted = _weighted(meant.wanted)
    asked_for = {below.mid for node in wanted for below in (node, *ontology.ancestors(node))}
    gone: set[int] = set()
    without = []
    for each in meant.unwanted:
        left = {node: 1.0 for node in each.nodes if node not in wanted}
        if not left:
            raise InputError(
                f"the text {shown(meant.text)} asks for {each.nodes[0].name}, and excludes it; "
                "leave out one"
            )
        # "Dogs, but no other animals": what is above is excluded as far as it is not asked for.
        gone |= _classes_below((node for node in left if node.mid not in asked_for), ontology)
        without.append((each.text, left))
    query = _query(meant.text, wanted, ontology, gone) if wanted else None
    if query is not None and not query.class_indexes:
        raise InputError(
            f"the text {shown(meant.text)} excludes all that it asks for; leave out one"
        )
    kept = set(query.class_indexes) if query is not None else set()
    return Asked(
        (query,) if query is not None else (),
        tuple(_query(text, nodes, ontology, kept) for text, nodes in without),
    )


def _weighted(meanings: Sequence[Meaning]) -> dict[Node, float]:
    """All that is meant, the most probable first."""
    weights: dict[Node, float] = {}
    for meaning in meanings:
        for node, weight in zip(meaning.nodes, meaning.weights, strict=True):
            weights[node] = max(weight, weights.get(node, 0.0))
    return dict(sorted(weights.items(), key=lambda pair: -pair[1]))


def _query(text: str, nodes: dict[Node, float], ontology: Ontology, gone: set[int]) -> TextQuery:
    """Ask for nodes and all below them, but for some classes."""
    weights: dict[int, float] = {}
    understood = []
    for node, weight in nodes.items():
        left = _classes_below([node], ontology) - gone
        for index in left:
            weights[index] = max(weight, weights.get(index, 0.0))
        if left:
            understood.append(MeantClass(node.class_index, node.mid, node.name, weight))
    indexes = tuple(sorted(weights))
    chosen = tuple(weights[index] for index in indexes)
    return TextQuery(text, tuple(understood), chosen, indexes)


def _classes_below(nodes: Iterable[Node], ontology: Ontology) -> set[int]:
    return {index for node in nodes for index in ontology.class_indexes(node)}


def _asked_of(own: TextEncoder, text: str, classes: TextClasses, ontology: Ontology) -> Asked:
    """Encode what is wanted and what is not; the embedded encoder tells where, if it can."""
    whole = check_text(text)
    clauses = clauses_of(whole)
    if not any(map(_says_something, (*clauses.wanted, *clauses.unwanted))):
        raise InputError(f"the text {shown(whole)} names no sound; say what is to be heard")
    wanted = whole
    if clauses.unwanted:
        wanted = " and ".join(" ".join(clause) for clause in clauses.wanted)
    queries = [_encoded(own, whole, wanted, classes, ontology)] if clauses.wanted else []
    unwanted = [" ".join(clause) for clause in clauses.unwanted]
    without = [_encoded(own, each, each, classes, ontology) for each in unwanted]
    return Asked(tuple(queries), tuple(without))


def _encoded(
    own: TextEncoder, name: str, text: str, classes: TextClasses, ontology: Ontology
) -> TextQuery:
    (vector,) = own.encode([text])
    try:
        known = _understood(understand(text, classes, ontology), ontology).queries
    except InputError:
        known = ()
    if not known:
        return TextQuery(name, (), (), (), own.space, vector)
    return replace(known[0], name=name, space=own.space, vector=vector)


def _says_something(clause: Clause) -> bool:
    return not (STOP_WORDS | EVERYTHING).issuperset(clause)
