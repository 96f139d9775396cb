"""What a text means: the classes it asks for and those it excludes, or why it is not understood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ontology import Ontology
from uss.conditions.text_checks import check_language, check_text, shown
from uss.conditions.text_classes import TextClasses
from uss.conditions.text_clauses import clauses_of
from uss.conditions.text_meanings import ClauseReader, Meaning
from uss.conditions.text_phrases import Clause, loosely_split
from uss.conditions.text_words import STOP_WORDS
from uss.core.errors import InputError

# Both sides of "birds over a stream" must be this sure to be two sounds.
_SURE = 0.6
_MAX_SUGGESTED = 3
_LEAST_SUGGESTED = 0.1


@dataclass(frozen=True)
class Understood:
    """What a text means.

    Attributes:
        text: as it was given, without blanks around it.
        wanted: what it asks for, sound by sound; none if it only excludes.
        unwanted: what it excludes.
    """

    text: str
    wanted: tuple[Meaning, ...]
    unwanted: tuple[Meaning, ...]


def understand(text: str, encoder: TextClasses, ontology: Ontology) -> Understood:
    """Find out which classes a text asks for, and which it excludes.

    Args:
        text: English; a word, words, or a sentence.
        encoder: gives probabilities of classes.
        ontology: knows names, aliases, and what is alike.

    Raises:
        InputError: if it is empty, too long, of another language, or names no sound that is known.
    """
    stripped = check_text(text)
    check_language(stripped, encoder.lexicon)
    reader = _Reader(stripped, encoder, ontology)
    clauses = clauses_of(stripped)
    if not clauses.wanted and not clauses.unwanted:
        raise InputError(f"the text {shown(stripped)} names no sound; say what is to be heard")
    unwanted = tuple(reader.meaning(each) for each in clauses.unwanted)
    return Understood(stripped, reader.meanings(clauses.wanted), unwanted)


class _Reader:
    """Reads the clauses of one text."""

    def __init__(self, text: str, encoder: TextClasses, ontology: Ontology) -> None:
        self._text = text
        self._encoder = encoder
        self._ontology = ontology
        self._known = ClauseReader(encoder, ontology).read

    def meanings(self, clauses: Sequence[Clause]) -> tuple[Meaning, ...]:
        """Read what is wanted, clause by clause, or as one if a clause alone says nothing.

        "The black and white dog" is one sound.
        """
        if not clauses:
            return ()
        found = [self._known(each) for each in clauses]
        if all(found):
            return tuple(
                part
                for each, clause in zip(found, clauses, strict=True)
                if each is not None
                for part in self._parts(each, clause)
            )
        together = tuple(word for clause in clauses for word in clause)
        return (self.meaning(together),)

    def meaning(self, clause: Clause) -> Meaning:
        """Read a clause.

        Raises:
            InputError: if it is not understood; naming its unknown words, and classes like it.
        """
        found = self._known(clause)
        if found is None:
            raise InputError(self._complaint(clause))
        return found

    def _parts(self, whole: Meaning, clause: Clause) -> tuple[Meaning, ...]:
        """Take "birds over a stream" for two sounds, where each side is surely one of its own."""
        sides = loosely_split(clause)
        if sides is None or whole.is_named:
            return (whole,)
        found = [self._known(side) for side in sides]
        surely = [each for each in found if each is not None and each.weights[0] >= _SURE]
        if len(surely) < 2 or surely[0].nodes[0] in surely[1].nodes:
            return (whole,)
        return (surely[0], surely[1])

    def _complaint(self, clause: Clause) -> str:
        """Say which words are not known, and what is like them."""
        read = [self._encoder.lexicon.read(word) for word in clause]
        unknown = [word.typed for word in read if not (word.known or word.is_silent)]
        names = ", ".join(f'"{name}"' for name in self._nearest(clause))
        part = " ".join(clause)
        where = f" in the text {shown(self._text)}" if part != self._text.casefold() else ""
        if unknown:
            what = f"not understood: {', '.join(shown(word) for word in unknown)}{where}"
        else:
            what = f"{shown(part)}{where} names no sound that is known"
        return f"{what}; did you mean {names}?" if names else f"{what}; use other words"

    def _nearest(self, clause: Clause) -> list[str]:
        """Names that are like a clause: by its words, else by what the encoder thinks first of."""
        words = [word for word in clause if word not in STOP_WORDS]
        names = self._ontology.like(" ".join(words))
        if names:
            return names
        probabilities = self._encoder.probabilities(words)
        ranked = np.argsort(-probabilities, kind="stable")[:_MAX_SUGGESTED]
        likely = [index for index in ranked if probabilities[index] >= _LEAST_SUGGESTED]
        return [self._ontology.classes[index].name for index in likely]
