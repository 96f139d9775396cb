"""Mixtures whose sources are asked for together, with others that are not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ontology import Ontology
from uss.core.arrays import Bools, Float32
from uss.core.errors import InputError
from uss.data.active_classes import ActiveClasses
from uss.data.augmentation import Variation, vary
from uss.data.class_rows import ClassRows
from uss.data.other_groups import OtherGroupAverages
from uss.data.questions import Asker
from uss.shards import Rows, ShardReader

_MAX_DRAWS = 200
_SILENCE = 1e-8


class JointBatch(NamedTuple):
    """Mixtures with up to Q queries each.

    Attributes:
        mixture: (B, 1, T).
        targets: (B, Q, T); silence where what is asked for is not there.
        conditions: (B, Q, H).
        is_asked: (B, Q) bool; queries that are not count as nothing.
    """

    mixture: Tensor
    targets: Tensor
    conditions: Tensor
    is_asked: Tensor


@dataclass(frozen=True)
class JointMixing:
    """How joint mixtures are drawn.

    Attributes:
        num_sources: how often a mixture holds 1, 2, 3 ... sources.
        level_db: of each source around equal energy, at most.
        unasked: how often, and with which probability, sources are asked for by nobody.
        num_queries: Q, at most so many queries.
        max_absent: at most so many of them of classes that are not there.
        oracle: how often a query is an anchor's own condition instead of a class average.
        above: how often the query of a source is that of a class above its own, which holds all
            sources below that.
    """

    num_sources: Sequence[float] = (0.08, 0.42, 0.3, 0.2)
    level_db: float = 10.0
    unasked: Sequence[Sequence[float]] = ((0.4, 0.0), (0.35, 0.5), (0.25, 1.0))
    num_queries: int = 6
    max_absent: int = 3
    oracle: float = 0.25
    above: float = 0.2

    def __post_init__(self) -> None:
        """Check that shares add up and counts are sensible."""
        for name, shares in {
            "num_sources": self.num_sources,
            "unasked": [share for share, _ in self.unasked],
        }.items():
            if abs(sum(shares) - 1.0) > 1e-6 or min(shares, default=-1.0) < 0.0:
                raise InputError(f"the shares of {name}, {list(shares)}, do not add up to 1")
        if self.num_queries < 1 or self.max_absent < 0 or self.level_db < 0.0:
            raise InputError(
                f"num_queries {self.num_queries} must be at least 1, max_absent {self.max_absent} "
                f"and level_db {self.level_db} at least 0"
            )


def make_asker(
    reader: ShardReader,
    conditions: Rows,
    classes: ActiveClasses,
    mixing: JointMixing,
    ontology: Ontology,
) -> Asker:
    """Make what draws queries, with averages of other recordings; see ``Asker``."""
    return Asker(
        reader,
        conditions,
        classes,
        OtherGroupAverages(conditions, reader.label_lists, reader.group_number, ontology),
        oracle=mixing.oracle,
        above=mixing.above,
        max_absent=mixing.max_absent,
    )


class JointBatches(Dataset[JointBatch]):
    """Item n is batch n, a pure function of (seed, n, rank, world size).

    Classes are drawn alike, then anchors of them; no two sources of a mixture conflict.

    Args:
        reader: the anchors.
        classes: decides which anchors may be mixed.
        asker: draws the queries.
        mixing: how mixtures are drawn.
        variation: of every source; None leaves them as they are.
        batch_size: B.
        mixture_rms: level every mixture is brought to; None keeps it.
        weights: (N,) how often each anchor is drawn, of those of its class; None for all alike.
        key: seed, rank and world size.
    """

    def __init__(
        self,
        reader: ShardReader,
        classes: ActiveClasses,
        asker: Asker,
        mixing: JointMixing,
        *,
        variation: Variation | None,
        batch_size: int,
        mixture_rms: float | None,
        weights: Float32 | None = None,
        key: tuple[int, int, int],
    ) -> None:
        self.reader = reader
        self.classes = classes
        self.asker = asker
        self.mixing = mixing
        self.variation = variation
        self.batch_size = batch_size
        self.mixture_rms = mixture_rms
        self.key = key
        self.rows_of_class = ClassRows(reader.class_index, weights)
        if len(self.rows_of_class) < 2:
            raise InputError("joint mixtures need anchors of two classes; mine clips of more")

    def __getitem__(self, n: int) -> JointBatch:
        seed, rank, world_size = self.key
        rng = np.random.default_rng([seed, n, rank, world_size])
        items = [self._mixture(rng) for _ in range(self.batch_size)]
        mixtures, targets, conditions, asked = (np.stack(part) for part in zip(*items, strict=True))
        return JointBatch(
            torch.from_numpy(mixtures)[:, None],
            torch.from_numpy(targets),
            torch.from_numpy(conditions),
            torch.from_numpy(asked),
        )

    def _mixture(self, rng: np.random.Generator) -> tuple[Float32, Float32, Float32, Bools]:
        """Draw one mixture: (T,), (Q, T), (Q, H), (Q,)."""
        rows = self._rows(rng)
        waveforms = self.reader.waveforms(np.array(rows))
        placed = zip(rows, waveforms, strict=True)
        sources = np.stack([self._source(row, waveform, rng) for row, waveform in placed])
        mixture = sources.sum(axis=0)
        size = self.mixing.num_queries
        targets = np.zeros((size, sources.shape[1]), np.float32)
        conditions = np.zeros((size, self.asker.condition_size), np.float32)
        queries = self.asker.ask(rows, self._is_asked(len(rows), rng), rng)[:size]
        for number, query in enumerate(queries):
            conditions[number] = query.condition
            if query.sources:
                targets[number] = sources[list(query.sources)].sum(axis=0)
        scale = 1.0
        if self.mixture_rms is not None:
            scale = self.mixture_rms / np.sqrt(max(float(np.square(mixture).mean()), _SILENCE))
        asked = np.arange(size) < len(queries)
        scaled = (scale * mixture).astype(np.float32), (scale * targets).astype(np.float32)
        return *scaled, conditions, asked

    def _rows(self, rng: np.random.Generator) -> list[int]:
        """Draw anchors that may be mixed; fewer than wanted where no more are found."""
        shares = self.mixing.num_sources
        wanted = 1 + int(rng.choice(len(shares), p=shares))
        rows: list[int] = []
        for _ in range(_MAX_DRAWS):
            row = self.rows_of_class.draw(int(rng.integers(len(self.rows_of_class))), rng)
            if not any(self.classes.conflict(row, other) for other in rows):
                rows.append(row)
            if len(rows) == wanted:
                break
        return rows

    def _is_asked(self, count: int, rng: np.random.Generator) -> Bools:
        """Draw which sources are asked for, at least one."""
        shares = [share for share, _ in self.mixing.unasked]
        _, probability = self.mixing.unasked[rng.choice(len(shares), p=shares)]
        asked: Bools = rng.random(count) >= probability
        asked[rng.integers(count)] = True
        return asked

    def _source(self, row: int, waveform: Float32, rng: np.random.Generator) -> Float32:
        """Place and vary an anchor, and bring it to a random level."""
        free = len(waveform) - int(self.reader.valid_samples[row])
        waveform = np.roll(waveform, int(rng.integers(free + 1)))
        if self.variation is not None:
            waveform = vary(waveform, self.reader.settings.sample_rate, self.variation, rng)
        rms = np.sqrt(max(float(np.square(waveform).mean()), _SILENCE))
        level = 10.0 ** (rng.uniform(-self.mixing.level_db, self.mixing.level_db) / 20.0)
        scaled: Float32 = waveform * np.float32(level / rms)
        return scaled
