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
from uss.data.augmentation import DrawnVariation, Variation, draw_variation, varied_so
from uss.data.class_rows import ClassRows
from uss.data.other_groups import OtherGroupAverages
from uss.data.questions import Asker, Question
from uss.data.sharing import ALONE, Place
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


class JointSources(NamedTuple):
    """A joint batch before it is mixed; J is the most sources that a mixture may have.

    Attributes:
        sources: (B, J, T) at their levels; silence where a mixture has fewer.
        members: (B, Q, J) bool, which of them each query asks for.
        conditions: (B, Q, H).
        is_asked: (B, Q) bool.
    """

    sources: Tensor
    members: Tensor
    conditions: Tensor
    is_asked: Tensor


class _DrawnSource(NamedTuple):
    """An anchor, where it lies in the segment, how it is varied, and its level."""

    row: int
    shift: int
    variation: DrawnVariation
    level: float


class _DrawnMixture(NamedTuple):
    """Sources and what they are asked with."""

    sources: list[_DrawnSource]
    questions: list[Question]


class JointBatches(Dataset[JointBatch]):
    """Item n is batch n, a pure function of seed and n: read by ``read``, mixed by ``mix``.

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
        seed: of the drawing.
        place: whose share of each batch is read and mixed.

    Raises:
        ValueError: if the batches cannot be shared evenly, or there is but one class.
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
        seed: int,
        place: Place = ALONE,
    ) -> None:
        self.reader = reader
        self.classes = classes
        self.asker = asker
        self.mixing = mixing
        self.variation = variation
        self.batch_size = batch_size
        self.mixture_rms = mixture_rms
        self.seed = seed
        self.share = place.share(batch_size)
        self.rows_of_class = ClassRows(reader.class_index, weights)
        if len(self.rows_of_class) < 2:
            raise InputError("joint mixtures need anchors of two classes; mine clips of more")

    def __getitem__(self, n: int) -> JointBatch:
        return self.mix(self.read(n))

    def read(self, n: int) -> JointSources:
        """Draw batch n; read and vary the sources of this process's share of it."""
        # The last two were once rank and world size; one process draws what it always drew.
        rng = np.random.default_rng([self.seed, n, 0, 1])
        drawn = [self._draw(rng) for _ in range(self.batch_size)][self.share]
        num_queries, num_sources = self.mixing.num_queries, len(self.mixing.num_sources)
        num_samples = self.reader.settings.segment_samples
        sources = np.zeros((len(drawn), num_sources, num_samples), np.float32)
        members = np.zeros((len(drawn), num_queries, num_sources), bool)
        conditions = np.zeros((len(drawn), num_queries, self.asker.condition_size), np.float32)
        asked = np.zeros((len(drawn), num_queries), bool)
        rows = [source.row for mixture in drawn for source in mixture.sources]
        stored = iter(self.reader.waveforms(np.array(rows)))
        for i, mixture in enumerate(drawn):
            for number, source in enumerate(mixture.sources):
                sources[i, number] = self._placed(source, next(stored))
            for number, question in enumerate(mixture.questions[:num_queries]):
                members[i, number, list(question.sources)] = True
                conditions[i, number] = question.condition
                asked[i, number] = True
        return JointSources(*map(torch.from_numpy, (sources, members, conditions, asked)))

    def mix(self, read: JointSources) -> JointBatch:
        """Mix what was read, on the device where it is."""
        mixture = read.sources[:, 0].clone()
        targets = read.members[:, :, :1] * read.sources[:, :1]
        for number in range(1, read.sources.shape[1]):
            source = read.sources[:, number]
            mixture += source
            targets += read.members[:, :, number, None] * source[:, None]
        if self.mixture_rms is not None:
            energy = mixture.square().mean(dim=1).clamp(min=_SILENCE)
            scale = (self.mixture_rms / energy.sqrt())[:, None]
            mixture, targets = scale * mixture, scale[:, None] * targets
        return JointBatch(mixture[:, None], targets, read.conditions, read.is_asked)

    def close(self) -> None:
        """Close the shards' files; they are opened again when asked for."""
        self.reader.close()

    def _draw(self, rng: np.random.Generator) -> _DrawnMixture:
        """Draw all that is random about a mixture; no waveform is needed for it."""
        rows = self._rows(rng)
        sources = [self._draw_source(row, rng) for row in rows]
        return _DrawnMixture(sources, self.asker.ask(rows, self._is_asked(len(rows), rng), rng))

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

    def _draw_source(self, row: int, rng: np.random.Generator) -> _DrawnSource:
        settings = self.reader.settings
        free = settings.segment_samples - int(self.reader.valid_samples[row])
        shift = int(rng.integers(free + 1))
        variation = DrawnVariation()
        if self.variation is not None:
            variation = draw_variation(settings.sample_rate, self.variation, rng)
        level_db = rng.uniform(-self.mixing.level_db, self.mixing.level_db)
        return _DrawnSource(row, shift, variation, 10.0 ** (level_db / 20.0))

    def _placed(self, source: _DrawnSource, waveform: Float32) -> Float32:
        """Place and vary an anchor, and bring it to its level."""
        waveform = np.roll(waveform, source.shift)
        waveform = varied_so(waveform, self.reader.settings.sample_rate, source.variation)
        rms = np.sqrt(max(float(np.square(waveform).mean()), _SILENCE))
        scaled: Float32 = waveform * np.float32(source.level / rms)
        return scaled
