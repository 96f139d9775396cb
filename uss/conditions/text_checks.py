"""What no text that asks for a sound can be: empty, endless, or of another language."""

from __future__ import annotations

import unicodedata

from uss.conditions.text_words import Lexicon, words_in
from uss.core.errors import InputError

MAX_LETTERS = 300
_MIN_FOREIGN_WORDS = 3
_FOREIGN_AS_TEXT = """
aber auf aus das dem den der ein eine einem einen einer eines im ist mit nicht oder und von wie zu
zum au avec ce dans du elle est et le les qui sur un une del el en esta las los por que su una y
che con di gli il lo nel per sono uno da dos em na nao os uma het een van
"""
_FOREIGN = frozenset(_FOREIGN_AS_TEXT.split())


def check_text(text: str) -> str:
    """Refuse what no encoder of texts can be asked with.

    Returns:
        The text without blanks around it, and without what nobody sees: control characters, marks
        of direction and of no width. One form stands for letters that have several (NFC).

    Raises:
        InputError: if there is no word in it, or it is too long.
    """
    stripped = " ".join(_visible(text).split())
    if len(stripped) > MAX_LETTERS:
        raise InputError(
            f"the text {shown(stripped)} has {len(stripped)} letters; describe a sound in at most "
            f"{MAX_LETTERS}"
        )
    if not any(letter.isalnum() for letter in stripped):
        raise InputError(
            f"the text {shown(stripped)} has no words; describe a sound, such as 'a dog barks'"
        )
    return stripped


def _visible(text: str) -> str:
    """Make blanks of control characters, and nothing of formatting ones and halves of pairs."""
    letters = []
    for letter in unicodedata.normalize("NFC", text):
        category = unicodedata.category(letter)
        letters.append(" " if category == "Cc" else "" if category[0] == "C" else letter)
    return "".join(letters)


def shown(text: str) -> str:
    """Quote a text on one line, shortened where it is long."""
    plain = "".join(letter if unicodedata.category(letter)[0] != "C" else "?" for letter in text)
    return repr(plain if len(plain) <= 60 else f"{plain[:57]}...")


def check_language(text: str, lexicon: Lexicon) -> None:
    """Refuse what has function words of other languages, or letters of another script.

    Args:
        text: as given.
        lexicon: knows English words.

    Raises:
        InputError: naming the words.
    """
    letters = [letter for letter in text if letter.isalpha()]
    words = words_in(text)
    latin = sum("LATIN" in unicodedata.name(letter, "") for letter in letters)
    foreign = [word for word in words if word in _FOREIGN]
    if not words or 2 * latin < len(letters) or foreign:
        why = f" ({', '.join(map(repr, foreign))})" if foreign else ""
        raise InputError(f"the text {shown(text)} does not look English{why}; ask in English")
    read = [lexicon.read(word) for word in words]
    strange = [word.typed for word in read if word.is_respelt or not (word.known or word.is_silent)]
    if len(words) >= _MIN_FOREIGN_WORDS and 2 * len(strange) > len(words):
        raise InputError(
            f"most words of the text {shown(text)} are unknown ({', '.join(map(repr, strange))}); "
            "ask in English"
        )
