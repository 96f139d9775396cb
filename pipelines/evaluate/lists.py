"""What ``uss-evaluate`` does with a list of mixtures."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipelines.cli import counted
from pipelines.evaluate.settings import describe_models, hashes, open_journal, root_hash
from pipelines.model_options import load_separator
from uss.core.errors import InputError
from uss.evaluation.journal import Journal
from uss.evaluation.lists.class_chart import draw_classes
from uss.evaluation.lists.condition_kinds import ConditionKind
from uss.evaluation.lists.evaluating import ListEvaluation, ListSettings
from uss.evaluation.lists.list_results import format_tables, summarise, write_csv
from uss.evaluation.lists.mixture_list import ListRow, read_list
from uss.evaluation.lists.row_scores import RowScores
from uss.evaluation.lists.scoring import DEFAULT_METRICS, score_names
from uss.evaluation.result_formats import write_json
from uss.separation.separator import Separator


def evaluate_list(
    path: Path, arguments: argparse.Namespace, command: str, separator: Separator | None = None
) -> int:
    """Evaluate a list, write the results and print them; returns the exit status.

    Args:
        path: the list.
        arguments: of the command.
        command: as it was typed, for the record.
        separator: what is evaluated; None for what the arguments name.

    Raises:
        OSError, ValueError: if the list, a model or the output folder is not as it should be, or
            no mixture could be evaluated.
    """
    rows = read_list(path)[: arguments.limit]
    separator = separator or load_separator(arguments)
    settings = ListSettings(
        conditions=tuple(dict.fromkeys(arguments.condition or _conditions(rows, separator))),
        metrics=tuple(dict.fromkeys(arguments.metrics or DEFAULT_METRICS)),
        overlap=arguments.overlap,
        keep_going=arguments.keep_going,
        optional=() if arguments.condition else ("class-average",),
    )
    evaluation = ListEvaluation(separator, str(path), rows, arguments.audio_root, settings)
    described = {
        **describe_models(separator),
        "list_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "audio_root_hash": root_hash(arguments.audio_root),
        "conditions": settings.conditions,
        "optional_conditions": settings.optional,
        "metrics": settings.metrics,
        "overlap": settings.overlap,
    }
    journal = open_journal(arguments.output, described)
    scores = _evaluate_rest(evaluation, journal, len(rows))
    names = score_names(settings.metrics)
    content = {
        **summarise(scores, settings.outputs, names),
        "settings": described,
        "model": {"name": arguments.separator or arguments.model, **hashes(described)},
        "list": str(path),
        "command": command,
    }
    write_csv(arguments.output / "results.csv", rows, scores, settings.outputs, names)
    _draw(arguments.output / "classes.png", content, settings)
    write_json(arguments.output / "results.json", content)
    journal.finish()
    if not content["num_mixtures"]:
        raise InputError(
            f"none of {len(rows)} mixtures could be evaluated; the first: {scores[0].error}"
        )
    _print(content, arguments.output)
    return 0


def _conditions(rows: Sequence[ListRow], separator: Separator) -> list[ConditionKind]:
    has_classes = any(row.class_name or row.mids for row in rows)
    if has_classes and separator.queries is not None:
        return ["oracle", "class-average"]
    return ["oracle"]


def _evaluate_rest(evaluation: ListEvaluation, journal: Journal, num_rows: int) -> list[RowScores]:
    """Evaluate what no earlier run has; returns the scores of all rows in their order."""
    found = {each.row: each for each in map(RowScores.from_json, journal.records)}
    # What went wrong may have been mended.
    done = {index for index, each in found.items() if not each.error and index < num_rows}
    rest = [index for index in range(num_rows) if index not in done]
    if rest:
        evaluation.check()
    with tqdm(
        total=num_rows, initial=len(done), unit="mixture", file=sys.stderr, disable=None
    ) as progress:
        for scores in evaluation.scores(rest):
            journal.append(scores.as_json())
            found[scores.row] = scores
            progress.update()
    return [found[index] for index in range(num_rows)]


def _draw(path: Path, content: Mapping[str, Any], settings: ListSettings) -> None:
    """Draw the classes, if there are any and their SDRi was measured."""
    if not content["classes"] or "sdr" not in settings.metrics:
        return
    classes: dict[str, dict[str, float | None]] = {
        name: {str(condition): outputs[condition]["SDRi"] for condition in settings.conditions}
        for name, outputs in content["classes"].items()
    }
    draw_classes(path, classes, settings.conditions)


def _print(content: Mapping[str, Any], output: Path) -> None:
    evaluated = counted(content["num_mixtures"], "mixture")
    print(f"{evaluated}, {content['num_skipped']} skipped -> {output}")
    for skipped in content["skipped"][:5]:
        print(f"  row {skipped['row']}: {skipped['error']}")
    if len(content["skipped"]) > 5:
        print(f"  and {len(content['skipped']) - 5} more, see results.csv")
    print()
    print(format_tables(content))
