"""Texts that ask for no sound: what the encoder must not understand."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from text_encoder.wordnet import Synset, WordNet
from uss.conditions.text_words import words_in

_KINDS_AS_TEXT = """
noun.cognition noun.attribute noun.time noun.quantity noun.shape noun.state noun.feeling
noun.possession noun.relation noun.motive noun.substance noun.location noun.plant noun.food
noun.body noun.artifact noun.communication noun.person noun.group noun.process adj.all adj.pert
verb.cognition verb.possession verb.stative verb.emotion verb.social
"""
_KINDS = frozenset(_KINDS_AS_TEXT.split())
_MAX_WORDS = 2
_MAX_GLOSS_WORDS = 8


def silent_texts(
    wordnet: WordNet, of_sounds: Collection[str], known: Collection[str]
) -> Iterator[str]:
    """Words, and what WordNet says they are, that have no word of sounds in them.

    Args:
        wordnet: all meanings.
        of_sounds: words that texts about sounds use, function words left out.
        known: words that have vectors; texts of others are not understood anyway.
    """
    for synset in wordnet.synsets.values():
        if synset.lex_file in _KINDS:
            for text in (*synset.lemmas, synset.gloss):
                if _is_silent(text, synset, of_sounds, known):
                    yield text


def _is_silent(
    text: str, synset: Synset, of_sounds: Collection[str], known: Collection[str]
) -> bool:
    words = words_in(text)
    limit = _MAX_GLOSS_WORDS if text == synset.gloss else _MAX_WORDS
    return 0 < len(words) <= limit and all(
        word in known and word not in of_sounds for word in words
    )
