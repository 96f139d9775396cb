"""What the text encoder learns from, drawn anew for every epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from text_encoder.class_texts import Texts
from uss.conditions.text_words import NAME, Lexicon, words_in
from uss.taggers import NUM_CLASSES

FRAMES = (
    *("{}",) * 4,
    *("the {}", "a {}", "some {}", "my {}", "someone's {}", "the sound of {}", "sound of a {}"),
    *("{} sounds", "{} noise", "the noise of {}", "a recording of {}", "hearing {}", "i hear {}"),
    *("{} in the background", "{} nearby", "{} outside", "loud {}", "distant {}", "{} far away"),
    *("{} at night", "{} in the room", "the old {}", "a small {}", "{} next door", "only {}"),
)
JOINTS = ("and", "with", "while", "then", "and a", "over", "as", "plus", "followed by", "and the")
_KINDS, _SILENT, _JOINED, _BURDENED = 2000, 5000, 3000, 2500
_FORGOTTEN = 0.1

Example = tuple[list[int], NDArray[np.float32]]


@dataclass
class Examples:
    """Texts of all kinds, as rows of words.

    Attributes:
        lexicon: reads words.
        captions: with the labels of their clips.
        classes: texts that stand for classes.
        kinds: kinds of things, such as breeds of dogs.
        silent: texts that ask for no sound.
    """

    lexicon: Lexicon
    captions: Texts
    classes: Texts
    kinds: Texts
    silent: Sequence[str]
    _known: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Number the words that have vectors."""
        spoken = (word for word in self.lexicon.indexes if self.lexicon.kind(word) != NAME)
        self._rows = {word: row for row, word in enumerate(spoken)}

    def rows(self, text: str) -> list[int]:
        """Rows of the vectors of a text's words."""
        rows: list[int] = []
        for word in words_in(text):
            if word not in self._known:
                known = self.lexicon.read(word).known
                self._known[word] = [self._rows[each] for each in known if each in self._rows]
            rows += self._known[word]
        return rows

    def epoch(self, rng: np.random.Generator) -> list[Example]:
        """Draw an epoch, in no order."""
        return [example for example in self._drawn(rng) if example[0]]

    def _drawn(self, rng: np.random.Generator) -> Iterator[Example]:
        nothing = np.zeros(NUM_CLASSES, np.float32)
        for text, target in zip(self.captions.texts, self.captions.targets, strict=True):
            rows = self.rows(text)
            yield [row for row in rows if rng.random() > _FORGOTTEN] or rows, target
        for text, target in zip(self.classes.texts, self.classes.targets, strict=True):
            yield self.rows(_framed(text, rng)), target
        for at in rng.choice(len(self.kinds.texts), _KINDS, replace=False):
            yield self.rows(_framed(self.kinds.texts[at], rng)), self.kinds.targets[at]
        for at in rng.choice(len(self.silent), _SILENT, replace=False):
            yield self.rows(_framed(self.silent[at], rng)), nothing
        for one, other in rng.integers(len(self.classes.texts), size=(_JOINED, 2)):
            joint = JOINTS[rng.integers(len(JOINTS))]
            texts, targets = self.classes.texts, self.classes.targets
            both = f"{_framed(texts[one], rng)} {joint} {_framed(texts[other], rng)}"
            yield self.rows(both), np.maximum(targets[one], targets[other])
        yield from self._burdened(self.captions, rng)
        yield from self._burdened(self.classes, rng)

    def _burdened(self, source: Texts, rng: np.random.Generator) -> Iterator[Example]:
        """Texts with words before or after them that change nothing."""
        for at in rng.integers(len(source.texts), size=_BURDENED):
            rows, burden = self.rows(source.texts[at]), self.rows(self._short(rng))
            yield (burden + rows if rng.random() < 0.5 else rows + burden), source.targets[at]

    def _short(self, rng: np.random.Generator) -> str:
        words = words_in(self.silent[rng.integers(len(self.silent))])
        return " ".join(words[:2])


def _framed(text: str, rng: np.random.Generator) -> str:
    return FRAMES[rng.integers(len(FRAMES))].format(text)
