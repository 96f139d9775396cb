"""What a text asks for, and what it excludes, clause by clause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from uss.conditions import text_phrases as phrases
from uss.conditions.text_checks import shown
from uss.conditions.text_phrases import PAUSE, STOP, Clause, begins, tokens_of
from uss.core.errors import InputError

_MOST_BETWEEN = 5
_CONTRAST = (("not",), ("but", "not"))


@dataclass(frozen=True)
class Clauses:
    """The clauses of a text.

    Attributes:
        wanted: what it asks for.
        unwanted: what it excludes.
    """

    wanted: tuple[Clause, ...]
    unwanted: tuple[Clause, ...]


def clauses_of(text: str) -> Clauses:
    """Take a text apart at its conjunctions and exclusions.

    "Rain and wind, but no thunder" wants rain, and wind, and excludes thunder. An exclusion goes on
    over commas, "and" and "or": "without rain, wind and thunder". It ends with the sentence or a
    bracket, and with "but", "only", ", with", "while" or "then".

    Raises:
        InputError: if it excludes twice ("without no"), or may exclude and may not ("cut the").
    """
    return _Walk(text).clauses()


class _Walk:
    """Goes through the words of a text.

    Args:
        text: as given.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens_of(text)
        self._is_wanting = True
        self._excluder: Clause = ()
        self._found: dict[bool, list[list[str]]] = {True: [[]], False: [[]]}

    def clauses(self) -> Clauses:
        at = 0
        while at < len(self._tokens):
            at += self._step(at)
        wanted, unwanted = (
            [clause for clause in map(phrases.bare, self._found[is_wanted]) if clause]
            for is_wanted in (True, False)
        )
        named = (each for each in wanted if not phrases.EVERYTHING.issuperset(each))
        return Clauses(tuple(named), tuple(unwanted))

    def _step(self, at: int) -> int:
        """Read what begins at a token; gives how many tokens that is."""
        if length := begins(self._tokens, at, phrases.NOT_SO) or self._scale(at):
            return length
        if self._is_at_start(at):
            if length := self._order(at):
                return length
            if length := self._excluded_before(at):
                return length
        self._check_clear(at)
        if self._tokens[at] == "non" and at + 1 < len(self._tokens):
            return self._non(at)
        if length := begins(self._tokens, at, phrases.EXCLUDING):
            return self._exclude(at, length)
        if length := begins(self._tokens, at, phrases.TURNING):
            return self._turn(True, length)
        if length := begins(self._tokens, at, phrases.JOINING):
            return self._turn(self._is_wanting, length)
        if self._tokens[at] == STOP:
            return self._turn(True, 1)
        if self._tokens[at] == PAUSE:
            self._check_list(at)
            return self._turn(self._is_wanting or self._is_contrast_over(at), 1)
        self._found[self._is_wanting][-1].append(self._tokens[at])
        return 1

    def _turn(self, is_wanting: bool, length: int) -> int:
        self._is_wanting = is_wanting
        self._found[is_wanting].append([])
        return length

    def _exclude(self, at: int, length: int) -> int:
        """Begin an exclusion.

        Raises:
            InputError: if it lies in another one.
        """
        following = at + length
        if following < len(self._tokens) and self._tokens[following] in (PAUSE, STOP):
            # "No, the dog."
            return length
        said = self._tokens[at:following]
        after = following
        while self._tokens[after : after + 1] in (["to"], ["any"]):
            after += 1
        if twice := begins(self._tokens, after, phrases.TWICE):
            self._refuse_twice(" ".join([*said, *self._tokens[after : after + twice]]))
        # "No rain no wind", and "without rain and no wind", are lists.
        goes_on = said[0] in ("and", "or", "but", *self._excluder[-1:])
        if not self._is_wanting and self._found[False][-1] and not goes_on:
            self._refuse_twice(" ".join([*self._excluder, "...", *said]))
        self._excluder = tuple(self._tokens[at:following])
        return self._turn(False, length)

    def _non(self, at: int) -> int:
        """A "non-barking dog" is a dog that does not bark: the exclusion is one word long."""
        if not self._is_wanting:
            self._refuse_twice(" ".join([*self._excluder, "...", "non"]))
        self._found[False].append([self._tokens[at + 1]])
        return 2

    def _scale(self, at: int) -> int:
        """What is not loud is there, and none of it is to be left out."""
        length = begins(self._tokens, at, phrases.EXCLUDING)
        is_not = length and self._tokens[at + length - 1].endswith(("not", "n't"))
        following = self._tokens[at + length : at + length + 1]
        return length + 1 if is_not and following and following[0] in phrases.SCALES else 0

    def _order(self, at: int) -> int:
        """An order to leave something out, at the start of a clause: "mute the dog"."""
        for orders in (phrases.ORDERING, phrases.UNCLEAR_ORDERS):
            length = begins(self._tokens, at, orders)
            following = self._tokens[at + length : at + length + 1]
            if length and following and following[0] in phrases.DETERMINERS:
                end = self._end_of_clause(at)
                if self._tokens[end - 1] in phrases.APART and length == 1:
                    # "Cut the music out" is clear.
                    return 0
                if orders is phrases.UNCLEAR_ORDERS:
                    self._refuse_unclear(self._tokens[at : at + length + 1])
                return self._exclude(at, length)
        return 0

    def _excluded_before(self, at: int) -> int:
        """What ends in its exclusion: "the music taken out", "vocals off", "take the music out"."""
        end = self._end_of_clause(at)
        words = self._tokens[at:end]
        if words[:1] == ["with"]:
            return 1 + self._excluded_before(at + 1) if self._is_excluded_before(at + 1) else 0
        if not self._is_excluded_before(at):
            return 0
        excluded = _without_exclusion(words)
        if any(begins(excluded, n, phrases.JOINING) for n in range(len(excluded))):
            # All of a list, or its last?
            self._refuse_unclear(words)
        self._found[False].append(list(excluded))
        self._found[self._is_wanting].append([])
        return len(words)

    def _is_excluded_before(self, at: int) -> bool:
        words = self._tokens[at : self._end_of_clause(at)]
        if length := phrases.ends_with(words, phrases.UNCLEAR_AFTERWARDS):
            self._refuse_unclear(words[-length:])
        if len(words) > 2 and words[0] in phrases.UNCLEAR_APART.get(words[-1], ()):
            self._refuse_unclear([words[0], words[-1]])
        return _without_exclusion(words) != tuple(words)

    def _is_at_start(self, at: int) -> bool:
        """Whether a clause begins at a token."""
        before = self._tokens[:at]
        return (
            not before
            or before[-1] in (PAUSE, STOP, "with")
            or phrases.ends_with(before, phrases.STARTING) > 0
        )

    def _end_of_clause(self, at: int) -> int:
        """Where the part of a sentence ends that begins at a token: at a pause, or what turns."""
        for end in range(at + 1, len(self._tokens)):
            if self._tokens[end] in (PAUSE, STOP) or begins(self._tokens, end, phrases.ENDING):
                return end
        return len(self._tokens)

    def _is_contrast_over(self, pause: int) -> bool:
        """Whether "not" in commas is over: "a dog, not a cat, and a cow"; a list goes on."""
        is_one = sum(1 for each in self._found[False] if each) == 1
        following = self._tokens[pause + 1 :]
        if following[:1] == ["with"]:
            return True
        return is_one and self._excluder in _CONTRAST and following[:1] == ["and"]

    def _check_list(self, pause: int) -> None:
        """Refuse "no rain, birds", which may exclude the birds, and may ask for them."""
        is_first = sum(1 for each in self._found[False] if each) == 1 and self._found[False][-1]
        if self._is_wanting or not is_first or self._excluder[-1:] not in (("no",), ("not",)):
            return
        following = self._tokens[pause + 1 :]
        others = range(len(following))
        if following and not any(begins(following, n, phrases.GOING_ON) for n in others):
            raise InputError(
                f'it is not clear whether {shown(self._text)} asks for "{" ".join(following)}" or '
                'excludes it; write "without" for what is excluded, with "and" or "or" in a list'
            )

    def _check_clear(self, at: int) -> None:
        if length := begins(self._tokens, at, phrases.UNCLEAR):
            self._refuse_unclear(self._tokens[at : at + length])

    def _refuse_twice(self, said: str) -> None:
        raise InputError(
            f'the text {shown(self._text)} excludes twice ("{said}"); say what is to be heard, and '
            'what is not with one "without"'
        )

    def _refuse_unclear(self, said: Sequence[str]) -> None:
        raise InputError(
            f"it is not clear whether {shown(self._text)} is to leave something out "
            f'("{" ".join(said)}"); say that with "without"'
        )


def _without_exclusion(words: Sequence[str]) -> Clause:
    """Words without what at their end, or around them, excludes them; all if nothing does."""
    if length := phrases.ends_with(words, phrases.AFTERWARDS):
        before = tuple(words[:-length])
        if before and before[-1] not in ("being", "gets"):
            return before[:-1] if before[-1] in ("is", "are") else before
    if 2 < len(words) <= _MOST_BETWEEN + 2 and words[0] in phrases.APART.get(words[-1], ()):
        return tuple(words[1:-1])
    named = [word for word in words if word not in phrases.DETERMINERS]
    if len(named) == 2 and named[1] == "off" == words[-1]:
        verb = named[0]
        if verb not in phrases.NOT_OFF and not verb.endswith(("ing", "ed")):
            return (verb,)
    return tuple(words)
