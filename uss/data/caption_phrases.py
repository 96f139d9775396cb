"""Phrases of a caption, each of one source: the rules of Mahmud et al. (2024) for AudioCaps."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CONNECTIVES = (
    " and is followed by",
    " followed by ",
    " after which",
    " which is ",
    " proceeded by ",
    " at a close distance",
    " and ",
    ", ",
    " as ",
    " while ",
    " then ",
    " with ",
    " before ",
    " after ",
    " during ",
    " nearby ",
    " over ",
    " among ",
    " precedes ",
    " proceeded ",
    " which ",
)
"""Where captions are cut, in this order."""
_AND = " and "
_CUTS = [(each, re.compile(re.escape(each), re.IGNORECASE)) for each in _CONNECTIVES]
_WHOLE = (
    "on and off",
    "man and woman",
    "and is",
    "bells and a horn",
    "clanking and clunking",
    "and continuously",
)
"""What a part must not hold, to be cut at its "and"."""
_THEN = re.compile(r"\bthen\b ?", re.IGNORECASE)
_COMMA = re.compile(r",(?=[^\W\d])")
"""A comma that a word follows without a blank."""


def phrases_of(caption: str) -> tuple[str, ...]:
    """Cut a caption into the phrases that speak of one source each.

    The rules know English connectives alone: a caption of another language is cut at its commas
    at most, and one of one word is one phrase. As published but for four things: any run of blanks
    counts as one; a comma before a word needs no blank; connectives may be in capitals; and the
    "then" that is dropped is the word, not a part of another.

    Args:
        caption: what is heard, in words.

    Returns:
        The phrases, in order, with a capital at their start alone; none of a caption without words.
    """
    parts = [_COMMA.sub(", ", " ".join(caption.split()))]
    for connective, cut in _CUTS:
        keeps = _WHOLE if connective == _AND else ()
        parts = [piece for part in parts for piece in _pieces(part, cut, keeps)]
    plain = (_THEN.sub("", part.strip()).replace(",", "") for part in parts)
    phrases = (part.strip().capitalize().removeprefix("And ").strip() for part in plain)
    return tuple(phrase.capitalize() for phrase in phrases if phrase)


def _pieces(part: str, cut: re.Pattern[str], keeps: Sequence[str]) -> list[str]:
    """Cut a part, but not one that holds what stays whole."""
    if any(phrase in part for phrase in keeps):
        return [part]
    return cut.split(part)
