"""The words of a text, as the embedded text encoder knows them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ontology.spelling import close_to
from ontology.words import singular

NAME, ENGLISH, OF_SOUNDS = 0, 1, 2
"""What kind of word it is: a name or another language's, plain English, or one said of sounds."""

# Words that say nothing of sounds, though texts about sounds are full of them.
_STOP_WORDS_AS_TEXT = """
a about above across after again against all along also am among an and another any are around as
at away back be because been before behind being below beneath beside between both but by came can
close could did different do does doing down during each either else even ever every everything
far few first followed following for from front get gets getting go goes going good great had has
have having he her here herself him himself his how i if in inside into is it its itself kind last
later left like little long lot lots made make makes making man many may me more most much must my
near nearby next no not now of off often on once one only onto or other others our out outside
over own part past quite really right same second several she should since so some someone
something somewhere sort still such sudden take taking than that the their them then there these
they thing things this those three through time times to together too towards two type under until
up upon us used using various very was way we well were what when where which while who whole
whose why will with within without would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS_AS_TEXT.split()) - {"man"}

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SEPARATORS = re.compile(r"[^0-9a-z']+")
_APOSTROPHES = re.compile("[\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}`]")
_POSSESSIVES = re.compile(r"'s\b|'(?!\w)|(?<!\w)'")
# What a verb or an adjective ends in, and what its stem may end in.
_ENDINGS = {"ing": ("", "e"), "ed": ("", "e"), "er": ("", "e"), "ers": ("", "e"), "y": ("",)}
_MIN_STEM = 3
_MIN_PART = 3
_MIN_RESPELT = 4
_MAX_SHORT = 5
_MAX_REMEMBERED = 10_000
_MIN_TWO_ERRORS = 7


class Word(NamedTuple):
    """A word of a text.

    Attributes:
        typed: as it stands there, in lower case.
        known: the words of the vocabulary that are meant, mostly one; empty if none is like it.
        is_respelt: the word is none, and what is meant is spelt nearly so.
        is_silent: it is a number or the like, and says nothing.
        is_synonym: what is meant is another word.
    """

    typed: str
    known: tuple[str, ...]
    is_respelt: bool = False
    is_silent: bool = False
    is_synonym: bool = False

    @property
    def is_guessed(self) -> bool:
        """Whether it is known by another word alone."""
        return self.is_respelt or self.is_synonym


def words_in(text: str) -> tuple[str, ...]:
    """Split a text into lower-case words of letters and digits; accents and possessives go."""
    bare = unicodedata.normalize("NFKD", _APOSTROPHES.sub("'", text.casefold()))
    bare = "".join(letter for letter in bare if not unicodedata.combining(letter))
    bare = _POSSESSIVES.sub("", bare.replace("&", " and "))
    return tuple(word for word in _SEPARATORS.split(bare) if word)


class Lexicon:
    """The words that have vectors, and how others come down to them.

    Args:
        words: in the order of their vectors.
        kinds: of each: ``NAME``, ``ENGLISH`` or ``OF_SOUNDS``.
        synonyms: words without a vector, to one that has one and means the same.
    """

    def __init__(
        self, words: Sequence[str], kinds: Sequence[int], synonyms: Mapping[str, str] | None = None
    ) -> None:
        self.indexes = {word: index for index, word in enumerate(words)}
        self._kinds = dict(zip(words, kinds, strict=True))
        self._synonyms = synonyms or {}
        self._read: dict[str, Word] = {}
        self._of_sounds = [word for word in words if self._kinds[word] == OF_SOUNDS]

    def kind(self, word: str) -> int | None:
        """What kind of word it is; None if it has no vector."""
        return self._kinds.get(word)

    def read(self, typed: str) -> Word:
        """Look a word up: as it is, without its endings, by a synonym, respelt, or apart."""
        if typed not in self._read:
            if len(self._read) >= _MAX_REMEMBERED:
                self._read.clear()
            self._read[typed] = self._looked_up(typed)
        return self._read[typed]

    def _looked_up(self, typed: str) -> Word:
        if typed in self.indexes:
            return Word(typed, (self._said_of_sounds(typed),))
        if typed.isdigit() or "'" in typed:
            return Word(typed, (), is_silent=True)
        for form in (typed, *_base_forms(typed)):
            if form in self.indexes:
                return Word(typed, (form,))
            if form in self._synonyms:
                return Word(typed, (self._synonyms[form],), is_synonym=True)
        close = self.respelt(typed)
        parts = self._parts(typed)
        if parts and (close is None or self.kind(close) != OF_SOUNDS):
            return Word(typed, parts)
        return Word(typed, (close,), True) if close else Word(typed, ())

    def _said_of_sounds(self, word: str) -> str:
        """Take another number or tense of a word, where texts about sounds have only that."""
        if self.kind(word) != ENGLISH or len(word) < _MIN_STEM:
            return word
        forms = (word + "s", singular(word), *_without(word, "ing"), *_without(word, "ed"))
        return next((form for form in forms if self.kind(form) == OF_SOUNDS), word)

    def respelt(self, typed: str) -> str | None:
        """Find a word of sounds, or else another, that is spelt nearly so."""
        if len(typed) < _MIN_RESPELT:
            # In a short word only letters that changed places, or came twice, tell an error.
            close = [each for each in _swapped(typed) if self.kind(each) == OF_SOUNDS]
            return close[0] if close else None
        candidates = {each for each in _one_error(typed) if each in self.indexes}
        if len(typed) <= _MAX_SHORT:
            # With another first letter, or another letter in four, it is another word.
            swapped = set(_swapped(typed))
            is_tiny = len(typed) == _MIN_RESPELT
            candidates = {
                each
                for each in candidates
                if each in swapped or (each[0] == typed[0] and not is_tiny)
            }
        if not candidates and len(typed) >= _MIN_TWO_ERRORS:
            candidates = set(close_to(typed, self._of_sounds, 3))
        ranked = sorted(candidates, key=lambda each: self._rank(typed, each))
        return ranked[0] if ranked else None

    def _rank(self, typed: str, known: str) -> tuple[bool, bool, int, int]:
        """What is likelier meant comes first: earlier words of the lexicon are the commoner."""
        same_letters = sorted(typed) == sorted(known)
        return (
            known[0] != typed[0],
            self._kinds[known] != OF_SOUNDS,
            0 if same_letters else 1,
            self.indexes[known],
        )

    def _parts(self, typed: str) -> tuple[str, ...]:
        """Take an unknown word for two that are said of sounds."""
        cuts = range(_MIN_PART, len(typed) - _MIN_PART + 1)
        for cut in sorted(cuts, key=lambda cut: abs(2 * cut - len(typed))):
            parts = typed[:cut], typed[cut:]
            if all(self.kind(part) == OF_SOUNDS for part in parts):
                return parts
        return ()


def _base_forms(word: str) -> Iterator[str]:
    """Give a word without its plural's, verb's or adjective's ending."""
    base = singular(word)
    if base != word:
        yield base
    for ending in _ENDINGS:
        yield from _without(word, ending)


def _without(word: str, ending: str) -> Iterator[str]:
    """Give what a word may be without its ending; nothing if it has another."""
    stem = word.removesuffix(ending)
    if stem != word and len(stem) >= _MIN_STEM:
        yield from (stem + tail for tail in _ENDINGS[ending])
        if stem[-1] == stem[-2]:
            yield stem[:-1]


def _swapped(word: str) -> Iterator[str]:
    for at in range(len(word) - 1):
        yield word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    yield from (
        word[:at] + word[at + 1 :] for at in range(1, len(word)) if word[at] == word[at - 1]
    )


def _one_error(word: str) -> Iterator[str]:
    """Give all that is one letter too many, missing or wrong, or two that changed places, away."""
    yield from _swapped(word)
    for at in range(len(word) + 1):
        before, after = word[:at], word[at:]
        yield before + after[1:]
        for letter in _LETTERS:
            yield before + letter + after
            if after:
                yield before + letter + after[1:]
