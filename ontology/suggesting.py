"""What a person may have meant: names by the meaning of their words, by letters only at last."""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from ontology.spelling import close_to, respelt
from ontology.words import stem, words_of

_FILLERS = """
a an and any are as at audio by clip during etc for from her his in is it its like loud my near new
of off old on or other out over record recording some sound that the then there this to very when
where while with
"""
_MEANINGLESS = frozenset(stem(word) for word in _FILLERS.split())
_FUNCTION_WORDS_AS_TEXT = "an and at by in is it of on or the to"
_FUNCTION_WORDS = frozenset(_FUNCTION_WORDS_AS_TEXT.split())
_MIN_PREFIX = 4
_MAX_ENDING = 3
_SHARED_PREFIX = 0.5
_COMPOUND = 0.6
_MISSPELT = 0.6
_FAMILY_BONUS = 0.15
_SEVERAL = 0.9
# What comes near comes the less near the further back it is named.
_NEXT_HINT = 0.9
# Of the best suggestion's score; what is further behind shares only a common word with the text.
_MIN_SHARE = 0.55
_MIN_SCORE = 0.2


class _Phrase(NamedTuple):
    """A way to name something.

    Attributes:
        stems: of its words.
        suggestion: what would be typed.
        mid: of the node; empty where it is an alias of several.
        worth: how well it says what a person gets, up to 1.
    """

    stems: frozenset[str]
    suggestion: str
    mid: str
    worth: float = 1.0


