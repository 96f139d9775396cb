"""All scores of what a row was separated into."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uss.core.arrays import Float32, Waveform
from uss.evaluation.lists.embedders import Embedder
from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.mixtures import Mixture
from uss.evaluation.lists.output_scores import OutputScore
from uss.evaluation.lists.reference_sets import ReferenceSet
from uss.evaluation.lists.row_scores import TARGET
from uss.evaluation.lists.scoring import EMBEDDING_ERROR, Metric, score, score_names
from uss.metrics.embedding_distances import embedding_error


@dataclass(frozen=True)
class Embedding:
    """What makes embeddings for an evaluation.

    Attributes:
        embedder: of outputs.
        targets: of the true sources, which other evaluations may have met.
    """

    embedder: Embedder
    targets: ReferenceSet


class RowScorer:
    """Scores the outputs of rows.

    Args:
        metrics: which scores.
        outputs: the names of all outputs there may be.
        others: what scores by more than waveforms.
        embedding: makes embeddings; None where no metric needs them.
    """

    def __init__(
        self,
        metrics: Sequence[Metric],
        outputs: Sequence[str],
        others: Mapping[Metric, OutputScore],
        embedding: Embedding | None = None,
    ) -> None:
        self._metrics = metrics
        self._outputs = outputs
        self._others = {metric: others[metric] for metric in metrics if metric in others}
        self._embedding = embedding

    def check(self, row: ListRow) -> None:
        """See whether a row holds what its scores need.

        Raises:
            OSError, ValueError: if not.
        """
        for each in self._others.values():
            each.check(row)

    def scores(
        self,
        outputs: Mapping[str, Waveform],
        mixture: Mixture,
        row: ListRow,
        embeddings: Mapping[str, Float32],
    ) -> dict[str, dict[str, float]]:
        """Score outputs.

        Args:
            outputs: (C, T) by name; those that are missing have undefined scores.
            mixture: what they were separated from.
            row: of the list.
            embeddings: from ``embeddings``.

        Raises:
            OSError, ValueError: if an output is not finite, or a network fails.
        """
        undefined = dict.fromkeys(score_names(self._metrics), math.nan)
        found = {name: dict(undefined) for name in self._outputs}
        for name, output in outputs.items():
            found[name] |= score(output, mixture, self._metrics)
            for metric, each in self._others.items():
                columns = score_names([metric])
                found[name] |= zip(columns, each.values(output, mixture, row), strict=True)
            if EMBEDDING_ERROR in self._metrics:
                (column,) = score_names([EMBEDDING_ERROR])
                found[name][column] = embedding_error(embeddings[TARGET], embeddings[name])
        return found

    def embeddings(self, outputs: Mapping[str, Waveform], mixture: Mixture) -> dict[str, Float32]:
        """Make the (W, H) embeddings of outputs and of the target, if a metric needs them."""
        if self._embedding is None:
            return {}
        rate = mixture.sample_rate
        made = {TARGET: self._embedding.targets.of_waveform(mixture.target, rate)}
        for name, output in outputs.items():
            made[name] = self._embedding.embedder.embed(output, rate)
        return made
