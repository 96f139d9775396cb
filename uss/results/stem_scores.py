"""How well stems hold what they are to hold, and which of several candidates were kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uss.metrics.tagger_score import TaggerScore


@dataclass(frozen=True)
class StemCandidate:
    """A stem that was made, and kept or not.

    Attributes:
        model: name or file of what separated it.
        seed: of what was drawn; None where nothing was.
        score: by the tagger; None where it stands for no class.
        kept: whether it is the stem.
    """

    model: str | None
    seed: int | None
    score: TaggerScore | None
    kept: bool


def best_of(scores: Sequence[TaggerScore | None]) -> int:
    """The number of the candidate with the highest F1: the first of equal ones."""
    return max(range(len(scores)), key=lambda number: (_f1(scores[number]), -number))


def score_of(content: Mapping[str, Any] | None) -> TaggerScore | None:
    """Take a score from the content of a ``detections.json``.

    Raises:
        KeyError, TypeError: if it is none.
    """
    return None if content is None else TaggerScore(**content)


def candidates_in(content: Sequence[Mapping[str, Any]]) -> tuple[StemCandidate, ...]:
    """Likewise, candidates."""
    return tuple(StemCandidate(**{**each, "score": score_of(each["score"])}) for each in content)


def _f1(score: TaggerScore | None) -> float:
    return -1.0 if score is None else score.f1
