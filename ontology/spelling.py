"""Words that are spelt wrongly, apart or together."""

from collections.abc import Collection, Iterable, Sequence

_LETTERS_PER_ERROR = 4
_MAX_ERRORS = 3
_MIN_PART = 3


def close_to(word: str, known: Iterable[str], count: int) -> list[str]:
    """Find known words that a person may have meant, the closest first.

    An error is a letter too many, missing or wrong, or two that changed places; there is one for
    every four letters, and none in the first.
    """
    most = max(1, min(_MAX_ERRORS, len(word) // _LETTERS_PER_ERROR))
    found = [
        (distance(word, each), each)
        for each in known
        if each[:1] == word[:1] and abs(len(each) - len(word)) <= most
    ]
    return [each for errors, each in sorted(found) if errors <= most][:count]


def distance(one: str, other: str) -> int:
    """Count the errors between two words (Damerau and Levenshtein, no letter moved twice)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        above, row = row, [i]
        for j, wanted in enumerate(other, start=1):
            least = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                least = min(least, before[j - 2] + 1)
            row.append(least)
        before = above
    return row[-1]


def respelt(words: Sequence[str], known: Collection[str]) -> list[str]:
    """Write together what is known so ("wood pecker"), and apart what is not ("gunfight").

    Args:
        words: of a text, in its order.
        known: all words there are.
    """
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] + word in known:
            joined[-1] += word
        else:
            joined.append(word)
    return [part for word in joined for part in _parts(word, known)]


def _parts(word: str, known: Collection[str]) -> tuple[str, ...]:
    """Split an unknown word into two known ones, as even as can be."""
    if word in known:
        return (word,)
    cuts = range(_MIN_PART, len(word) - _MIN_PART + 1)
    for cut in sorted(cuts, key=lambda cut: abs(2 * cut - len(word))):
        if word[:cut] in known and word[cut:] in known:
            return word[:cut], word[cut:]
    return (word,)
