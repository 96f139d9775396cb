"""Short texts that stand for classes: names, aliases, descriptions, and kinds of things."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ontology import Ontology
from text_encoder.wordnet import Synset, WordNet
from uss.taggers import NUM_CLASSES

_HERE = Path(__file__).parent
_MAX_UNION = 6
_MAX_WORDS = 3
_HINT = 0.4
# How sure one is of a parent's label without data, and how many clips that is worth.
_PRIOR, _PRIOR_CLIPS = 0.4, 3.0


@dataclass(frozen=True)
class Texts:
    """Texts and the probabilities of classes that they ask for.

    Attributes:
        texts: N of them.
        targets: (N, K) in [0, 1].
    """

    texts: list[str]
    targets: NDArray[np.float32]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, NDArray[np.float32]]]) -> Texts:
        """Collect pairs of text and target."""
        texts, targets = zip(*pairs, strict=True)
        return cls(list(texts), np.stack(targets))


class Family:
    """Targets of a node: its class, and the classes above it as often as labels name them too."""

    def __init__(self, ontology: Ontology, labels: NDArray[np.float32]) -> None:
        self._ontology = ontology
        counts = labels.sum(axis=0)
        together = labels.T @ labels
        self._above = (together + _PRIOR * _PRIOR_CLIPS) / (counts[:, None] + _PRIOR_CLIPS)

    def target(self, mids: Sequence[str], strength: float = 1.0) -> NDArray[np.float32]:
        """(K,) of one node, or of several that one word stands for."""
        target = np.zeros(NUM_CLASSES, np.float32)
        nodes = [self._ontology.nodes[mid] for mid in mids]
        indexes = [
            index
            for node in nodes
            for index in (
                self._ontology.class_indexes(node)
                if node.class_index is None
                else (node.class_index,)
            )
        ]
        target[indexes] = 1.0 if len(indexes) <= _MAX_UNION else _HINT
        for index in indexes:
            for node in self._ontology.ancestors(self._ontology.classes[index]):
                if node.class_index is not None:
                    share = float(self._above[index, node.class_index])
                    target[node.class_index] = max(target[node.class_index], share)
        return target * np.float32(strength)


def named(ontology: Ontology, family: Family) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Names, their parts, aliases, and hints, which only come near."""
    for node in ontology.nodes.values():
        target = family.target([node.mid])
        for part in {node.name, *node.name.split(", ")}:
            yield part, target
    for alias, mids in ontology.aliases.items():
        yield alias, family.target(mids)
    for hint, mids in ontology.hints.items():
        nearest = family.target(mids[:1], _HINT)
        others = [family.target([mid], 0.6 * _HINT) for mid in mids[1:]]
        yield hint, np.max([nearest, *others], axis=0)


def described(family: Family) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """What people say of each class, in words of our own; a text may describe several classes."""
    asked: dict[str, list[str]] = {}
    with (_HERE / "descriptions.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for text in row["texts"].split("; "):
                asked.setdefault(text.strip(), []).append(row["mid"])
    for text, mids in asked.items():
        yield text, family.target(mids)


def kinds(wordnet: WordNet, family: Family) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Kinds of what ``kinds.csv`` lists, such as breeds of dogs, with their targets."""
    for lemma, (_, mid) in nearest_kinds(wordnet).items():
        yield lemma, family.target([mid])


def nearest_kinds(wordnet: WordNet) -> dict[str, tuple[Synset, str]]:
    """Kinds of what ``kinds.csv`` lists, by WordNet: their meaning and mid; the nearest counts."""
    nearest: dict[str, tuple[int, str, Synset]] = {}
    with (_HERE / "kinds.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            meanings = wordnet.find(row["word"], row["lex_file"])
            if not meanings:
                raise ValueError(f"WordNet has no {row['word']!r} in {row['lex_file']}")
            # The common meaning has the most kinds.
            meaning = max(meanings, key=lambda each: sum(1 for _ in wordnet.below(each)))
            for depth, synset in wordnet.below(meaning):
                for lemma in synset.lemmas:
                    if len(lemma.split()) > _MAX_WORDS:
                        continue
                    found = (depth, row["mid"], synset)
                    known = nearest.get(lemma)
                    if known is None or found[:2] < known[:2]:
                        nearest[lemma] = found
    return {lemma: (synset, mid) for lemma, (_, mid, synset) in nearest.items()}


def read_captions(path: Path, split: str, ontology: Ontology) -> Texts:
    """Captions of AudioCaps with the labels of their clips.

    Args:
        path: CSV with ``source,split,caption,mids``; other sources than AudioCaps are left out.
        split: train, val or test.
        ontology: knows the classes.
    """
    texts, targets = [], []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if (row["source"], row["split"]) != ("audiocaps", split):
                continue
            target = np.zeros(NUM_CLASSES, np.float32)
            for mid in row["mids"].split(";"):
                index = ontology.nodes[mid].class_index if mid in ontology.nodes else None
                if index is not None:
                    target[index] = 1.0
            texts.append(row["caption"])
            targets.append(target)
    return Texts(texts, np.stack(targets))
