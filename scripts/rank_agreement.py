"""Measure how far two scores of an evaluation rank outputs alike (Spearman's correlation).

    uss-evaluate LIST --metrics si-sdr tagger-score -o OUT
    python scripts/rank_agreement.py OUT/results.csv [--score "tagger F1"] [--against SI-SDR]
        [--outputs oracle mixture ...]

The outputs of one mixture are what was asked for, the interferer asked for instead, and the mixture
itself; "half mixture" is left out, as SI-SDR does not tell it from the mixture. Prints the mean and
the median of the correlations within mixtures, how often the output that the first score likes best
is also the best of its mixture by the second, what that choice gains over the mean of the outputs,
and the correlation over mixtures of each output alone.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from uss.core.errors import InputError

_LEFT_OUT = "half mixture"


def read_scores(
    path: Path, score: str, against: str, wanted: Sequence[str] = ()
) -> tuple[list[str], np.ndarray]:
    """Read two scores of outputs; of all but "half mixture" if none are named.

    Returns:
        The outputs, and (N, outputs, 2) values; NaN where one is undefined.

    Raises:
        OSError, InputError: if the file is missing, or lacks one of the scores.
    """
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = list(rows[0]) if rows else []
    found = [name.removesuffix(f": {score}") for name in columns if name.endswith(f": {score}")]
    missing = [output for output in wanted if output not in found]
    if missing:
        raise InputError(f"{path} has no output {missing[0]!r} with {score!r}; it has {found}")
    outputs = list(wanted) or [output for output in found if output != _LEFT_OUT]
    if not outputs or any(f"{output}: {against}" not in columns for output in outputs):
        raise InputError(
            f"{path} has no outputs with both {score!r} and {against!r}; evaluate with both metrics"
        )

    def value(row: dict[str, str], output: str, name: str) -> float:
        return float(row[f"{output}: {name}"] or "nan")

    values = [[[value(row, o, name) for name in (score, against)] for o in outputs] for row in rows]
    return outputs, np.array(values, np.float64)


def correlation(pairs: np.ndarray) -> float:
    """Spearman's of (n, 2) values; NaN of fewer than three, or where one does not vary."""
    defined = pairs[~np.isnan(pairs).any(axis=1)]
    if len(defined) < 3 or (np.ptp(defined, axis=0) == 0.0).any():
        return math.nan
    return float(spearmanr(defined[:, 0], defined[:, 1]).statistic)


def within_mixtures(values: np.ndarray) -> dict[str, float]:
    """Compare the outputs of each mixture: (N, outputs, 2) values to named figures."""
    every = np.array([correlation(each) for each in values])
    found = every[~np.isnan(every)]
    choices = []
    for each in values:
        defined = each[~np.isnan(each).any(axis=1)]
        if len(defined) > 1:
            chosen = defined[defined[:, 0].argmax(), 1]
            choices.append([chosen == defined[:, 1].max(), chosen - defined[:, 1].mean()])
    hits, gains = np.array(choices).T if choices else ([math.nan], [math.nan])
    return {
        "mixtures": float(len(found)),
        "mean correlation": float(np.mean(found)) if found.size else math.nan,
        "median correlation": float(np.median(found)) if found.size else math.nan,
        "best is best": float(np.mean(hits)),
        "gain of the choice over the mean": float(np.mean(gains)),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("results", type=Path, help="results.csv of uss-evaluate")
    parser.add_argument("--score", default="tagger F1")
    parser.add_argument("--against", default="SI-SDR")
    parser.add_argument("--outputs", nargs="+", default=())
    arguments = parser.parse_args(argv)
    names = (arguments.score, arguments.against)
    try:
        outputs, values = read_scores(arguments.results, *names, arguments.outputs)
    except (OSError, InputError) as error:
        print(f"rank_agreement: {error}", file=sys.stderr)
        return 2
    for name, value in within_mixtures(values).items():
        print(f"{name:34} {value:6.2f}")
    for number, output in enumerate(outputs):
        print(f"over mixtures, {output:24} {correlation(values[:, number]):6.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
