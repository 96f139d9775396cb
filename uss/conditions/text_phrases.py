"""Phrases that tell what a text asks for from what it excludes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from uss.conditions.text_words import words_in

Clause = tuple[str, ...]
"""The words of one thing that is asked for."""

_LONGEST = 4

PAUSE, STOP = ",", "."
"""What a comma becomes, over which a list goes on, and what ends a list."""

_PAUSES = re.compile(r"([,/|]+|[;:.!?()\[\]{}\"\N{EM DASH}]+|\s-+\s)")
_PLUS = re.compile(r"\+")
# "rain -thunder", "!dog"; a dash between words joins them.
_MINUS = re.compile(r"(?:^|(?<=\s))[-!~\N{NOT SIGN}\N{MINUS SIGN}](?=[^\W\d])")
_SHORT = re.compile(r"\bw/o(?:ut)?\b|\bw/")
_FREE = re.compile(r"(?<![\w-])(?!hands-|royalty-|care-|toll-|duty-)(\w+)-free\b")
_NONSTOP = re.compile(r"\bnon[\s-]stop\b")


Phrases = Mapping[str, tuple[Clause, ...]]
"""By their first words; longer ones first, as they may begin with shorter ones."""


def _phrases(text: str) -> Phrases:
    return _by_first_word(tuple(phrase.split()) for phrase in text.split(", "))


def _by_first_word(phrases: Iterable[Clause]) -> Phrases:
    found: dict[str, tuple[Clause, ...]] = {}
    for phrase in sorted(phrases, key=len, reverse=True):
        found[phrase[0]] = (*found.get(phrase[0], ()), phrase)
    return found


def _united(*several: Phrases) -> Phrases:
    return _by_first_word(phrase for each in several for found in each.values() for phrase in found)


def _with_nots(beginnings: str) -> str:
    """Write the negated forms of verbs apart, together, and without the apostrophe."""
    forms = []
    for beginning in beginnings.split(", "):
        forms += [f"{beginning} not", f"{beginning}n't", f"{beginning}nt"]
    return ", ".join(forms)


_BE = _with_nots("is, are, was, were, does, do, did, has, have")
_WHO_IS = ", ".join(f"{who} {form}" for who in ("that", "which", "who") for form in _BE.split(", "))
_WANTING = ", ".join(
    f"{negated} {verb}"
    for negated in ("do not", "don't", "dont", "would not", "wouldn't", "never")
    for verb in ("want", "want to hear", "want any", "need", "like", "include", "keep", "hear")
)
EXCLUDING = _phrases(
    "without, with no, and no, or no, but not, but no, and not, or not, but without, and without, "
    "with none of, none of, except for, except, excepting, exclude, excludes, excluding, minus, "
    "other than, apart from, aside from, besides, not, no, sans, neither, never, nobody, no one, "
    f"noone, no more, no longer, {_BE}, {_WHO_IS}, {_WANTING}, cannot hear, can not hear, "
    "can't hear, cant hear, rather than, instead of, leave out, leaving out, remove, removing, "
    "ignore, ignoring, free of, free from, everything but, everything but not, everything but no, "
    "all but, all but not, all but no, anything but, avoid, avoiding, suppress, suppressing, omit, "
    "omitting, eliminate, eliminating, delete, deleting, get rid of, getting rid of, filter out, "
    "filtering out, edit out, editing out, block out, screen out, discard, discarding"
)
"""What excludes whatever follows."""

ORDERING = _phrases("mute, take out, cut out, strip out, throw out, suppress, discard")
"""Orders that exclude what follows, where they begin a clause and an article follows."""

UNCLEAR_ORDERS = _phrases(
    "drop, cut, kill, strip, silence, skip, lose, lower, reduce, turn off, switch off, turn down, "
    "hide, erase, dampen, attenuate, quieten, shut off, shut up"
)
"""Orders that may also be sounds: nobody knows whether "cut the grass" is to be heard."""

UNCLEAR = _phrases("less, fewer, reduction, reduced, reducing")
"""What wants a little of something gone, which no separator can be asked for."""

AFTERWARDS = _phrases(
    "removed, taken out, left out, cut out, filtered out, edited out, stripped out, excluded, "
    "omitted, deleted, suppressed, silenced, eliminated, muted"
)
"""What excludes whatever stands before it: "the music taken out"."""

UNCLEAR_AFTERWARDS = _phrases("turned off, switched off, turned down, shut off")
APART = {"out": {"take", "leave", "cut", "filter", "keep", "edit", "strip", "mix", "block"}}
UNCLEAR_APART = {"off": {"turn", "switch", "shut"}, "down": {"turn"}}
"""Verbs that stand around what is excluded: "take the music out"."""

NOT_SO = _phrases(
    "no matter, no doubt, no wonder, no problem, not only, not just, not merely, not far, not too, "
    "not very, not so, not really, not that, not quite, not overly"
)
"""What begins like an exclusion and is none."""

JOINING = _phrases(
    "and, plus, or, as well as, along with, together with, alongside, and also, also, mixed with, "
    "nor, and any, or any, and even"
)
"""What joins sounds, also those of a list of exclusions."""

FOLLOWING = _phrases("while, whilst, then, and then, followed by, before, after")
"""What joins sounds, and ends a list of exclusions: "no music, then a door"."""

RETURNING = _phrases(
    "but, only, just, but only, keep, and only, yet, nothing but, none but, but with, and with, "
    "but keep, but also"
)
"""What ends an exclusion."""

ENDING = _united(RETURNING, FOLLOWING, EXCLUDING)
"""What ends a clause, beside a pause."""
STARTING = _united(RETURNING, FOLLOWING, JOINING)
"""What a clause may follow on."""
TURNING = _united(RETURNING, FOLLOWING)
TWICE = _united(EXCLUDING, ORDERING)
"""What must not follow on an exclusion."""

GOING_ON = _united(ENDING, JOINING, _by_first_word([(PAUSE,), (STOP,), ("with",)]))
"""What shows how a list goes on."""

NO_SOUND = _phrases(
    "bark of a tree, bark of the tree, bark of trees, tree bark, oak bark, birch bark, cork bark, "
    "ring finger, bow tie, seal of approval, wedding ring, engagement ring, boxing ring"
)
"""What has the name of a sound, and makes none."""

LOOSELY_JOINING = _phrases("with, over, as, during, under, behind, to, in front of, against")

_SCALES_AS_TEXT = """
loud louder quiet quieter soft softer silent big small near close distant fast slow quick high low
deep heavy light strong weak gentle harsh old young new good bad clear long short noisy
"""
SCALES = frozenset(_SCALES_AS_TEXT.split())
"""What is not loud is still there."""

_DETERMINERS_AS_TEXT = """
the all any my that this those these his her its their our your every
"""
DETERMINERS = frozenset(_DETERMINERS_AS_TEXT.split())
_EVERYTHING_AS_TEXT = """
a i we you me it is be there all any anything every everything everyone else keep sound sounds the
noise of recording recordings version track tracks mix audio clip part parts rest want hear to
would like can could please with that this what give let only just
"""
EVERYTHING = frozenset(_EVERYTHING_AS_TEXT.split())
"""A clause of these alone asks for nothing by name."""
_LEADING = frozenset({"with", "of", "that", "is", "are", "there", "any"})
_TRAILING = frozenset({"with", "of", "that", "which", "who", "is", "are", "and", "a", "the"})
POLITE = frozenset({"please", "kindly", "thanks"})
_NOT_OFF_AS_TEXT = """
goes go going went gone take takes took set sets lift kick blast blow cut turn switch drive drives
rip tear peel run runs show shut hands tee face jump jet far well
"""
NOT_OFF = frozenset(_NOT_OFF_AS_TEXT.split())
"""What goes off is a sound, as the alarm does."""


def tokens_of(text: str) -> list[str]:
    """Words, pauses and stops, with what short forms and signs stand for in words."""
    plain = _MINUS.sub(" minus ", text.casefold())
    plain = _SHORT.sub(lambda short: " without " if "o" in short[0] else " with ", plain)
    plain = _NONSTOP.sub("nonstop", _FREE.sub(r" , without \1 . ", plain))
    tokens: list[str] = []
    for part in _PAUSES.split(_PLUS.sub(" plus ", plain)):
        if words := words_in(part):
            tokens += (word for word in words if word not in POLITE)
        elif part.strip():
            tokens.append(PAUSE if set(part) <= set(",/|") else STOP)
    return tokens


def begins(tokens: Sequence[str], at: int, phrases: Phrases) -> int:
    """Length of the phrase that begins there; 0 if none does."""
    for phrase in phrases.get(tokens[at], ()) if at < len(tokens) else ():
        if tuple(tokens[at : at + len(phrase)]) == phrase:
            return len(phrase)
    return 0


def ends_with(tokens: Sequence[str], phrases: Phrases) -> int:
    """Length of the longest phrase that tokens end with; 0 if they end with none."""
    for length in range(min(_LONGEST, len(tokens)), 0, -1):
        if begins(tokens, len(tokens) - length, phrases) == length:
            return length
    return 0


def bare(clause: Sequence[str]) -> Clause:
    """Take away what links a clause to its neighbours: "with wind", "the dog that"."""
    words = list(clause)
    while words and words[0] in _LEADING:
        words.pop(0)
    while words and words[-1] in _TRAILING:
        words.pop()
    return tuple(words)


def loosely_split(clause: Clause) -> tuple[Clause, Clause] | None:
    """Take a clause apart where two sounds may meet: "birds over a stream"; None if nowhere."""
    for at in range(1, len(clause) - 1):
        length = begins(clause, at, LOOSELY_JOINING)
        if length and at + length < len(clause):
            return clause[:at], clause[at + length :]
    return None
