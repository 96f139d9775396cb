"""The networks that metrics of a list need beside the separator's: CLAP, and what embeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uss.core.arrays import Float32
from uss.evaluation.lists.clap_score import ClapScore, ClapScoreA
from uss.evaluation.lists.embedders import CLAP_EMBEDDER, embedder_of
from uss.evaluation.lists.output_scores import OfCaption, OutputScore
from uss.evaluation.lists.reference_sets import ReferenceSet
from uss.evaluation.lists.row_scoring import Embedding
from uss.evaluation.lists.scoring import (
    CLAP_METRICS,
    CLAP_SCORE,
    CLAP_SCORE_A,
    EMBEDDING_METRICS,
    Metric,
)
from uss.separation.separator import Separator


@dataclass(frozen=True)
class ScoreNetworks:
    """What scores by networks of its own.

    Attributes:
        scores: of single outputs, by CLAP.
        embedding: makes embeddings; None where no metric needs them.
        described: what scores depend on.
    """

    scores: Mapping[Metric, OutputScore]
    embedding: Embedding | None
    described: Mapping[str, Any]

    @classmethod
    def of(
        cls,
        metrics: Sequence[Metric],
        separator: Separator,
        targets: str,
        *,
        clap: str | None = None,
        embedder: str | None = None,
        trust_checkpoint: bool = False,
    ) -> ScoreNetworks:
        """Load what some metrics need.

        Args:
            metrics: which.
            separator: may bring networks of its own.
            targets: tells the list's true sources from others, in the cache.
            clap: scores ``clap-score`` instead; see ``ClapScore.of``.
            embedder: makes embeddings instead; see ``embedder_of``.
            trust_checkpoint: see ``load_text_encoder``.

        Raises:
            OSError, ValueError: if a network cannot be loaded, or there is none.
        """
        scores: dict[Metric, OutputScore] = {}
        described: dict[str, Any] = {}
        embeds = any(metric in EMBEDDING_METRICS for metric in metrics)
        score = None
        if any(m in CLAP_METRICS for m in metrics) or (embeds and embedder == CLAP_EMBEDDER):
            score = ClapScore.of(clap, separator, trust_checkpoint=trust_checkpoint)
            scores = {CLAP_SCORE: OfCaption(score), CLAP_SCORE_A: ClapScoreA(score)}
            described["clap_hash"] = score.weight_hash
        if not embeds:
            return cls(scores, None, described)
        own = None if score is None else score.clap
        made = embedder_of(embedder, separator, own, trust_checkpoint=trust_checkpoint)
        described["embedder_hash"] = made.weight_hash
        return cls(scores, Embedding(made, ReferenceSet(targets, made)), described)

    def embeddings_of(self, folder: Path | None) -> Float32 | None:
        """(N, H) of the audio in a folder, which the cache keeps; None where none is named.

        Raises:
            OSError, ValueError: as ``ReferenceSet.of_folder``.
        """
        if folder is None or self.embedding is None:
            return None
        kept = ReferenceSet(str(folder.resolve()), self.embedding.embedder)
        found = kept.of_folder(folder)
        kept.save()
        return found
