"""From the scores of all mixtures to tables: results.json, results.csv, lines for a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from uss.evaluation.csv_tables import write_table
from uss.evaluation.lists.aggregates import Aggregate, aggregate, class_means, class_medians
from uss.evaluation.lists.mixture_list import ListRow
from uss.evaluation.lists.row_scores import RowScores
from uss.evaluation.result_formats import (
    REPORT_VERSION,
    align,
    two_digits,
    with_interval,
    without_nan,
)

_STATISTICS = ("mean", "median", "class_median")
_TITLES = {"mean": "mean", "median": "median", "class_median": "mean of class medians"}


def summarise(scores: Sequence[RowScores], outputs: Sequence[str], names: Sequence[str]) -> Any:
    """Aggregate the scores of a list.

    Args:
        scores: of all rows.
        outputs: what was scored, the most important first.
        names: of the scores.

    Returns:
        What ``results.json`` holds of them: ``mean``, ``median`` and ``class_median`` of the first
        output, ``outputs`` with those of all, their 95 % bootstrap intervals and how many values
        they are made of, ``classes`` and ``groups``, and the rows that were skipped.
    """
    done = [each for each in scores if not each.error]
    classes = [each.class_name for each in done]
    groups = [each.group for each in done]
    has_classes = any(classes)
    aggregates: dict[str, dict[str, dict[str, Any]]] = {}
    for output in outputs:
        aggregates[output] = {each.name: {} for each in fields(Aggregate)}
        for name in names:
            values = _values(done, output, name)
            found = aggregate(values, classes if has_classes else None, np.random.default_rng(0))
            for key, value in vars(found).items():
                aggregates[output][key][name] = value
    first = aggregates[outputs[0]]
    content = {
        "version": REPORT_VERSION,
        **{statistic: first[statistic] for statistic in _STATISTICS},
        "num_mixtures": len(done),
        "num_skipped": len(scores) - len(done),
        "skipped": [{"row": each.row + 2, "error": each.error} for each in scores if each.error],
        "outputs": aggregates,
        "classes": _by_label(done, classes, class_medians, outputs, names),
        "groups": _by_label(done, groups, class_means, outputs, names),
    }
    return without_nan(content)


def write_csv(
    path: Path,
    rows: Sequence[ListRow],
    scores: Sequence[RowScores],
    outputs: Sequence[str],
    names: Sequence[str],
) -> None:
    """Write ``results.csv``: a row per mixture; undefined scores are empty."""
    header = ["row", "class", "group", "mixture", "target", "interferer"]
    columns = [(output, name) for output in outputs for name in names]
    table = []
    for each in scores:
        row = rows[each.row]
        files = [row.mixture, ";".join(row.target), ";".join(row.interferer)]
        values = [each.scores.get(output, {}).get(name, math.nan) for output, name in columns]
        cells = ["" if math.isnan(value) else f"{value:.4f}" for value in values]
        table.append([each.row + 2, each.class_name, each.group, *files, *cells, each.error])
    names_of_columns = [f"{output}: {name}" for output, name in columns]
    write_table(path, [*header, *names_of_columns, "error"], table, escaped=True)


def format_tables(content: Mapping[str, Any]) -> str:
    """Lay out what ``summarise`` returned for a terminal."""
    outputs: Mapping[str, Any] = content["outputs"]
    names = list(next(iter(outputs.values()))["mean"])
    statistics = [each for each in _STATISTICS if each != "class_median" or content["classes"]]
    lines = []
    for name in names:
        rows = [[name, "of", *(_TITLES[statistic] for statistic in statistics)]]
        for output, values in outputs.items():
            cells = [
                _cell(values[statistic][name], values[f"{statistic}_interval"][name])
                for statistic in statistics
            ]
            rows.append([output, str(values["num"][name]), *cells])
        lines += ["", *align(rows)]
    if any(count for values in outputs.values() for count in values["num_undefined"].values()):
        lines += [
            "",
            "Undefined: targets silent or alone, unknown classes, PESQ without speech.",
        ]
    return "\n".join(lines[1:])


def _cell(value: float | None, interval: Sequence[float | None] | None) -> str:
    if value is None:
        return "-"
    low, high = interval or (None, None)
    if low is None or high is None:
        return two_digits(value)
    return with_interval(value, (low, high))


def _values(scores: Sequence[RowScores], output: str, name: str) -> Any:
    return np.array([each.scores[output][name] for each in scores], np.float64)


def _by_label(
    scores: Sequence[RowScores],
    labels: Sequence[str],
    average: Callable[[Any, Sequence[str]], Mapping[str, float]],
    outputs: Sequence[str],
    names: Sequence[str],
) -> dict[str, Any]:
    """Average each score of each output within the rows of one label."""
    found: dict[str, Any] = {label: {} for label in sorted({*labels} - {""})}
    for output in outputs:
        for name in names:
            for label, value in average(_values(scores, output, name), labels).items():
                found[label].setdefault(output, {})[name] = value
    return found
