"""One number for many mixtures, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uss.core.arrays import Float64

_INTERVAL = (0.025, 0.975)

# 16 MiB of float64.
_BLOCK_VALUES = 2**21


@dataclass(frozen=True)
class Aggregate:
    """What a metric is over a set of mixtures; NaN where it is defined for none.

    An interval holds 95 %: percentiles of a bootstrap.

    Attributes:
        mean: of the mixtures.
        median: of the mixtures.
        class_median: the median of each class, averaged over the classes (Kong et al. 2023); None
            where there are no classes.
        mean_interval: of ``mean``, lower and upper end; mixtures are drawn.
        median_interval: of ``median``.
        class_median_interval: of ``class_median``; here classes are drawn, as many of them may have
            a single mixture.
        num: mixtures for which the metric is defined.
        num_undefined: mixtures for which it is NaN, which are left out.
    """

    mean: float
    median: float
    class_median: float | None
    mean_interval: tuple[float, float]
    median_interval: tuple[float, float]
    class_median_interval: tuple[float, float] | None
    num: int
    num_undefined: int


def aggregate(
    values: Float64,
    classes: Sequence[str] | None,
    rng: np.random.Generator,
    num_resamples: int = 1000,
) -> Aggregate:
    """Summarise a metric over mixtures.

    Args:
        values: (N,) of each mixture; NaN where undefined, never infinite.
        classes: N names of the classes of the targets; values of an empty name, and a class without
            a defined value, are left out. None if they have none.
        rng: draws the resamples; those of the mean and the median do not depend on ``classes``.
        num_resamples: of the bootstrap.

    Returns:
        The statistics with their intervals.
    """
    assert values.ndim == 1 and not np.isinf(values).any(), "a metric has to be capped"
    defined = values[~np.isnan(values)]
    means, medians = _resampled(defined, rng, num_resamples)
    class_median, class_median_interval = None, None
    if classes is not None:
        groups = _by_class(values, classes).values()
        class_medians = np.array([_median(group) for group in groups if group.size])
        class_median = _mean(class_medians)
        class_median_interval = _interval(_resampled(class_medians, rng, num_resamples)[0])
    return Aggregate(
        mean=_mean(defined),
        median=_median(defined),
        class_median=class_median,
        mean_interval=_interval(means),
        median_interval=_interval(medians),
        class_median_interval=class_median_interval,
        num=defined.size,
        num_undefined=values.size - defined.size,
    )


def class_medians(values: Float64, classes: Sequence[str]) -> dict[str, float]:
    """Find the median of each class, by name; NaN where none of its N ``values`` is defined."""
    return {name: _median(group) for name, group in _by_class(values, classes).items()}


def class_means(values: Float64, classes: Sequence[str]) -> dict[str, float]:
    """Find the mean of each class, by name; NaN where none of its N ``values`` is defined."""
    return {name: _mean(group) for name, group in _by_class(values, classes).items()}


def _by_class(values: Float64, classes: Sequence[str]) -> dict[str, Float64]:
    """Collect the defined values of each class, in the order of the names."""
    assert len(classes) == len(values), "each value has a class"
    names, indices = np.unique(np.array(classes, dtype=np.str_), return_inverse=True)
    order = np.argsort(indices, kind="stable")
    ends = np.cumsum(np.bincount(indices, minlength=len(names)))
    groups = np.split(values[order], ends[:-1])
    return {
        str(name): group[~np.isnan(group)]
        for name, group in zip(names, groups, strict=False)
        if name
    }


def _resampled(
    values: Float64, rng: np.random.Generator, num_resamples: int
) -> tuple[Float64, Float64]:
    """Draw (N,) values with replacement; the means and medians, (num_resamples,), of the draws."""
    if not values.size:
        return np.array([]), np.array([])
    means, medians = np.empty(num_resamples), np.empty(num_resamples)
    num_rows = max(1, _BLOCK_VALUES // values.size)
    for start in range(0, num_resamples, num_rows):
        rows = slice(start, min(start + num_rows, num_resamples))
        shape = (rows.stop - rows.start, values.size)
        drawn = values[rng.integers(values.size, size=shape)]
        means[rows] = drawn.mean(axis=1)
        medians[rows] = np.median(drawn, axis=1, overwrite_input=True)
    return means, medians


def _interval(statistics: Float64) -> tuple[float, float]:
    if not statistics.size:
        return float("nan"), float("nan")
    lower, upper = np.quantile(statistics, _INTERVAL)
    return float(lower), float(upper)


def _mean(values: Sequence[float] | Float64) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _median(values: Float64) -> float:
    return float(np.median(values)) if values.size else float("nan")
