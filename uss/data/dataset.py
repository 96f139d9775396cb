"""Batches of mixtures: for training drawn anew, for validation fixed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from uss.conditions.class_queries import ClassQueries
from uss.core.arrays import Indexes
from uss.core.errors import InputError
from uss.data.asked_with import combine_conditions
from uss.data.class_averages import averages_by_index
from uss.data.mixing import Augmentation, draw_gains, mix_sources
from uss.data.sampler import MixtureSampler
from uss.data.sharing import ALONE, Place
from uss.shards import Rows, ShardReader

_SILENCE = 1e-8
_HINT = 0.1
_MAX_SEED = 2**63 - 1


class Batch(NamedTuple):
    """What the separator learns from.

    Attributes:
        mixture: (B, 1, T).
        target: (B, 1, T).
        condition: (B, H).
        seeds: (B,) int64, a number for each mixture, for objectives that draw; batches that nobody
            drew have none.
    """

    mixture: Tensor
    target: Tensor
    condition: Tensor
    seeds: Tensor | None = None


class Sources(NamedTuple):
    """A batch before it is mixed: every anchor once.

    Attributes:
        anchors: (A, T) waveforms.
        sources: (B, J) which of them each mixture holds, its targets first.
        num_targets: (B,).
        gains: (B, J), see ``draw_gains``.
        condition: (B, H).
        seeds: (B,), see ``Batch``.
    """

    anchors: Tensor
    sources: Tensor
    num_targets: Tensor
    gains: Tensor
    condition: Tensor
    seeds: Tensor


class TrainingBatches(Dataset[Batch]):
    """Item n is batch n (Algorithm 1): read by ``read``, mixed by ``mix``.

    A mixture of J sources has 1 to J - 1 targets, each number equally often; ``combine_conditions``
    says what asks for several.

    Args:
        reader: the anchors.
        conditions: (N, H), one per anchor.
        queries: class averages of the conditions; None in spaces that have none.
        sampler: draws the rows.
        class_average_probability: how often a target is asked for with its class average instead
            of its own condition, so that both work at inference.
        mixture_rms: level every mixture is brought to, so that each weighs the same in an L1
            loss; None keeps the clips' levels.
        augmentation: how the sources' levels are set, see ``mix_sources``.
        texts: (N, H) conditions of what is said of the anchors, in the same space; None for none.
        text_ratio: how often a whole batch is asked with these instead (AudioSep's hybrid).
        place: whose share of each batch is read and mixed.

    Raises:
        ValueError: if the batches cannot be shared evenly, or without averages something asks for
            them.
    """

    def __init__(
        self,
        reader: ShardReader,
        conditions: Rows,
        queries: ClassQueries | None,
        sampler: MixtureSampler,
        *,
        class_average_probability: float,
        mixture_rms: float | None,
        augmentation: Augmentation = "match-energy",
        texts: Rows | None = None,
        text_ratio: float = 0.0,
        place: Place = ALONE,
    ) -> None:
        self.reader = reader
        self.conditions = conditions
        if queries is None and (class_average_probability or sampler.num_sources > 2):
            raise InputError(
                "vectors that hold a text's tokens have no averages; set "
                "data.class_average_probability to 0 and data.num_sources to 2"
            )
        self.space = None if queries is None else queries.space
        self.sampler = sampler
        # Nothing is kept of what is never asked with.
        self.averages = None
        if class_average_probability and queries is not None:
            self.averages = averages_by_index(reader, queries)
        self.class_average_probability = class_average_probability
        self.mixture_rms = mixture_rms
        self.augmentation: Augmentation = augmentation
        self.texts = texts
        self.text_ratio = text_ratio
        self.share = place.share(sampler.batch_size)

    def __getitem__(self, n: int) -> Batch:
        return self.mix(self.read(n))

    def read(self, n: int) -> Sources:
        """Draw batch n, and read what this process's share of it holds."""
        rng = self.sampler.generator(n)
        rows = self.sampler.rows(rng)
        num_mixtures, num_sources = rows.shape
        # An anchor that is in several mixtures is placed once.
        shifts = {row: self._shift(row, rng) for row in dict.fromkeys(rows.ravel().tolist())}
        num_targets: Indexes = np.ones(num_mixtures, np.int64)
        if num_sources > 2:
            num_targets = rng.integers(1, num_sources, (num_mixtures,))
        gains = draw_gains(self.augmentation, num_mixtures, num_sources, rng)
        use_average = rng.random((num_mixtures, 1, 1)) < self.class_average_probability
        conditions = self._asked(rng)
        seeds = rng.integers(_MAX_SEED, size=(num_mixtures,))
        # All was drawn for the whole batch; from here on it is about the share.
        rows, num_targets = rows[self.share], num_targets[self.share]
        anchors, sources = np.unique(rows, return_inverse=True)
        stored = zip(anchors.tolist(), self.reader.waveforms(anchors), strict=True)
        waveforms = [np.roll(waveform, shifts[row]) for row, waveform in stored]
        condition = conditions[rows]
        if self.averages is not None:
            average = self.averages[self.reader.class_index[rows]]
            condition = np.where(use_average[self.share], average, condition)
        combined = combine_conditions(condition, num_targets, self.space)
        return Sources(
            torch.from_numpy(np.stack(waveforms)),
            torch.from_numpy(sources.reshape(rows.shape)),
            torch.from_numpy(num_targets),
            torch.from_numpy(gains[self.share]),
            torch.from_numpy(combined),
            torch.from_numpy(seeds[self.share]),
        )

    def mix(self, read: Sources) -> Batch:
        """Mix what was read, on the device where it is."""
        mixture, target = mix_sources(
            read.anchors[read.sources], read.num_targets, self.augmentation, read.gains
        )
        if self.mixture_rms is not None:
            level = mixture.square().mean(dim=1, keepdim=True).sqrt()
            scale = self.mixture_rms / level.clamp(min=_SILENCE)
            mixture, target = scale * mixture, scale * target
        return Batch(mixture[:, None], target[:, None], read.condition, read.seeds)

    def close(self) -> None:
        """Close the shards' files; they are opened again when asked for."""
        self.reader.close()

    def _asked(self, rng: np.random.Generator) -> Rows:
        """Choose what a batch is asked with: (N, H) of audio or of text."""
        if self.texts is not None and rng.random() < self.text_ratio:
            return self.texts
        return self.conditions

    def _shift(self, row: int, rng: np.random.Generator) -> int:
        """Draw where in the segment an anchor lies that is shorter than it."""
        free = self.reader.settings.segment_samples - int(self.reader.valid_samples[row])
        return int(rng.integers(free + 1))
