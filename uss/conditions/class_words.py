"""Classes asked for in words, by separators that were trained with text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ontology import Ontology
from uss.conditions.class_queries import ClassQueries
from uss.conditions.text_encoders import TextEncoder
from uss.core.arrays import Float32
from uss.core.errors import InputError

DEFAULT_TEMPLATE = "{name}"
_FIELDS = ("{name}", "{lower}")


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
    return ClassWords(encoder, words)


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
