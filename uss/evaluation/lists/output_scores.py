"""Scores of outputs that need more than waveforms: a caption, a class, or a network that hears."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from uss.audio import Recording
from uss.core.arrays import Waveform
from uss.core.errors import InputError
from uss.evaluation.lists.captions import Captions
from uss.evaluation.lists.condition_maker import class_nodes
from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.mixtures import Mixture
from uss.separation.separator import Separator
from uss.separation.stem_scoring import StemScorer


class OutputScore(Protocol):
    """A metric of one output of a row."""

    def check(self, row: ListRow) -> None:
        """See whether a row holds what it needs.

        Raises:
            OSError, ValueError: if not.
        """
        ...

    def values(self, output: Waveform, mixture: Mixture, row: ListRow) -> Sequence[float]:
        """Score a (C, T) output; as many values as the metric has names."""
        ...


class TextScore(Protocol):
    """A score of a stem and its caption."""

    def check(self, caption: str) -> None:
        """See whether a caption can be compared with."""
        ...

    def match(self, caption: str, stem: Waveform, sample_rate: int) -> float:
        """Score a (C, T) stem."""
        ...


class OfCaption:
    """An ``OutputScore`` of the row's caption.

    Args:
        score: compares it with a stem.
    """

    def __init__(self, score: TextScore) -> None:
        self._score = score

    def check(self, row: ListRow) -> None:
        """See ``OutputScore``."""
        self._score.check(row.caption)

    def values(self, output: Waveform, mixture: Mixture, row: ListRow) -> Sequence[float]:
        """See ``OutputScore``."""
        return [self._score.match(row.caption, output, mixture.sample_rate)]


class OfClass:
    """Precision, recall and F1 of the row's class by the separator's tagger: an ``OutputScore``.

    What is left is the mixture without the output.

    Args:
        separator: its tagger hears.
        captions: know what rows say in words.
        overlap: of neighbouring segments.
    """

    def __init__(self, separator: Separator, captions: Captions, overlap: float) -> None:
        self._scorer = StemScorer(separator, overlap)
        self._ontology = separator.ontology
        self._captions = captions

    def check(self, row: ListRow) -> None:
        """See ``OutputScore``."""
        self._classes(row)

    def values(self, output: Waveform, mixture: Mixture, row: ListRow) -> Sequence[float]:
        """See ``OutputScore``."""
        stem, rest = (
            Recording(each, mixture.sample_rate) for each in (output, mixture.mixture - output)
        )
        found = self._scorer.score(self._classes(row), stem, rest)
        return [math.nan] * 3 if found is None else [found.precision, found.recall, found.f1]

    def _classes(self, row: ListRow) -> list[int]:
        """All classes at or below those that a row names, or else its caption means.

        Raises:
            InputError: if one is unknown, or there is neither.
        """
        if row.class_name or row.mids:
            nodes = class_nodes(row.class_name, row.mids, self._ontology)
            return sorted({i for node in nodes for i in self._ontology.class_indexes(node)})
        if row.caption:
            return list(self._captions.query(row.caption).class_indexes)
        raise InputError(
            "it names no class, which --metrics tagger-score listens for; fill the column class, "
            "mids or caption"
        )
