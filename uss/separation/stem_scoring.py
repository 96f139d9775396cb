"""Stems scored by the separator's own tagger, without a reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ontology import Ontology
from uss.audio import AudioSource
from uss.core.arrays import Bools
from uss.detection.defaults import DEFAULT_OVERLAP
from uss.metrics.tagger_score import TaggerScore, tagger_score
from uss.separation.separator import Separator
from uss.taggers import NUM_CLASSES

_NO_SOUNDS = ("/m/028v0c", "/t/dd00093")
"""Silence, and the rooms that a recording was made in: in a pure stem they are heard too."""


class StemScorer:
    """Lets a separator's tagger hear stems; see ``uss.metrics.tagger_score``.

    Args:
        separator: its tagger hears.
        overlap: of neighbouring segments.
    """

    def __init__(self, separator: Separator, overlap: float = DEFAULT_OVERLAP) -> None:
        self._separator = separator
        self._overlap = overlap

    def score(
        self,
        class_indexes: Sequence[int],
        stem: AudioSource,
        rest: AudioSource,
        active: Bools | None = None,
    ) -> TaggerScore | None:
        """Score a stem.

        Args:
            class_indexes: the classes that it is to hold.
            stem: what was separated.
            rest: the mixture without it, of the same length.
            active: (I,) the segments that count, those in which it was asked for; None for all.

        Returns:
            None where it is to hold no class that taggers know.

        Raises:
            OSError, ValueError: if one of them cannot be read.
        """
        if not class_indexes:
            return None
        wanted = np.zeros(NUM_CLASSES, bool)
        wanted[list(class_indexes)] = True
        heard = [
            self._separator.analyse(each, self._overlap).probabilities for each in (stem, rest)
        ]
        if active is not None:
            heard = [each[active] for each in heard]
        foreign = foreign_classes(class_indexes, self._separator.ontology)
        return tagger_score(heard[0], heard[1], wanted, foreign)


def foreign_classes(class_indexes: Sequence[int], ontology: Ontology) -> Bools:
    """(K,) classes that a stem must not hold: none of the given ones, nor what they are kinds of.

    Args:
        class_indexes: what it is to hold.
        ontology: says what is above.
    """
    foreign = np.ones(NUM_CLASSES, bool)
    foreign[list(class_indexes)] = False
    for index in class_indexes:
        above = [node.class_index for node in ontology.ancestors(ontology.classes[index])]
        foreign[[each for each in above if each is not None]] = False
    for mid in _NO_SOUNDS:
        foreign[list(ontology.class_indexes(mid))] = False
    return foreign
