"""Batches of mixtures: for training drawn anew, for validation fixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from uss.conditions.class_queries import ClassQueries
from uss.core.arrays import Float32, Indexes
from uss.core.errors import InputError
from uss.data.active_classes import ActiveClasses
from uss.data.mixing import Augmentation, energy_matching_gain, mix_sources
from uss.data.sampler import MixtureSampler
from uss.shards import Rows, ShardReader
from uss.taggers import LABEL_SPACES

_SILENCE = 1e-8
_HINT = 0.1


class Batch(NamedTuple):
    """What the separator learns from.

    Attributes:
        mixture: (B, 1, T).
        target: (B, 1, T).
        condition: (B, H).
    """

    mixture: Tensor
    target: Tensor
    condition: Tensor


class TrainingBatches(Dataset[Batch]):
    """Item n is batch n (Algorithm 1).

    A mixture of J sources has 1 to J - 1 targets, each number equally often; ``combine_conditions``
    says what asks for several.

    Args:
        reader: the anchors.
        conditions: (N, H), one per anchor.
        queries: class averages of the conditions.
        sampler: draws the rows.
        class_average_probability: how often a target is asked for with its class average instead
            of its own condition, so that both work at inference.
        mixture_rms: level every mixture is brought to, so that each weighs the same in an L1
            loss; None keeps the clips' levels.
        augmentation: how the sources' levels are set, see ``mix_sources``.
        texts: (N, H) conditions of what is said of the anchors, in the same space; None for none.
        text_ratio: how often a whole batch is asked with these instead (AudioSep's hybrid).
    """

    def __init__(
        self,
        reader: ShardReader,
        conditions: Rows,
        queries: ClassQueries,
        sampler: MixtureSampler,
        *,
        class_average_probability: float,
        mixture_rms: float | None,
        augmentation: Augmentation = "match-energy",
        texts: Rows | None = None,
        text_ratio: float = 0.0,
    ) -> None:
        self.reader = reader
        self.conditions = conditions
        self.space = queries.space
        self.sampler = sampler
        # Nothing is kept of what is never asked with.
        self.averages = _average_by_index(reader, queries) if class_average_probability else None
        self.class_average_probability = class_average_probability
        self.mixture_rms = mixture_rms
        self.augmentation: Augmentation = augmentation
        self.texts = texts
        self.text_ratio = text_ratio

    def __getitem__(self, n: int) -> Batch:
        rng = self.sampler.generator(n)
        rows = self.sampler.rows(rng)
        num_mixtures, num_sources = rows.shape
        # An anchor that is in several mixtures is read, and placed, once.
        unique = np.array(list(dict.fromkeys(rows.ravel().tolist())))
        waveforms = self.reader.waveforms(unique)
        segments = {
            row: self._placed(row, waveform, rng)
            for row, waveform in zip(unique.tolist(), waveforms, strict=True)
        }
        sources = np.stack([segments[row] for row in rows.ravel().tolist()])
        num_targets: Indexes = np.ones(num_mixtures, np.int64)
        if num_sources > 2:
            num_targets = rng.integers(1, num_sources, (num_mixtures,))
        mixture, target = mix_sources(
            torch.from_numpy(sources.reshape(num_mixtures, num_sources, -1)),
            torch.from_numpy(num_targets),
            self.augmentation,
            rng,
        )
        if self.mixture_rms is not None:
            level = mixture.square().mean(dim=1, keepdim=True).sqrt()
            scale = self.mixture_rms / level.clamp(min=_SILENCE)
            mixture, target = scale * mixture, scale * target
        use_average = rng.random((num_mixtures, 1, 1)) < self.class_average_probability
        condition = self._asked(rng)[rows]
        if self.averages is not None:
            average = self.averages[self.reader.class_index[rows]]
            condition = np.where(use_average, average, condition)
        combined = combine_conditions(condition, num_targets, self.space)
        return Batch(mixture[:, None], target[:, None], torch.from_numpy(combined))

    def _asked(self, rng: np.random.Generator) -> Rows:
        """Choose what a batch is asked with: (N, H) of audio or of text."""
        if self.texts is not None and rng.random() < self.text_ratio:
            return self.texts
        return self.conditions

    def _placed(self, row: int, waveform: Float32, rng: np.random.Generator) -> Float32:
        """Move an anchor that is shorter than the segment to a random place in it."""
        free = len(waveform) - int(self.reader.valid_samples[row])
        return np.roll(waveform, int(rng.integers(free + 1)))


def combine_conditions(conditions: Float32, num_targets: Indexes, space: str) -> Float32:
    """Ask for several sources at once.

    In a space whose dimensions are classes it is the union of what is in the sources, the largest
    value of each dimension, as a group of classes keeps the values of all of them (eq. 10). In a
    space of embeddings it is their mean (eq. 9).

    Args:
        conditions: (B, J, H) of every source of a mixture.
        num_targets: (B,) how many of them, from the first, are asked for; at least 1.
        space: the name of the conditions' space.

    Returns:
        (B, H) float32.
    """
    is_target = (np.arange(conditions.shape[1]) < num_targets[:, None])[:, :, None]
    if space in LABEL_SPACES:
        combined = np.where(is_target, conditions, -np.inf).max(axis=1)
    else:
        combined = np.where(is_target, conditions, 0.0).sum(axis=1) / num_targets[:, None]
    result: Float32 = combined.astype(np.float32)
    return result


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
        self.averages = _average_by_index(reader, queries)
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


def _average_by_index(reader: ShardReader, queries: ClassQueries) -> Float32:
    """(K, H): the average of each class; zeros for classes without one."""
    averages = np.zeros((reader.settings.num_classes, queries.vectors.shape[1]), np.float32)
    averages[list(queries.class_indexes)] = queries.vectors
    return averages
