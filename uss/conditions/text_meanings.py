"""What a clause of a text means: by the names in it, else as the text encoder reads it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ontology import Ontology
from uss.conditions.text_classes import TextClasses
from uss.conditions.text_names import Nodes, sound_names
from uss.conditions.text_phrases import NO_SOUND, Clause, begins
from uss.conditions.text_words import OF_SOUNDS, STOP_WORDS
from uss.core.arrays import Float32

# A class is meant from this share of the most probable one's probability on.
_LEAST_SHARE = 0.5
# What is less probable is only heard along with the rest.
_LEAST = 0.35
# A class below the most probable one, and nearly as probable, says better what is meant.
_NEARLY = 0.8
# What is guessed from spelling or from synonyms alone must be this probable.
_SURELY = 0.7
# What is done must be this sure, to count without who does it.
_BY_ITSELF = 0.6
# A word that is this sure by itself says what a clause is that is not understood.
_SURELY_ALONE = 0.8
# How much is made of a part of a clause, when the whole is not understood.
_PART = 0.5
# What is less probable than this, a hint of the ontology's says better.
_SAYS_MORE = 0.5
_MAX_CLASSES = 6
_MAKERS_AS_TEXT = """
someone somebody person persons people man men woman women lady ladies guy guys boy boys girl girls
child children kid kids toddler toddlers adult adults male female gentleman teenager teenagers
grandfather grandmother grandpa grandma father mother he she they audience crowd spectators friend
friends neighbour neighbours neighbor neighbors player players couple couples
"""
MAKERS = frozenset(_MAKERS_AS_TEXT.split())
"""Who makes a sound is not the sound: "a toddler laughing" is no toddler's talk."""
_WHERE_AS_TEXT = "in on at with over as during under behind to against near"
_WHERE = frozenset(_WHERE_AS_TEXT.split())
_AROUND_AS_TEXT = "a an the is are was were who that being old young little some of two three"
_AROUND = frozenset(_AROUND_AS_TEXT.split())


@dataclass(frozen=True)
class Meaning:
    """What a clause means.

    Attributes:
        text: its words.
        nodes: what it surely means, the most probable first; more than a class where a name of the
            ontology, or an alias, says so.
        weights: how probable each of them is, in (0, 1].
        is_named: it is a name, or holds one, and nothing else is meant.
    """

    text: str
    nodes: Nodes
    weights: tuple[float, ...]
    is_named: bool = False

    @classmethod
    def of_name(cls, clause: Clause, nodes: Nodes) -> Meaning:
        """Mean what a name stands for."""
        return cls(" ".join(clause), nodes, (1.0,) * len(nodes), is_named=True)


