"""Fixed mixtures of two classes, which tell how training goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from uss.conditions.class_queries import ClassQueries
from uss.core.errors import InputError
from uss.data.active_classes import ActiveClasses
from uss.data.class_averages import averages_by_index
from uss.data.mixing import energy_matching_gain
from uss.shards import Rows, ShardReader

_SILENCE = 1e-8
_HINT = 0.1


class ValidationBatch(NamedTuple):
    """Two sources at equal energy, each with its condition and its class average.

    Attributes:
        mixture, target, interferer: (B, 1, T).
        oracle, average, swapped: (B, H) the target's own condition, the average of its class, and
            the interferer's own condition.
        other, absent: (B, H) the averages of the interferer's class, and of one that is not there.
        class_index: (B, 3) of the target, the interferer and what is not there.
    """

    mixture: Tensor
    target: Tensor
    interferer: Tensor
    oracle: Tensor
    average: Tensor
    swapped: Tensor
    other: Tensor
    absent: Tensor
    class_index: Tensor


class ValidationMixtures(Dataset[ValidationBatch]):
    """Fixed mixtures of two classes at 0 dB; item i is mixture i (without the axis B).

    Args:
        reader: the validation anchors.
        conditions: (N, H), one per anchor.
        queries: class averages from the *training* anchors.
        classes: only disjoint anchors are mixed.
        size: how many mixtures.
        seed: which ones.

    Raises:
        ValueError: if the anchors allow no mixture.
    """

    def __init__(
        self,
        reader: ShardReader,
        conditions: Rows,
        queries: ClassQueries,
        classes: ActiveClasses,
        *,
        size: int,
        seed: int,
    ) -> None:
        self.reader = reader
        self.conditions = conditions
        self.averages = averages_by_index(reader, queries)
        self.pairs = self._draw(queries, classes, size, np.random.default_rng(seed))
        # Of a generator of its own: the mixtures must stay what they were without it.
        rng = np.random.default_rng([seed, 1])
        self.absent = [
            self._absent_from(pair, queries.class_indexes, classes, rng) for pair in self.pairs
        ]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> ValidationBatch:
        if index >= len(self):
            raise IndexError(index)
        first, second = self.pairs[index]
        target = torch.from_numpy(self.reader.waveform(first))[None]
        interferer = torch.from_numpy(self.reader.waveform(second))[None]
        interferer = energy_matching_gain(target, interferer)[:, None] * interferer
        return ValidationBatch(
            target + interferer,
            target,
            interferer,
            torch.from_numpy(self.conditions[first]),
            torch.from_numpy(self.averages[self.reader.class_index[first]]),
            torch.from_numpy(self.conditions[second]),
            torch.from_numpy(self.averages[self.reader.class_index[second]]),
            torch.from_numpy(self.averages[self.absent[index]]),
            torch.tensor([*self.reader.class_index[[first, second]], self.absent[index]]),
        )

    def _draw(
        self, queries: ClassQueries, classes: ActiveClasses, size: int, rng: np.random.Generator
    ) -> list[tuple[int, int]]:
        known = np.isin(self.reader.class_index, queries.class_indexes)
        known &= np.array([self._is_audible(row) for row in range(len(self.reader))], bool)
        indexes = np.unique(self.reader.class_index[known])
        pairs: list[tuple[int, int]] = []
        attempts = 0
        while len(pairs) < size:
            attempts += 1
            if len(indexes) < 2 or attempts > 100 * size:
                raise InputError(
                    "the validation shards hold no two anchors of disjoint classes that the "
                    "training shards know; use more clips"
                )
            chosen = rng.choice(indexes, 2, replace=False)
            first, second = (
                int(rng.choice(np.flatnonzero(known & (self.reader.class_index == index))))
                for index in chosen
            )
            if not classes.conflict(first, second):
                pairs.append((first, second))
        return pairs

    def _absent_from(
        self,
        pair: tuple[int, int],
        indexes: Sequence[int],
        classes: ActiveClasses,
        rng: np.random.Generator,
    ) -> int:
        """Draw a class that neither labels nor tags hint at; else the least probable."""
        rows = list(pair)
        tags = self.reader.tags[rows].max(axis=0)[list(indexes)]
        is_there = np.logical_or.reduce(classes.active[rows], axis=0)[list(indexes)]
        gone = np.flatnonzero(~is_there & (tags < _HINT))
        chosen = rng.choice(gone) if len(gone) else np.argmin(tags + is_there)
        return int(indexes[int(chosen)])

    def _is_audible(self, row: int) -> bool:
        return bool(np.square(self.reader.waveform(row)).mean() > _SILENCE)
