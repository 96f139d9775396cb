"""What a text asks for, and what it excludes, clause by clause."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from uss.conditions.text_words import words_in

Clause = tuple[str, ...]
"""The words of one thing that is asked for."""

_PAUSE = ","
_PAUSES = re.compile(r"[,;:.!?()\[\]{}/|\"\N{EM DASH}]+|\s-+\s")
_PLUS = re.compile(r"\+")


def _phrases(text: str) -> tuple[Clause, ...]:
    """Longer ones first, as they may begin with shorter ones."""
    phrases = (tuple(phrase.split()) for phrase in text.split(", "))
    return tuple(sorted(phrases, key=len, reverse=True))


_EXCLUDING = _phrases(
    "without, with no, and no, or no, but not, but no, and not, but without, except for, except, "
    "excepting, excluding, minus, other than, apart from, aside from, besides, not, no, isn't, "
    "aren't, wasn't, weren't, is not, are not, that isn't, that is not, that aren't, which isn't, "
    "which is not, doesn't, does not, don't, do not, that doesn't, rather than, instead of, "
    "leaving out, leave out, remove, removing, ignore, ignoring, free of, everything but, all but, "
    "anything but, no more"
)
_JOINING = _phrases(
    "and, plus, while, then, and then, or, as well as, along with, together with, alongside, "
    "followed by, and also, also, mixed with, whilst, before, after, nor"
)
_LOOSELY_JOINING = _phrases("with, over, as, during, under, behind, to, in front of, against")
_RETURNING = _phrases("but, only, just, but only, keep, and only, yet")
_EVERYTHING_AS_TEXT = """
all any anything every everything keep sound sounds the noise of
"""
_EVERYTHING = frozenset(_EVERYTHING_AS_TEXT.split())
_NOT_EXCLUDING = _phrases("no one, no longer, no matter, not only, not far, not too, not very")


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

    "Rain and wind, but no thunder" wants rain, and wind, and excludes thunder. A pause ends an
    exclusion unless a list goes on after it: "no rain, wind or thunder".
    """
    tokens = _tokens(text)
    found: dict[bool, list[list[str]]] = {True: [[]], False: [[]]}
    wanting, at = True, 0
    while at < len(tokens):
        if length := _begins(tokens, at, _NOT_EXCLUDING):
            found[wanting][-1].extend(tokens[at : at + length])
        elif length := _begins(tokens, at, _EXCLUDING):
            wanting = False
            found[wanting].append([])
        elif length := _begins(tokens, at, _RETURNING):
            wanting = True
            found[wanting].append([])
        elif length := _begins(tokens, at, _JOINING):
            found[wanting].append([])
        elif tokens[at] == _PAUSE:
            wanting, length = wanting or not _goes_on(tokens, at), 1
            found[wanting].append([])
        else:
            found[wanting][-1].append(tokens[at])
            length = 1
        at += length
    wanted = tuple(tuple(each) for each in found[True] if not _EVERYTHING.issuperset(each))
    return Clauses(wanted, tuple(tuple(each) for each in found[False] if each))


def loosely_split(clause: Clause) -> tuple[Clause, Clause] | None:
    """Take a clause apart where two sounds may meet: "birds over a stream"; None if nowhere."""
    for at in range(1, len(clause) - 1):
        length = _begins(clause, at, _LOOSELY_JOINING)
        if length and at + length < len(clause):
            return clause[:at], clause[at + length :]
    return None


def _tokens(text: str) -> list[str]:
    """Words and pauses."""
    tokens: list[str] = []
    for part in _PAUSES.split(_PLUS.sub(" plus ", text)):
        tokens += [*words_in(part), _PAUSE]
    return tokens[:-1]


def _begins(tokens: Sequence[str], at: int, phrases: Sequence[Clause]) -> int:
    """Length of the phrase that begins there; 0 if none does."""
    return next((len(each) for each in phrases if tuple(tokens[at : at + len(each)]) == each), 0)


def _goes_on(tokens: Sequence[str], pause: int) -> bool:
    """Whether a list of what is excluded goes on after a pause: up to "or", and nothing else."""
    for at in range(pause + 1, len(tokens)):
        if tokens[at] == "or":
            return True
        if _begins(tokens, at, (*_RETURNING, *_EXCLUDING)):
            return False
    return False
