"""Classes asked for in words, by separators that were trained with text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ontology import Ontology
from uss.conditions.class_queries import SEQUENCE_SPACES, ClassQueries
from uss.conditions.text_encoders import TextEncoder
from uss.core.arrays import Float32
from uss.core.errors import InputError

DEFAULT_TEMPLATE = "{name}"
_FIELDS = ("{name}", "{lower}")
_MAX_NAMED = 3


class ClassWords(ClassQueries):
    """One text per class; a class's text is encoded when it is first asked for.

    A film needs the words of a few dozen of the 527 classes, and encoding all of them takes longer
    than detecting anything in it.

    Args:
        encoder: makes conditions of texts.
        words: class index -> its text.
    """

    def __init__(self, encoder: TextEncoder, words: Mapping[int, str]) -> None:
        indexes = tuple(sorted(words))
        object.__setattr__(self, "space", encoder.space)
        object.__setattr__(self, "class_indexes", indexes)
        object.__setattr__(self, "words", tuple(words[index] for index in indexes))
        object.__setattr__(self, "_encoder", encoder)
        object.__setattr__(self, "_encoded", {})

    words: tuple[str, ...]
    _encoder: TextEncoder
    _encoded: dict[int, Float32]

    @property
    def identity(self) -> object:
        """The space and the words; see ``ClassQueries``."""
        return [self.space, list(self.words)]

    def content(self) -> bytes:
        """Give the words, so that a hash needs no text network; see ``ClassQueries``."""
        return "\n".join((self.space, *self.words)).encode()

    # A field of the parent's, which here is made when it is asked for.
    @property
    def vectors(self) -> Float32:
        """(N, H) of all classes."""
        return self.of_rows(range(len(self.words)))

    def of_rows(self, rows: Sequence[int]) -> Float32:
        """Encode the words of some classes; see ``ClassQueries``."""
        missing = [row for row in dict.fromkeys(rows) if row not in self._encoded]
        if missing:
            made = self._encoder.encode([self.words[row] for row in missing])
            self._encoded.update(zip(missing, made, strict=True))
        vectors: Float32 = np.stack([self._encoded[row] for row in rows])
        return vectors

    def check(self) -> None:
        """See, before anything is separated, whether words can be encoded at all.

        Raises:
            OSError, ValueError: see ``TextEncoder``.
        """
        self.of_rows([0])

    def __eq__(self, other: Any) -> bool:
        """Equal are queries with the same words of the same encoder."""
        return (
            isinstance(other, ClassWords)
            and self.identity == other.identity
            and self._encoder is other._encoder
        )

    def __hash__(self) -> int:
        return hash((self.space, self.words))


class ClassSentences(ClassWords):
    """Where a vector holds a text's tokens, a group of classes is asked for in one text.

    A mean of such vectors says nothing, so that the texts of those that are heard are joined.
    """

    def condition(self, class_indexes: Sequence[int], probabilities: Float32) -> Float32 | None:
        """Query a group of classes; see ``ClassQueries``.

        The text names the most probable classes of each row, at most three, which are at least
        half as probable as the first; all alike where none is heard.
        """
        wanted = set(class_indexes)
        rows = [row for row, index in enumerate(self.class_indexes) if index in wanted]
        if not rows:
            return None
        heard = probabilities[..., [self.class_indexes[row] for row in rows]]
        flat = heard.reshape(-1, len(rows))
        vectors = [self._of_text(self._said([rows[i] for i in _loudest(each)])) for each in flat]
        return np.stack(vectors).reshape(*heard.shape[:-1], -1)

    def _said(self, rows: Sequence[int]) -> str:
        return " and ".join(self.words[row] for row in rows)

    def _of_text(self, text: str) -> Float32:
        if text not in self._sentences:
            (self._sentences[text],) = self._encoder.encode([text])
        return self._sentences[text]

    @cached_property
    def _sentences(self) -> dict[str, Float32]:
        return {}


def _loudest(heard: Float32) -> list[int]:
    """Places of the most probable classes, the first of equal ones."""
    order = np.argsort(-heard, kind="stable")[:_MAX_NAMED]
    return [int(place) for place in order if heard[place] >= 0.5 * heard[order[0]]]


def class_words(
    encoder: TextEncoder, ontology: Ontology, template: str = DEFAULT_TEMPLATE
) -> ClassWords:
    """Ask for every class by its name.

    Args:
        encoder: makes conditions of texts.
        ontology: names the classes.
        template: what is said, in the way the separator was trained; ``{name}`` stands for the
            class's name, ``{lower}`` for it in lower case.

    Raises:
        ValueError: if the template names neither.
    """
    check_template(template)
    names = {
        node.class_index: node.name for node in ontology.classes if node.class_index is not None
    }
    words = {
        index: template.replace("{name}", name).replace("{lower}", name.lower())
        for index, name in names.items()
    }
    kind = ClassSentences if encoder.space in SEQUENCE_SPACES else ClassWords
    return kind(encoder, words)


def check_template(template: str) -> None:
    """Refuse a template that would ask for every class alike.

    Raises:
        ValueError: if it does not say where the class's name goes.
    """
    if not any(field in template for field in _FIELDS):
        raise InputError(
            f"the template {template!r} does not say where the class's name goes; write "
            f"{' or '.join(_FIELDS)} in it"
        )
