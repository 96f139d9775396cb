"""From the scores of all mixtures to tables: results.json, results.csv, lines for a terminal."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uss.core.files import written_whole
from uss.evaluation.lists.aggregates import aggregate, class_means, class_medians
from uss.evaluation.lists.evaluating import RowScores
from uss.evaluation.lists.rows import ListRow

REPORT_VERSION = 1

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
        aggregates[output] = {}
        for name in names:
            values = _values(done, output, name)
            found = aggregate(values, classes if has_classes else None, np.random.default_rng(0))
            for key, value in vars(found).items():
                aggregates[output].setdefault(key, {})[name] = value
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
    return _without_nan(content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``results.json``."""
    with written_whole(path) as part:
        text = json.dumps(_without_nan(content), indent=2, ensure_ascii=False, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


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
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow([*header, *(f"{output}: {name}" for output, name in columns), "error"])
    for each in scores:
        row = rows[each.row]
        files = [row.mixture, ";".join(row.target), ";".join(row.interferer)]
        values = [each.scores.get(output, {}).get(name, math.nan) for output, name in columns]
        cells = ["" if math.isnan(value) else f"{value:.4f}" for value in values]
        writer.writerow([each.row + 2, each.class_name, each.group, *files, *cells, each.error])
    with written_whole(path) as part:
        part.write_text(table.getvalue(), encoding="utf-8", errors="backslashreplace")


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


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out a table: the first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _cell(value: float | None, interval: Sequence[float | None] | None) -> str:
    if value is None:
        return "-"
    low, high = interval or (None, None)
    if low is None or high is None:
        return two_digits(value)
    return f"{two_digits(value)} [{two_digits(low)}, {two_digits(high)}]"


def two_digits(value: float) -> str:
    """Write a number without a sign where it rounds to zero."""
    return f"{round(value, 2) + 0.0:.2f}"


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


def _without_nan(content: Any) -> Any:
    """Replace NaN, which JSON does not know, by None."""
    if isinstance(content, Mapping):
        return {key: _without_nan(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_without_nan(value) for value in content]
    if isinstance(content, (float, np.floating)):
        return None if math.isnan(content) else float(content)
    return content
