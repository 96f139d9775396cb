"""A score of a stem that needs no reference: what a tagger hears in it, and in what is left."""

from __future__ import annotations

from dataclasses import dataclass

from uss.core.arrays import Bools, Float32


@dataclass(frozen=True)
class TaggerScore:
    """How well a stem holds its class, and it alone, as far as a tagger hears.

    Attributes:
        precision: of what is heard in the stem, how much is its class.
        recall: of what is heard of the class, how much is in the stem and not in what is left.
        f1: their harmonic mean.
    """

    precision: float
    recall: float
    f1: float


def tagger_score(stem: Float32, rest: Float32, wanted: Bools, foreign: Bools) -> TaggerScore:
    """Score a stem, with probabilities in the place of counts.

    In each segment the true positive is the most probable wanted class in the stem, the false
    positive the most probable foreign one, the false negative the most probable wanted class in the
    rest; each is summed over the segments. Loud and quiet segments count alike.

    Args:
        stem: (I, K) class probabilities of the stem's segments.
        rest: (I, K) of what is left of the mixture without it.
        wanted: (K,) the classes that it is to hold.
        foreign: (K,) those that it must not hold; none of the wanted ones.

    Returns:
        All in [0, 1]; 0 where the class is heard nowhere.

    Raises:
        ValueError: if the shapes do not fit.
    """
    if stem.shape != rest.shape or stem.shape[1:] != wanted.shape or wanted.shape != foreign.shape:
        raise ValueError(
            f"stem and rest have the shapes {stem.shape} and {rest.shape}, the classes "
            f"{wanted.shape} and {foreign.shape}; give (I, K) twice and (K,) twice"
        )
    hit = _strongest(stem, wanted)
    false = _strongest(stem, foreign)
    missed = _strongest(rest, wanted)
    return TaggerScore(
        precision=_share(hit, false),
        recall=_share(hit, missed),
        f1=_share(2.0 * hit, false + missed),
    )


def _strongest(probabilities: Float32, classes: Bools) -> float:
    """Sum of each segment's highest probability among some classes."""
    return float(probabilities[:, classes].max(axis=1, initial=0.0).sum(dtype=float))


def _share(part: float, rest: float) -> float:
    return part / (part + rest) if part > 0.0 else 0.0