class Vocabulary:
    """All names and aliases, to find those that mean what a text means.

    Args:
        names: Of the nodes, by mid.
        above: The mids above each node, nearest first.
        aliases: To the mids they stand for.
        with_classes: Mids of the nodes that can be asked for; others are suggested by what lies
            above them.
        hints: Words for what is no node, to the mids of what comes near, the nearest first.
    """

    def __init__(
        self,
        names: Mapping[str, str],
        above: Mapping[str, Sequence[str]],
        aliases: Mapping[str, Sequence[str]],
        with_classes: Collection[str],
        hints: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._names = names
        self._above = above
        self._aliases = aliases
        self._with_classes = with_classes
        self._hints = hints or {}
        self._words = {
            word for each in (*names.values(), *aliases, *self._hints) for word in words_of(each)
        }
        self._phrases = [*self._of_nodes(), *self._of_aliases(), *self._of_hints()]
        counts = Counter(each for phrase in self._phrases for each in phrase.stems)
        self._weights = {
            each: math.log(1.0 + len(self._phrases) / count) for each, count in counts.items()
        }

    def like(self, text: str, count: int = 3) -> list[str]:
        """Suggest at most so many names, the likeliest first; none if nothing is like the text."""
        words = respelt(words_of(text), self._words)
        if not any(_says_something(word) for word in words):
            return []
        found = self._by_meaning(_stems(" ".join(words)), count)
        if found and not self._words.isdisjoint(words):
            return found
        # What is no word at all may be a name that was spelt wrongly.
        return list(dict.fromkeys([*self._by_letters(text, count), *found]))[:count]

    def _of_nodes(self) -> Iterable[_Phrase]:
        """Names, and each part of those that list several words for one thing."""
        for mid, name in self._names.items():
            askable = self._askable(mid)
            if askable is not None:
                for part in {name, *name.split(", ")}:
                    yield _Phrase(_stems(part), self._names[askable], askable)

    def _of_aliases(self) -> Iterable[_Phrase]:
        for alias, mids in self._aliases.items():
            if len(mids) > 1:
                # One node says better what a person gets than a word for several.
                yield _Phrase(_stems(alias), alias, "", _SEVERAL)
            elif mids[0] in self._names:
                yield _Phrase(_stems(alias), self._names[mids[0]], mids[0])

    def _of_hints(self) -> Iterable[_Phrase]:
        for hint, mids in self._hints.items():
            for place, mid in enumerate(mids):
                yield _Phrase(_stems(hint), self._names[mid], mid, _NEXT_HINT**place)

    def _askable(self, mid: str) -> str | None:
        """The node itself, or the nearest above it that holds a class."""
        return next((each for each in (mid, *self._above[mid]) if each in self._with_classes), None)

    def _by_meaning(self, asked: frozenset[str], count: int) -> list[str]:
        """Rank by the weight of the words shared, rare ones counting more, and by the family."""
        weight = sum(self._weight(each) for each in asked)
        alike = {each: self._alike(each) for each in asked}
        scores: dict[str, float] = {}
        matched: dict[str, set[str]] = {}
        mids: dict[str, str] = {}
        for phrase in self._phrases:
            shared = {word: phrase.stems & alike[word].keys() for word in asked}
            hits = {word for word, found in shared.items() if found}
            if not hits:
                continue
            best = {word: max(alike[word][each] for each in shared[word]) for word in hits}
            in_text = sum(best[word] * self._weight(word) for word in hits)
            in_phrase = sum(
                max(alike[word].get(each, 0.0) for word in hits) * self._weight(each)
                for each in phrase.stems
            )
            own = sum(self._weight(each) for each in phrase.stems)
            score = phrase.worth * (in_text + in_phrase) / (weight + own)
            mids[phrase.suggestion] = phrase.mid
            matched.setdefault(phrase.suggestion, set()).update(hits)
            scores[phrase.suggestion] = max(score, scores.get(phrase.suggestion, 0.0))
        return self._ranked(scores, matched, mids, count)

    def _ranked(
        self,
        scores: Mapping[str, float],
        matched: Mapping[str, set[str]],
        mids: Mapping[str, str],
        count: int,
    ) -> list[str]:
        """Prefer families: where one word names a node, and another what lies below it."""
        by_mid = {mid: name for name, mid in mids.items() if mid}

        def total(name: str) -> float:
            above = [by_mid[mid] for mid in self._above.get(mids[name], ()) if mid in by_mid]
            is_family = any(matched[name] - matched[other] for other in above)
            return scores[name] + (_FAMILY_BONUS if is_family else 0.0)

        ranked = sorted(scores, key=lambda name: (-total(name), name))
        if not ranked or scores[ranked[0]] < _MIN_SCORE:
            return []
        least = _MIN_SHARE * total(ranked[0])
        chosen = [name for name in ranked[:count] if total(name) >= least]
        above = self._above.get(mids[chosen[0]], ())
        parent = next((self._names[mid] for mid in above if mid in self._with_classes), None)
        if len(chosen) < count and parent is not None and parent not in chosen:
            # Who asks for what there is not may be content with something coarser.
            chosen.append(parent)
        return chosen

    def _weight(self, word: str) -> float:
        """How much a word says: the rarer the more."""
        return self._weights.get(word, math.log(1.0 + len(self._phrases)))

    def _alike(self, word: str) -> dict[str, float]:
        """Known words that mean the same or nearly so, in (0, 1]."""
        found: dict[str, float] = {}
        if word not in self._weights:
            found = dict.fromkeys(close_to(word, self._weights, 3), _MISSPELT)
        is_new = word not in self._weights and not found
        for known in self._weights:
            short, long = sorted((word, known), key=len)
            if len(short) < _MIN_PREFIX or known in found:
                continue
            if long.startswith(short) and len(long) - len(short) <= _MAX_ENDING:
                found[known] = _SHARED_PREFIX
            elif is_new and long.startswith(short):
                found[known] = _COMPOUND
        return found | ({word: 1.0} if word in self._weights else {})

    def _by_letters(self, text: str, count: int) -> list[str]:
        """What is spelt like it: names first, then what aliases mean."""
        names = {
            name.casefold(): name for mid, name in self._names.items() if mid in self._with_classes
        }
        aliases = {
            alias.casefold(): self._names[mids[0]]
            for alias, mids in self._aliases.items()
            if len(mids) == 1
        }
        found: dict[str, None] = {}
        for known in (names, aliases):
            for close in close_to(text.casefold(), known, count):
                found.setdefault(known[close])
        return list(found)[:count]


def _says_something(word: str) -> bool:
    return len(word) > 1 and word not in _FUNCTION_WORDS


def _stems(text: str) -> frozenset[str]:
    """Stems of the words that say something; of all words if none does."""
    stems = frozenset(stem(word) for word in words_of(text))
    return stems - _MEANINGLESS or stems
