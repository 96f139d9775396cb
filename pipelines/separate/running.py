"""What ``uss-separate`` does with its options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.cli import BAD_INPUT, FAULT, UsageError, fault_line, one_line, report_error
from pipelines.interruptions import is_interrupted
from pipelines.separate.inputs import check_names
from pipelines.separate.options import SeparateOptions
from pipelines.separate.progress import ProgressBars
from pipelines.separate.summary import SummaryRow, check_summary, print_result, write_summary
from pipelines.streams import complain
from uss.audio.listing import list_recordings
from uss.conditions.queries import Query, named_queries
from uss.core.errors import INPUT_ERRORS
from uss.results.asking import example_queries, unwanted_queries
from uss.results.recording_job import FileSettings
from uss.results.separate_files import Outcome, output_format, separate_files
from uss.results.stem_writer import OutputFormat
from uss.separation.plan import Wanted
from uss.separation.separator import Separator

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

_MANY_FILES = 16_384
_PROGRAM = "uss-separate"


def separate(options: SeparateOptions) -> int:
    """Separate all inputs.

    Returns:
        The exit status: 1 if a file met with a fault of the program, else 2 if one failed or
        something beside its stems is missing, else 0.
    """
    form = output_format(options.format, options.subtype)
    recordings = list_recordings(options.inputs)
    check_names(recordings)
    several = len(recordings) > 1
    if several:
        check_summary(options.output)
    _allow_many_files()
    separator = options.models.load()
    settings = _settings(options, separator, form)
    rows: dict[Path, SummaryRow] = {}
    statuses = {0}

    def note(outcome: Outcome) -> None:
        rows[outcome.path], status = _reported(outcome, options.debug)
        statuses.add(status)

    try:
        separate_files(
            recordings,
            options.output,
            separator,
            settings,
            on_outcome=note,
            progress=ProgressBars(),
            is_interrupted=is_interrupted,
        )
    finally:
        # Also of an interrupted run, as far as it went.
        if several and rows:
            found = [rows[path] for path in recordings if path in rows]
            statuses.add(_sum_up(options.output, found, options.debug))
    return FAULT if FAULT in statuses else max(statuses)


def _sum_up(output: Path, rows: Sequence[SummaryRow], debug: bool) -> int:
    """Write the table; the results stay where that fails."""
    try:
        write_summary(output, rows)
    except Exception as error:
        return report_error(_PROGRAM, error, debug, about="the table of results")
    return 0


def _settings(options: SeparateOptions, separator: Separator, form: OutputFormat) -> FileSettings:
    """Find out what is asked for."""
    for level in options.levels:
        separator.ontology.nodes_at_level(level)
    classes = named_queries(options.classes, separator.ontology)
    without = unwanted_queries(separator, options.without)
    _check_contradictions(classes, without)
    wanted = Wanted(
        levels=options.levels,
        queries=[*classes, *example_queries(separator, options.queries)],
        without=without,
        threshold=options.threshold,
        consistency=options.consistency,
        full_band=options.full_band,
    )
    return FileSettings(
        wanted=wanted,
        overlap=options.overlap,
        track=options.track,
        output_format=form,
        detect_only=options.detect_only,
        mux=options.mux,
    )


def _check_contradictions(wanted: Sequence[Query], without: Sequence[Query]) -> None:
    """Refuse named classes of which nothing would be left."""
    for unwanted in without:
        for query in wanted:
            gone = set(unwanted.class_indexes)
            if gone and gone.issuperset(query.class_indexes):
                raise UsageError(
                    f"--class asks for {query.name}, --not {unwanted.name} takes all of it away; "
                    "leave out one"
                )


def _reported(outcome: Outcome, debug: bool) -> tuple[SummaryRow, int]:
    """Print what became of a file, which stops none of the others; also gives its exit status."""
    path = str(outcome.path)
    if outcome.result is None or outcome.folder is None:
        error = outcome.error or ValueError()
        status = report_error(_PROGRAM, error, debug, about=path)
        is_input = isinstance(error, INPUT_ERRORS)
        message = one_line(error) if is_input else fault_line(error, debug=True)
        return SummaryRow(path, "failed", error=message), status
    print_result(outcome.result, outcome.folder, outcome.highest_probability)
    row = SummaryRow.of_result(outcome.path, outcome.result)
    if not outcome.warnings:
        return row, 0
    for warning in outcome.warnings:
        complain(f"{_PROGRAM}: {warning}")
    return replace(row, status="incomplete", error="; ".join(outcome.warnings)), BAD_INPUT


def _allow_many_files() -> None:
    """Open as many files at once as the system lets us: every stem is one."""
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, _MANY_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
