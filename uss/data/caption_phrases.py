"""Phrases of a caption, each of one source: the rules of Mahmud et al. (2024) for AudioCaps."""

from __future__ import annotations

import re

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
_WHOLE = (
    "on and off",
    "man and woman",
    "and is",
    "bells and a horn",
    "clanking and clunking",
    "and continuously",
)
"""What a part must not hold, to be cut at its "and"."""
_THEN = re.compile(r"\bthen\b ?")


def phrases_of(caption: str) -> tuple[str, ...]:
    """Cut a caption into the phrases that speak of one source each.

    The rules know English connectives alone: a caption of another language, or of one word, is one
    phrase. As published but for two things: any run of blanks counts as one, and the "then" that is
    dropped is the word, not a part of another.

    Args:
        caption: what is heard, in words.

    Returns:
        The phrases, in order, with a capital at their start alone; none of a caption without words.
    """
    parts = [" ".join(caption.split())]
    for connective in _CONNECTIVES:
        parts = [piece for part in parts for piece in _cut(part, connective)]
    plain = (_THEN.sub("", part.strip()).replace(",", "") for part in parts)
    phrases = (part.strip().capitalize().removeprefix("And ").strip() for part in plain)
    return tuple(phrase.capitalize() for phrase in phrases if phrase)


def _cut(part: str, connective: str) -> list[str]:
    if connective == _AND and any(phrase in part for phrase in _WHOLE):
        return [part]
    return part.split(connective)
