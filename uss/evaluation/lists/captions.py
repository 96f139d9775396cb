"""Captions of a list: what a separator is asked with in words, and how well a stem matches them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from uss.audio import Recording
from uss.conditions.text_queries import MeantClass, TextQuery
from uss.core.arrays import Float32, Indexes, Waveform
from uss.core.errors import InputError
from uss.metrics.alike import cosine
from uss.separation.separator import Separator
from uss.taggers import NUM_CLASSES

logger = logging.getLogger(__name__)

Condition: TypeAlias = Callable[[Indexes], Float32]
"""Maps (N,) segment numbers to (N, H)."""


class Captions:
    """Reads each caption once.

    Args:
        separator: is asked, and its tagger hears stems.
    """

    def __init__(self, separator: Separator) -> None:
        self._separator = separator
        self._queries: dict[str, TextQuery] = {}
        self._has_told = False

    def query(self, caption: str) -> TextQuery:
        """Make the query of a caption.

        Raises:
            InputError: if there is none, it is not understood, only excludes, or the separator
                cannot be asked for it.
        """
        if caption not in self._queries:
            if not caption:
                raise InputError("it has no caption, which --condition text asks with")
            queries = self._separator.text_queries([caption]).queries
            if not queries:
                raise InputError(f"its caption {caption!r} asks for nothing; correct it")
            queries[0].check(self._separator.conditioning)
            self._queries[caption] = queries[0]
        return self._queries[caption]

    def condition(self, caption: str, heard: Float32) -> Condition:
        """Ask with a caption, by what is meant and heard; see ``TextQuery``.

        Args:
            caption: of a row.
            heard: (I, K) class probabilities of the mixture's segments.

        Raises:
            InputError: as ``query``.
        """
        query = self.query(caption)
        return lambda segments: query.conditions(heard[segments], self._separator.conditioning)

    def other_condition(self, caption: str, heard: Float32) -> Condition | None:
        """Ask with the interferer's caption; None if there is none, or nothing in it is known.

        The log says so once, as the scores of what is asked for in its place are then undefined.
        """
        if not caption:
            return None
        try:
            return self.condition(caption, heard)
        except InputError as error:
            if not self._has_told:
                logger.warning(
                    "an interferer's caption is not understood, so that swapped scores are "
                    "undefined there: %s",
                    error,
                )
            self._has_told = True
            return None

    def check(self, caption: str) -> None:
        """See whether the classes of a caption are known.

        Raises:
            InputError: as ``query``; or if only the separator's own encoder understands it.
        """
        if not caption:
            raise InputError("it has no caption, which --metrics text-match compares with")
        if not self.query(caption).understood:
            raise InputError(f"its caption {caption!r} means no classes to compare a stem with")

    def match(self, caption: str, stem: Waveform, sample_rate: int) -> float:
        """How alike a caption and a stem are, in the classes of the tagger; needs no reference.

        Args:
            caption: of a row.
            stem: (C, T).
            sample_rate: in Hz.

        Returns:
            The cosine of what the caption means and the mean of what is heard, in [0, 1]; 0 of a
            silent stem.

        Raises:
            InputError: as ``check``.
        """
        self.check(caption)
        meant = np.zeros(NUM_CLASSES, np.float32)
        for each in self.query(caption).understood:
            meant[list(self._classes_of(each))] = each.weight
        heard = self._separator.analyse(Recording(stem, sample_rate)).probabilities
        return cosine(meant, heard.mean(axis=0))

    def _classes_of(self, meant: MeantClass) -> tuple[int, ...]:
        """The class, or all below a node that is none."""
        if meant.class_index is not None:
            return (meant.class_index,)
        return self._separator.ontology.class_indexes(meant.mid)
