"""The embedded text encoder: words to the probabilities of the 527 classes."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np
from safetensors import safe_open

from uss.conditions.text_words import NAME, Lexicon, words_in
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.taggers import NUM_CLASSES, PROBABILITY_SPACE

_FILE = "text.safetensors"
_KERNEL = 3
MAX_WORDS = 64
"""Of a text; what comes after says nothing."""


class TextClasses:
    """A small network: word vectors, one convolution over words, mean and maximum, two layers.

    ``scripts/train_text_encoder.py`` trains it; ``docs/text-queries.md`` says on what, and how well
    it does.

    Args:
        lexicon: the words; those that are no names have vectors, in its order.
        weights: ``vectors`` (V, H), ``convolution`` (W, 3 H), ``hidden`` (D, 2 W), ``classes``
            (K, D), each int8 with a scale per row (``<name>.scale``), and ``<name>.bias``.
        abstaining: a text whose most probable class is below this is not understood.

    Attributes:
        space: of its vectors: the probabilities of the classes.
        vectors, vector_scales: (V, H) int8 and (V,), whose products are the word vectors.
        layers: name to matrix and bias, ``convolution``, ``hidden`` and ``classes``.
    """

    space = PROBABILITY_SPACE

    def __init__(
        self, lexicon: Lexicon, weights: Mapping[str, np.ndarray[Any, Any]], abstaining: float
    ) -> None:
        self.lexicon = lexicon
        self.abstaining = abstaining
        spoken = (word for word in lexicon.indexes if lexicon.kind(word) != NAME)
        self._rows = {word: row for row, word in enumerate(spoken)}
        self.vectors = weights["vectors"]
        self.vector_scales = weights["vectors.scale"].astype(np.float32)
        self.layers = {
            name: (_restored(weights, name), weights[f"{name}.bias"].astype(np.float32))
            for name in ("convolution", "hidden", "classes")
        }
        sizes = len(self._rows), len(self.layers["classes"][0])
        if sizes != (len(self.vectors), NUM_CLASSES):
            raise InputError(f"the text encoder's file has wrong sizes {sizes}; install it again")

    def encode(self, texts: Sequence[str]) -> Float32:
        """Map N texts to (N, K) probabilities; see ``TextEncoder``."""
        return np.stack([self.probabilities(words_in(text)) for text in texts])

    def probabilities(self, words: Iterable[str]) -> Float32:
        """(K,) probabilities that a text of these words asks for each class; 0 of no known word."""
        rows = self.rows(words)
        if not rows:
            return np.zeros(NUM_CLASSES, np.float32)
        vectors = self.vectors[rows].astype(np.float32) * self.vector_scales[rows, None]
        around = np.pad(vectors, ((1, 1), (0, 0)))
        windows = np.hstack([around[at : at + len(rows)] for at in range(_KERNEL)])
        heard = np.maximum(self._apply("convolution", windows), 0.0)
        pooled = np.concatenate([heard.mean(axis=0), heard.max(axis=0)])
        logits = self._apply("classes", np.maximum(self._apply("hidden", pooled), 0.0))
        probabilities: Float32 = (0.5 * (1.0 + np.tanh(0.5 * logits))).astype(np.float32)
        return probabilities

    @property
    def spoken(self) -> tuple[str, ...]:
        """The words that have vectors, in their order."""
        return tuple(self._rows)

    def rows(self, words: Iterable[str]) -> list[int]:
        """Give the rows of a text's words, as far as they are known; ``MAX_WORDS`` of them."""
        known = (each for word in words for each in self.lexicon.read(word).known)
        return [self._rows[word] for word in known if word in self._rows][:MAX_WORDS]

    def _apply(self, name: str, values: Float32) -> Float32:
        matrix, bias = self.layers[name]
        applied: Float32 = values @ matrix.T + bias
        return applied


@functools.cache
def load_text_classes() -> TextClasses:
    """Load the encoder that comes with the package.

    Raises:
        InputError: if its file is damaged.
    """
    source = resources.files("uss").joinpath("weights", _FILE)
    with resources.as_file(source) as path, safe_open(path, framework="numpy") as file:
        metadata = json.loads((file.metadata() or {}).get("text_classes", "{}"))
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if "abstaining" not in metadata:
        raise InputError(f"{source} is no text encoder; install the package again")
    words = weights["words"].tobytes().decode().split("\n")
    synonyms = dict(pair.split("\t") for pair in _lines(weights["synonyms"]))
    lexicon = Lexicon(words, weights["kinds"].tolist(), synonyms)
    return TextClasses(lexicon, weights, metadata["abstaining"])


def _lines(stored: np.ndarray[Any, Any]) -> list[str]:
    return [line for line in stored.tobytes().decode().split("\n") if line]


def _restored(weights: Mapping[str, np.ndarray[Any, Any]], name: str) -> Float32:
    restored: Float32 = weights[name] * weights[f"{name}.scale"].astype(np.float32)[:, None]
    return restored
