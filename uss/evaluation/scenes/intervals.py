"""How sure the scores of many scenes are: bootstrap intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from uss.evaluation.scenes.records import LevelRecord, SceneRecord

_INTERVAL = (0.025, 0.975)


def intervals(
    records: Sequence[SceneRecord],
    level: int,
    rng: np.random.Generator,
    num_resamples: int = 1000,
) -> dict[str, tuple[float, float]]:
    """Find 95 % intervals of the scores of a level: percentiles of a bootstrap.

    Scenes are drawn, as the stems of a scene have much in common. Draws in which a score is
    undefined are left out.

    Args:
        records: N scenes.
        level: of the ontology.
        rng: draws the resamples.
        num_resamples: of the bootstrap.

    Returns:
        Lower and upper end by the name of the score in ``SceneScores``; undefined ones lack.

    Raises:
        InputError: if a scene was not evaluated at this level.
    """
    if not records:
        return {}
    scenes = [_fractions(record.at(level)) for record in records]
    names = list(scenes[0])
    # (N, scores, 2): each score is a fraction of two sums over scenes.
    terms = np.array([[scene[name] for name in names] for scene in scenes], np.float64)
    # How often each scene is drawn does for drawing with replacement.
    shares = np.full(len(scenes), 1.0 / len(scenes))
    num_drawn = rng.multinomial(len(scenes), shares, size=num_resamples)
    sums = np.tensordot(num_drawn.astype(np.float64), terms, axes=1)
    found = {}
    for name, (parts, wholes) in zip(names, np.moveaxis(sums, 0, -1), strict=True):
        is_defined = wholes > 0.0
        if is_defined.any():
            ends = np.quantile(parts[is_defined] / wholes[is_defined], _INTERVAL)
            found[name] = (float(ends[0]), float(ends[1]))
    return found


def _fractions(record: LevelRecord) -> dict[str, tuple[float, float]]:
    """Part and whole of each score that the scene adds to those of others."""
    counts = record.counts
    num_errors = counts.false_positives + counts.false_negatives
    stems = record.stems.values()
    return {
        "f1": (2.0 * counts.true_positives, 2.0 * counts.true_positives + num_errors),
        "mean_sdri_db": _sum_and_number(stem.sdri_db for stem in stems),
        "mean_si_sdri_db": _sum_and_number(
            stem.si_sdri_db for stem in stems if not stem.is_off_target
        ),
        "mean_ca_sdri_db": _sum_and_number([record.ca_sdri_db]),
    }


def _sum_and_number(values: Iterable[float | None]) -> tuple[float, float]:
    defined = [value for value in values if value is not None]
    return sum(defined, 0.0), float(len(defined))
