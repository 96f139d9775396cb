"""What the sources of a mixture are asked for with, and what else is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from uss.core.arrays import Bools, Float32
from uss.data.active_classes import ActiveClasses
from uss.data.other_groups import OtherGroupAverages
from uss.shards import Rows, ShardReader

_MAX_DRAWS = 50
_MAYBE_THERE = 0.15
_SUSPECTED = 0.03
_SUSPECTED_SHARE = 0.3
_MAX_BELOW = 6
_FAINTEST = 1e-4


class Question(NamedTuple):
    """A query of one mixture.

    Attributes:
        condition: (H,).
        sources: which sources of the mixture it asks for; none if it is absent.
    """

    condition: Float32
    sources: tuple[int, ...]


class Asker:
    """Draws the queries of a mixture of anchors.

    Args:
        reader: the anchors.
        conditions: (N, H), one per anchor.
        classes: which are active in each anchor.
        averages: what classes are asked for with.
        oracle, above, max_absent: see ``uss.data.joint.JointMixing``.
    """

    def __init__(
        self,
        reader: ShardReader,
        conditions: Rows,
        classes: ActiveClasses,
        averages: OtherGroupAverages,
        *,
        oracle: float,
        above: float,
        max_absent: int,
    ) -> None:
        self.reader = reader
        self.conditions = conditions
        self.classes = classes
        self.averages = averages
        self.oracle = oracle
        self.above = above
        self.max_absent = max_absent
        self._rows_with = reader.label_lists.rows_of_classes()

    @property
    def condition_size(self) -> int:
        """H."""
        return int(self.conditions.shape[1])

    def ask(self, rows: Sequence[int], is_asked: Bools, rng: np.random.Generator) -> list[Question]:
        """Draw the queries of one mixture: of its sources in random order, then absent ones.

        Args:
            rows: the anchors that are its sources.
            is_asked: (J,) which of them are asked for.
            rng: draws.
        """
        tags = self.reader.tags[list(rows)].max(axis=0)
        questions: list[Question] = []
        taken: set[int] = set()
        for source in rng.permutation(np.flatnonzero(is_asked)).tolist():
            if source not in taken:
                question = self._ask_for(source, rows, taken, tags, rng)
                taken.update(question.sources)
                questions.append(question)
        for _ in range(int(rng.integers(self.max_absent + 1))):
            absent = self._absent(rows, tags, rng)
            if absent is not None:
                questions.append(Question(absent, ()))
        return questions

    def _ask_for(
        self,
        source: int,
        rows: Sequence[int],
        taken: set[int],
        tags: Float32,
        rng: np.random.Generator,
    ) -> Question:
        row = rows[source]
        draw = rng.random()
        if draw < self.oracle:
            return Question(self.conditions[row], (source,))
        index, group = int(self.reader.class_index[row]), int(self.reader.group_number[row])
        parents = self.averages.above[index]
        if draw < self.oracle + self.above and parents:
            parent = int(rng.choice(parents))
            members = {source} | {
                other for other, row in enumerate(rows) if self.classes.active[row, parent]
            }
            if not members & taken:
                return Question(self._group(parent, group, tags, rng), tuple(sorted(members)))
        return Question(self.averages.draw(index, group, rng), (source,))

    def _group(self, parent: int, group: int, tags: Float32, rng: np.random.Generator) -> Float32:
        """Ask for a class with all below it, as ``ClassQueries.condition`` does at inference."""
        below = np.array(self.averages.at_or_below[parent])
        weights = tags[below] + _FAINTEST
        most = np.argsort(-weights)[:_MAX_BELOW]
        weights = weights[most] / weights[most].sum()
        drawn = [self.averages.draw(int(index), group, rng) for index in below[most]]
        return np.tensordot(weights, np.stack(drawn), axes=1).astype(np.float32)

    def _absent(
        self, rows: Sequence[int], tags: Float32, rng: np.random.Generator
    ) -> Float32 | None:
        """Draw a class that is not there, often one that a tagger suspects; None if all may be."""
        active: Bools = np.logical_or.reduce(self.classes.active[list(rows)], axis=0)
        suspected = [
            index
            for index in self.averages.class_indexes
            if _SUSPECTED < tags[index] < _MAYBE_THERE and not active[index]
        ]
        for _ in range(_MAX_DRAWS):
            among = self.averages.class_indexes
            if suspected and rng.random() < _SUSPECTED_SHARE:
                among = suspected
            index = int(rng.choice(among))
            family = self.averages.at_or_below[index]
            if tags[index] < _MAYBE_THERE and not active[[index, *family]].any():
                if rng.random() >= self.oracle:
                    return self.averages.draw(index, None, rng)
                own: Float32 = self.conditions[int(rng.choice(self._rows_with[index]))]
                return own
        return None
