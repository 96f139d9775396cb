"""What ``uss-evaluate`` does with a list of mixtures, or a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pipelines.cli import counted
from pipelines.evaluate.progress import progress_bar
from pipelines.prepare import prepare_with_bars
from uss.benchmarks import BENCHMARKS
from uss.evaluation.lists.list_job import ListJob, ListJobSettings
from uss.evaluation.lists.list_results import format_tables
from uss.evaluation.lists.mixture_list import write_list
from uss.evaluation.lists.scoring import DEFAULT_METRICS, Metric
from uss.evaluation.lists.set_scores import format_set_scores
from uss.separation.separator import Separator

_SHARDS_SUFFIX = ".shards"
_NUM_SHOWN = 5


def evaluate_list(settings: ListJobSettings, load: Callable[[], Separator]) -> int:
    """Evaluate a list, write the results and print them; returns the exit status.

    Args:
        settings: what is evaluated.
        load: loads the model, after the list has been read.

    Raises:
        OSError, InputError: see ``ListJob.run``.
    """
    job = ListJob(settings)
    separator = load()
    with progress_bar("mixture") as show:
        content = job.run(separator, show)
    _print(content, settings.output)
    return 0


def evaluate_benchmark(name: str, settings: ListJobSettings, load: Callable[[], Separator]) -> int:
    """Prepare a benchmark with its defaults, and evaluate it; returns the exit status.

    Args:
        name: of the benchmark.
        settings: what is evaluated; the list is made where it says, if it is not there.
        load: loads the model, before hours of preparation.

    Raises:
        OSError, InputError: if the data set is not as published; see also ``ListJob.run``.
    """
    benchmark = BENCHMARKS[name]
    separator = load()
    if not settings.path.exists():
        options = replace(benchmark.defaults, shards=settings.path.with_suffix(_SHARDS_SUFFIX))
        rows = prepare_with_bars(name, settings.audio_root, options)
        settings.path.parent.mkdir(parents=True, exist_ok=True)
        write_list(settings.path, rows)
    customary = (*DEFAULT_METRICS, *cast("tuple[Metric, ...]", benchmark.metrics))
    return evaluate_list(
        replace(settings, metrics=settings.metrics or customary), lambda: separator
    )


def _print(content: Mapping[str, Any], output: Path) -> None:
    evaluated = counted(content["num_mixtures"], "mixture")
    print(f"{evaluated}, {content['num_skipped']} skipped -> {output}")
    for skipped in content["skipped"][:_NUM_SHOWN]:
        print(f"  row {skipped['row']}: {skipped['error']}")
    if len(content["skipped"]) > _NUM_SHOWN:
        print(f"  and {len(content['skipped']) - _NUM_SHOWN} more, see results.csv")
    for table in (format_tables(content), content["sets"] and format_set_scores(content["sets"])):
        if table:
            print(f"\n{table}")
