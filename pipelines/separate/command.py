"""``uss-separate``: recordings in, a folder of stems for each out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ontology import Node, Ontology
from pipelines.cli import BAD_INPUT, UsageError, one_line, run_command
from pipelines.model_options import load_separator
from pipelines.separate.inputs import check_names, list_recordings
from pipelines.separate.one import Job, Process, process
from pipelines.separate.options import separate_parser
from pipelines.separate.summary import SummaryRow, check_summary, write_summary
from uss.audio import DEFAULT_SUBTYPES, AudioFile, check_format
from uss.checkpoints.downloads import fetch
from uss.checkpoints.loading import weight_hash
from uss.checkpoints.published import PUBLISHED
from uss.conditions.queries import AudioQuery
from uss.core.errors import INPUT_ERRORS
from uss.results.writing_stems import OutputFormat
from uss.separation.separator import DEFAULT_LEVEL, Separator

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

_MANY_FILES = 16_384


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(separate_parser(), argv, _run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.download and arguments.input:
        raise UsageError(
            "--download only fetches; leave out the input files, and repeat it for each model"
        )
    if arguments.download:
        for name in arguments.download:
            print(fetch(PUBLISHED[name]))
        return 0
    if arguments.mux and arguments.detect_only:
        raise UsageError("--mux needs stems, --detect-only writes none; leave out one")
    if not arguments.input:
        raise UsageError("name at least one input file; see uss-separate --help")
    return _separate_all(arguments)


def _separate_all(arguments: argparse.Namespace) -> int:
    output_format = OutputFormat(
        arguments.format, arguments.subtype or DEFAULT_SUBTYPES[arguments.format]
    )
    check_format(output_format.suffix, output_format.subtype)
    recordings = list_recordings(arguments.input)
    check_names(recordings)
    if len(recordings) > 1:
        check_summary(arguments.output)
    _allow_many_files()
    job = _prepare(arguments, output_format)
    rows: list[SummaryRow | None] = [None] * len(recordings)
    try:
        _process_all(recordings, job, rows)
    finally:
        # Also of an interrupted run, as far as it went.
        done = [row for row in rows if row is not None]
        if len(recordings) > 1 and done:
            write_summary(arguments.output, done)
    return BAD_INPUT if any(row is not None and row.error for row in rows) else 0


def _allow_many_files() -> None:
    """Open as many files at once as the system lets us: every stem is one."""
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, _MANY_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _process_all(recordings: Sequence[Path], job: Job, rows: list[SummaryRow | None]) -> None:
    """Process recordings in turn; the last stems of one may wait for a batch with the next."""
    running: dict[int, Process] = {}

    def advance() -> None:
        for index in list(running):
            try:
                row = _advance(recordings[index], running[index])
            except KeyboardInterrupt:
                del running[index]
                raise KeyboardInterrupt(
                    f"nothing of {recordings[index].name} was written"
                ) from None
            if row is not None:
                rows[index] = row
                del running[index]

    try:
        for index, path in enumerate(recordings):
            running[index] = process(path, job)
            advance()
    finally:
        # What only waits for a batch is as good as done, also when the run is interrupted.
        try:
            job.batcher.flush()
            advance()
        finally:
            for unfinished in running.values():
                unfinished.close()


def _advance(path: Path, running: Process) -> SummaryRow | None:
    """Go on with one recording; an error is printed, so that the others are not stopped."""
    try:
        result = next(running)
        return None if result is None else SummaryRow.of_result(path, result)
    except INPUT_ERRORS as error:
        message = one_line(error)
        print(f"uss-separate: {message}", file=sys.stderr)
        return SummaryRow(str(path), "failed", error=message)


def _prepare(arguments: argparse.Namespace, output_format: OutputFormat) -> Job:
    """Load the models and find out what is asked for."""
    separator = load_separator(arguments)
    named = arguments.classes or arguments.query
    levels = arguments.level or ([] if named else [DEFAULT_LEVEL])
    for level in levels:
        separator.ontology.nodes_at_level(level)
    nodes = [separator.ontology.find(name) for name in arguments.classes or ()]
    without = [_unwanted(separator, name) for name in arguments.without or ()]
    _check_contradictions(separator.ontology, nodes, without)
    settings = {
        "model": arguments.model if arguments.separator is None else arguments.separator,
        "separator_hash": separator.separator_hash,
        "class_queries": arguments.class_queries,
        "tagger": separator.tagger.name,
        "tagger_hash": weight_hash(separator.tagger),
        "threshold": _single_threshold(separator, arguments.threshold),
        "overlap": arguments.overlap,
        "precision": str(separator.runtime.dtype).removeprefix("torch."),
        "track": arguments.track,
        "without": [target.name for target in without],
        "consistency": arguments.consistency,
        "full_band": arguments.full_band,
    }
    return Job(
        separator,
        separator.batcher(),
        list(dict.fromkeys(levels)),
        list(dict.fromkeys(nodes)),
        [_audio_query(separator, path) for path in arguments.query or ()],
        without,
        output_format,
        settings,
        arguments,
    )


def _check_contradictions(
    ontology: Ontology, nodes: Sequence[Node], without: Sequence[Node | AudioQuery]
) -> None:
    """Refuse named classes of which nothing would be left."""
    for unwanted in without:
        if isinstance(unwanted, AudioQuery):
            continue
        gone = set(ontology.class_indexes(unwanted))
        for node in nodes:
            if gone.issuperset(ontology.class_indexes(node)):
                raise UsageError(
                    f"--class asks for {node.name}, --not {unwanted.name} takes all of it away; "
                    "leave out one"
                )


def _audio_query(separator: Separator, path: Path) -> AudioQuery:
    """Make a query of a file, or of all recordings in a folder."""
    files = list_recordings([path])
    return separator.audio_query(path.stem, (AudioFile(file) for file in files))


def _unwanted(separator: Separator, name: str) -> Node | AudioQuery:
    """A class, or a sound by example where no class but a file or folder has that name."""
    try:
        return separator.ontology.find(name)
    except ValueError:
        if not Path(name).exists():
            raise
        return _audio_query(separator, Path(name))


def _single_threshold(separator: Separator, threshold: float | None) -> float | None:
    """The threshold where all classes share one, else None."""
    values = separator.thresholds(threshold)
    return round(float(values[0]), 6) if np.all(values == values[0]) else None