class ClauseReader:
    """Finds out what clauses mean.

    Args:
        encoder: gives probabilities of classes.
        ontology: knows names, and what lies below what.
    """

    def __init__(self, encoder: TextClasses, ontology: Ontology) -> None:
        self._encoder = encoder
        self._ontology = ontology
        self._names = sound_names(ontology)

    def read(self, clause: Clause) -> Meaning | None:
        """Read a clause; None if it is not understood."""
        if any(begins(clause, at, NO_SOUND) for at in range(len(clause))):
            return None
        if nodes := self._names.exact(clause):
            return Meaning.of_name(clause, nodes)
        known = self._names.in_known_words(clause, self._encoder.lexicon)
        probabilities = self._probabilities(known)
        if nodes := self._hinted(clause, probabilities) or self._hinted_of_made(clause):
            return Meaning(" ".join(clause), nodes, (_PART,) * len(nodes))
        if probabilities is None:
            return self._by_parts(clause)
        return self._meaning(clause, probabilities)

    def _meaning(self, clause: Clause, probabilities: Float32) -> Meaning:
        """Take what is surely meant: the first class, and others that are half as probable."""
        first = self._most_special(int(probabilities.argmax()), probabilities)
        above = {
            node.class_index for node in self._ontology.ancestors(self._ontology.classes[first])
        }
        least = max(_LEAST_SHARE * float(probabilities[first]), _LEAST)
        ranked = np.argsort(-probabilities, kind="stable")[:_MAX_CLASSES]
        others = [
            index
            for index in map(int, ranked)
            if probabilities[index] >= least and index != first and index not in above
        ]
        chosen = (first, *others)
        weights = tuple(round(float(probabilities[index]), 4) for index in chosen)
        nodes = tuple(self._ontology.classes[index] for index in chosen)
        return Meaning(" ".join(clause), nodes, weights)

    def _most_special(self, index: int, probabilities: Float32) -> int:
        """The class below another one that is nearly as probable; the dog, of all animals."""
        least = _NEARLY * float(probabilities[index])
        while True:
            below = self._ontology.class_indexes(self._ontology.classes[index])
            others = [each for each in below if each != index]
            nearest = max(others, key=lambda each: float(probabilities[each]), default=index)
            if nearest == index or probabilities[nearest] < least:
                return index
            index = nearest

    def _probabilities(self, clause: Clause) -> Float32 | None:
        """(K,) what the encoder says, without who makes the sound; None if it is not sure."""
        made = self._of_what_is_made(clause)
        if made is not None:
            return made
        probabilities = self._encoder.probabilities(clause)
        lexicon = self._encoder.lexicon
        if probabilities.max() < self._encoder.abstaining:
            # Names are respelt where nothing else is understood.
            respelt = tuple(
                word if lexicon.read(word).known else lexicon.respelt(word) or word
                for word in clause
            )
            probabilities = self._encoder.probabilities(respelt)
        least = self._encoder.abstaining if self._is_known(clause) else _SURELY
        return probabilities if probabilities.max() >= least else None

    def _of_what_is_made(self, clause: Clause) -> Float32 | None:
        """What "a toddler laughing" says without the toddler; None if nobody makes a sound.

        Of the whole only what lies below that counts too, such as the laughter of babies.
        """
        rest = _what_is_made(clause)
        if not rest:
            return None
        made = self._encoder.probabilities(rest)
        if made.max() < _BY_ITSELF:
            return None
        whole = self._encoder.probabilities(clause)
        for index in np.flatnonzero(made >= _LEAST_SHARE * made.max()):
            below = list(self._ontology.class_indexes(self._ontology.classes[index]))
            made[below] = np.maximum(made[below], whole[below])
        return made

    def _hinted(self, clause: Clause, probabilities: Float32 | None) -> Nodes:
        """What the ontology's hints, which people chose, say better than the encoder."""
        is_weak = probabilities is None or probabilities.max() < _SAYS_MORE
        return self._names.hinted(clause) if is_weak else ()

    def _hinted_of_made(self, clause: Clause) -> Nodes:
        """The same of what somebody does: "a couple kissing"."""
        rest = _what_is_made(clause)
        return self._hinted(rest, self._encoder.probabilities(rest)) if rest else ()

    def _is_known(self, clause: Clause) -> bool:
        """Whether a word of it is said of sounds, as it stands there."""
        read = [self._encoder.lexicon.read(word) for word in clause if word not in STOP_WORDS]
        return any(
            not word.is_guessed
            and any(self._encoder.lexicon.kind(known) == OF_SOUNDS for known in word.known)
            for word in read
        )

    def _by_parts(self, clause: Clause) -> Meaning | None:
        """Take the part of a clause that says by itself what it is: a name, or a sure word."""
        said = " ".join(clause)
        if nodes := self._names.within(clause):
            return Meaning(said, nodes, (_PART,) * len(nodes))
        words = [word for word in clause if word not in STOP_WORDS and self._is_known((word,))]
        found = [self._encoder.probabilities((word,)) for word in words]
        surest = max(found, key=lambda each: float(each.max()), default=None)
        if surest is None or surest.max() < _SURELY_ALONE:
            return None
        # What makes the sound says more of it than what it does: a woodpecker that drums.
        for word, probabilities in zip(words, found, strict=True):
            nodes = self._names.hinted((word,))
            first = self._ontology.classes[int(probabilities.argmax())]
            if first in nodes and probabilities.max() >= _BY_ITSELF:
                return Meaning(said, nodes, (_PART,) * len(nodes))
        return self._meaning(clause, _PART * surest)


def _what_is_made(clause: Clause) -> Clause:
    """The words without who makes the sound; none where nobody does, or they only are somewhere."""
    at = next((n for n, word in enumerate(clause) if word in MAKERS), None)
    if at is None or any(word in _WHERE for word in clause[at + 1 : at + 2]):
        return ()
    return tuple(word for word in clause if word not in MAKERS and word not in _AROUND)
