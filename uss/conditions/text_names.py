"""What texts call things by name: the ontology's names and aliases, and kinds of things."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence

from ontology import Node, Ontology, load_kinds
from ontology.words import folded
from uss.conditions.text_phrases import SCALES, Clause
from uss.conditions.text_words import OF_SOUNDS, Lexicon, words_in

_MAX_WORDS = 4
_ARTICLES_AS_TEXT = """
a an the some any all my our your his her its their this that these those of sound sounds someone's
"""
_ARTICLES = frozenset(_ARTICLES_AS_TEXT.split())
_CHANGING_NOTHING = SCALES | {"little", "tiny", "huge", "distant", "nearby", "single", "another"}

Nodes = tuple[Node, ...]


class SoundNames:
    """Names, by the forms that ``folded`` brings them to.

    Args:
        ontology: its names go before its aliases, and these before kinds of things.
        kinds: what kinds of things are called, to the mid of what they are a kind of.
    """

    def __init__(self, ontology: Ontology, kinds: Mapping[str, str]) -> None:
        nodes = sorted(ontology.nodes.values(), key=lambda node: node.class_index is not None)
        self._named: dict[str, Nodes] = {
            folded(kind): (ontology.nodes[mid],) for kind, mid in kinds.items()
        }
        self._hinted: dict[str, Nodes] = {}
        for hint, mids in ontology.hints.items():
            classes = (
                node for mid in mids if (node := ontology.nodes[mid]).class_index is not None
            )
            self._hinted[folded(hint)] = tuple(classes)[:1]
        for alias, mids in ontology.aliases.items():
            self._named[folded(alias)] = tuple(ontology.nodes[mid] for mid in mids)
        self._named |= {
            folded(node.name): (node,) for node in nodes if ontology.class_indexes(node)
        }

    def exact(self, clause: Clause) -> Nodes:
        """What a clause is the name of, whatever article or size it has; else nothing."""
        for unsaid in (frozenset(), _ARTICLES, _ARTICLES | _CHANGING_NOTHING):
            form = folded(" ".join(word for word in clause if word not in unsaid))
            if form in self._named:
                return self._named[form]
        return ()

    def hinted(self, clause: Clause) -> Nodes:
        """What comes nearest to a clause that names no class, by the ontology's hints."""
        return self._hinted.get(
            folded(" ".join(word for word in clause if word not in _ARTICLES)), ()
        )

    def in_known_words(self, clause: Clause, lexicon: Lexicon) -> Clause:
        """Replace names whose words are not said of sounds by names of what they are.

        "A kookaburra laughs in a tree" is a bird that does.
        """
        words: list[str] = []
        at = 0
        while at < len(clause):
            length, nodes = next(self._starting(clause, at, lexicon), (1, ()))
            words += _first_name(nodes) if nodes else [clause[at]]
            at += length
        return tuple(words)

    def within(self, clause: Clause) -> Nodes:
        """What the longest part of a clause, of several words, is the name of."""
        for length in range(min(_MAX_WORDS, len(clause) - 1), 1, -1):
            for at in range(len(clause) - length + 1):
                part = clause[at : at + length]
                found = self._named.get(folded(" ".join(part)), ())
                if found and not _ARTICLES.intersection(part):
                    return found
        return ()

    def _starting(self, clause: Clause, at: int, lexicon: Lexicon) -> Iterator[tuple[int, Nodes]]:
        for length in range(min(_MAX_WORDS, len(clause) - at), 0, -1):
            part = clause[at : at + length]
            is_strange = any(lexicon.kind(word) != OF_SOUNDS for word in part)
            found = self._named.get(folded(" ".join(part)), ())
            if is_strange and len(found) == 1:
                yield length, found


def _first_name(nodes: Sequence[Node]) -> tuple[str, ...]:
    return words_in(nodes[0].name.split(",")[0])


@functools.cache
def sound_names(ontology: Ontology) -> SoundNames:
    """All names that are known."""
    return SoundNames(ontology, load_kinds())
