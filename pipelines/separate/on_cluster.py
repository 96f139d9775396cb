"""``uss-separate --ray``: recordings are shared out among the processes of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from pipelines.cli import UsageError
from pipelines.separate.options import SeparateOptions
from pipelines.separate.pipes import is_pipe
from pipelines.separate.requests import load_models, placement_of, settings_of
from pipelines.streams import Unbreakable
from uss.core.cluster import Cluster, ClusterSettings
from uss.results.asking import example_file
from uss.results.file_settings import output_format
from uss.results.outcomes import Outcome
from uss.results.placement import resolved
from uss.results.recordings import Input
from uss.results.separate_files import separate_files


class ClusterSeparator:
    """Separates one recording after another in a process of a cluster.

    Args:
        options: what is asked for.
        output: the folder for results.
        sources: files that no result may take the place of.
        num_cpus: of the process.

    Raises:
        OSError, ValueError: if a model or an example cannot be loaded.
    """

    def __init__(
        self, options: SeparateOptions, output: Path, sources: frozenset[str], num_cpus: int
    ) -> None:
        torch.set_num_threads(num_cpus)
        self._output = output
        self._separator, self._others = load_models(options)
        form = output_format(options.format, options.subtype)
        self._settings = settings_of(options, self._separator, form)
        self._command = options.command_line
        placement = placement_of(options)
        self._placement = replace(placement, sources=placement.sources | sources)

    def __call__(self, recording: Input, report: Callable[[int], None]) -> Outcome:
        """Separate one recording; a result of its own that is there already is replaced."""
        outcomes: list[Outcome] = []
        separate_files(
            [recording],
            self._output,
            self._separator,
            self._settings,
            on_outcome=outcomes.append,
            placement=self._placement,
            command=self._command,
            others=self._others,
        )
        report(1)
        (outcome,) = outcomes
        return outcome


def check_for_cluster(options: SeparateOptions, inputs: Sequence[Input]) -> None:
    """Refuse what other processes cannot read.

    Raises:
        ValueError: naming it.
    """
    examples = map(example_file, [*options.queries, *map(Path, options.without)])
    for path in (*(each.path for each in inputs), *examples):
        if is_pipe(path):
            raise UsageError(
                f"{path} is a pipe, which no other process can read; --ray takes files"
            )


def separate_on_cluster(
    options: SeparateOptions,
    cluster: ClusterSettings,
    inputs: Sequence[Input],
    output: Path,
    on_outcome: Callable[[Outcome], object],
) -> None:
    """Separate recordings; see ``separate_files``.

    Raises:
        OSError, ValueError: as ``Cluster`` and ``ClusterSeparator``, or if results do not lie here.
    """
    models = options.models
    if models.device == "auto" and not cluster.gpus_per_worker:
        models = replace(models, device="cpu")
    sources = resolved(each.path for each in inputs)
    make = partial(ClusterSeparator, replace(options, models=models), output, sources)
    workers: Cluster[Input, Outcome] = Cluster(cluster, make)
    with (
        workers,
        tqdm(total=len(inputs), unit="file", file=Unbreakable(), disable=None) as bar,
    ):
        for outcome in workers.run(inputs, bar.update):
            if outcome.folder is not None and not outcome.folder.is_dir():
                raise OSError(
                    f"{outcome.folder} was written on another machine and is not here; name an "
                    "output folder that all machines of the cluster share"
                )
            on_outcome(outcome)
