"""Which words have vectors, what kind they are, and the vectors they start from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from text_encoder.wordnet import WordNet
from uss.conditions.text_words import ENGLISH, NAME, OF_SOUNDS, words_in


def choose_words(
    class_texts: Sequence[str],
    captions: Sequence[str],
    kinds: Sequence[str],
    common: Iterable[str],
    wordnet: WordNet,
) -> tuple[list[str], list[int]]:
    """Choose words, the commonest first, and say of what kind they are.

    Args:
        class_texts: names and descriptions of classes.
        captions: texts about sounds; what stands in one of them alone may be misspelt.
        kinds: names of things.
        common: words in the order of how common they are, of whatever language.
        wordnet: knows what is English.
    """
    counts = Counter(word for text in captions for word in words_in(text))
    own = Counter(word for text in class_texts for word in words_in(text))
    common = list(common)
    english = {lemma.casefold() for lemma in wordnet.by_lemma}

    def is_english(word: str) -> bool:
        return word in english or any(form in english for form in _bases(word))

    listed = frozenset(common) | own.keys()
    of_sounds = [
        word
        for word in (counts + own)
        if word in own or (counts[word] > 1 and (is_english(word) or word in listed))
    ]
    of_sounds.sort(key=lambda word: (-counts[word] - own[word], word))
    kind = {word: OF_SOUNDS for word in of_sounds if not word.isdigit()}
    for text in kinds:
        for word in words_in(text):
            kind.setdefault(word, ENGLISH)
    for word in common:
        kind.setdefault(word, ENGLISH if is_english(word) else NAME)
    return list(kind), list(kind.values())


def _bases(word: str) -> Iterable[str]:
    for ending in ("s", "es", "d", "ed", "ing", "ly", "er"):
        if word.endswith(ending):
            yield word.removesuffix(ending)
            yield word.removesuffix(ending) + "e"


def common_words(tokenizer: Any) -> list[str]:
    """Whole words of a BERT vocabulary, which lists the commoner first."""
    entries = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    return [word for word, _ in entries if word.isascii() and word.isalpha()]


def sentence_model(folder: Path) -> tuple[Any, Any]:
    """Load all-MiniLM-L6-v2: its tokenizer and its network."""
    from transformers import AutoModel, AutoTokenizer

    return AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()


def starting_vectors(words: Sequence[str], folder: Path, size: int) -> NDArray[np.float32]:
    """(V, H) of words: what a sentence of each alone means, in its principal components.

    Components are brought half-way to one variance, as the first say mostly how common a word is.
    """
    tokenizer, network = sentence_model(folder)
    vectors = np.zeros((len(words), network.config.hidden_size), np.float32)
    with torch.inference_mode():
        for start in range(0, len(words), 256):
            part = list(words[start : start + 256])
            batch = tokenizer(part, padding=True, return_tensors="pt")
            mask = batch["attention_mask"][..., None]
            states = network(**batch).last_hidden_state
            vectors[start : start + 256] = ((states * mask).sum(1) / mask.sum(1)).numpy()
    centred = vectors - vectors.mean(axis=0)
    values, components = np.linalg.eigh(centred.T @ centred / len(centred))
    values, components = values[::-1][:size], components[:, ::-1][:, :size]
    scaled = centred @ components / values**0.25
    return (scaled / scaled.std()).astype(np.float32)
