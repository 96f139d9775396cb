"""Words as people write them, brought to one form so that they can be compared."""

import re
import unicodedata

_SEPARATORS = re.compile(r"[^0-9a-z]+")
_POSSESSIVES = re.compile("['\N{RIGHT SINGLE QUOTATION MARK}](s\\b)?")
_IRREGULAR = {
    "children": "child",
    "buses": "bus",
    "feet": "foot",
    "geese": "goose",
    "knives": "knife",
    "leaves": "leaf",
    "men": "man",
    "mice": "mouse",
    "people": "person",
    "teeth": "tooth",
    "wolves": "wolf",
    "women": "woman",
}
_UNINFLECTED = ("ss", "us", "is")
_ENDINGS = ("ations", "ation", "ings", "ing", "ers", "er", "ed", "ly")
_MIN_STEM = 3


def words_of(text: str) -> tuple[str, ...]:
    """Split a text into lower-case words of letters and digits, in the singular.

    Accents and possessives go, and ``&`` is read as "and".
    """
    bare = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(letter for letter in bare if not unicodedata.combining(letter))
    bare = _POSSESSIVES.sub("", bare.replace("&", " and "))
    return tuple(singular(word) for word in _SEPARATORS.split(bare) if word)


def folded(text: str) -> str:
    """Bring a name to the form it is looked up by: case, hyphens, blanks and plurals are one.

    "Gun shots", "gun-shot" and "gunshots" are the same.
    """
    return "".join(words_of(text))


def singular(word: str) -> str:
    """Take the plural's ending from a lower-case word; nearly always right, always the same."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or not word.endswith("s") or word.endswith(_UNINFLECTED):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zzes")):
        return word[:-2]
    return word[:-1]


def stem(word: str) -> str:
    """Take the endings of verbs from a word: barking, barked and barks come from "bark".

    A light stemmer: what is left need be no word, only the same for words of one family.
    """
    base = singular(word)
    for ending in _ENDINGS:
        if base.endswith(ending) and len(base) - len(ending) >= _MIN_STEM:
            base = base[: -len(ending)]
            break
    if len(base) > _MIN_STEM and base[-1] == base[-2] and base[-1] not in "lsz":
        base = base[:-1]
    if len(base) > _MIN_STEM and base[-1] in "ey":
        base = base[:-1]
    return base[:-1] if len(base) > _MIN_STEM and base[-1] == "i" else base
