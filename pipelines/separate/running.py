"""What ``uss-separate`` does with its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.cli import BAD_INPUT, FAULT, fault_line, report_error
from pipelines.interruptions import is_interrupted
from pipelines.separate.inputs import check_names
from pipelines.separate.options import SeparateOptions
from pipelines.separate.progress import ProgressBars
from pipelines.separate.summary import (
    FAILED,
    SummaryRow,
    check_summary,
    print_result,
    print_skipped,
    write_summary,
)
from pipelines.streams import complain
from uss.audio.listing import find_recordings, list_recordings
from uss.conditions.queries import named_queries
from uss.core.errors import INPUT_ERRORS, one_line
from uss.results.asking import example_queries, unwanted_queries
from uss.results.naming import result_names
from uss.results.placement import Placement, resolved
from uss.results.recording_job import FileSettings
from uss.results.separate_files import Outcome, output_format, separate_files
from uss.results.stem_writer import OutputFormat
from uss.separation.plan import Wanted
from uss.separation.presets import load_presets
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
    found = find_recordings(options.inputs, recursive=options.recursive, but_not=options.output)
    recordings = [each.path for each in found]
    names = result_names([(each.path, each.below) for each in found], options.name, options.track)
    check_names(recordings, names)
    has_table = check_summary(options.output, needed=len(recordings) > 1)
    _allow_many_files()
    separator = options.models.load()
    settings = _settings(options, separator, form)
    rows: dict[Path, SummaryRow] = {}
    skipped: list[SummaryRow] = []
    statuses = {0}

    def note(outcome: Outcome) -> None:
        row, status = _reported(outcome, options.debug)
        statuses.add(status)
        if outcome.skipped:
            skipped.append(row)
        else:
            rows[outcome.path] = row

    try:
        separate_files(
            recordings,
            options.output,
            separator,
            settings,
            on_outcome=note,
            progress=ProgressBars(),
            placement=_placement(options, names),
            is_interrupted=is_interrupted,
        )
    finally:
        # Also of an interrupted run, as far as it went.
        if has_table and (rows or skipped):
            finished = [rows[path] for path in recordings if path in rows]
            statuses.add(_sum_up(options, finished, skipped))
    return FAULT if FAULT in statuses else max(statuses)


def _sum_up(
    options: SeparateOptions, finished: Sequence[SummaryRow], skipped: Sequence[SummaryRow]
) -> int:
    """Write the table; the results stay where that fails."""
    try:
        write_summary(options.output, finished, skipped)
    except Exception as error:
        return report_error(_PROGRAM, error, options.debug, about="the table of results")
    return 0


def _settings(options: SeparateOptions, separator: Separator, form: OutputFormat) -> FileSettings:
    """Find out what is asked for."""
    classes = named_queries(options.classes, separator.ontology)
    presets = load_presets(options.presets, separator.ontology)
    without = unwanted_queries(separator, options.without)
    wanted = Wanted(
        levels=options.levels,
        queries=[*classes, *example_queries(separator, options.queries)],
        presets=presets,
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


def _placement(options: SeparateOptions, names: Mapping[Path, str]) -> Placement:
    """Say where results go; an example must not be removed with an earlier one."""
    words = (Path(word) for word in options.without)
    examples = [*options.queries, *(path for path in words if path.exists())]
    return Placement(
        names=names,
        force=options.force,
        resume=options.resume,
        sources=resolved(list_recordings(examples)),
    )


def _reported(outcome: Outcome, debug: bool) -> tuple[SummaryRow, int]:
    """Print what became of a file, which stops none of the others; also gives its exit status."""
    path = str(outcome.path)
    if outcome.result is None or outcome.folder is None:
        error = outcome.error or ValueError()
        status = report_error(_PROGRAM, error, debug, about=path)
        is_input = isinstance(error, INPUT_ERRORS)
        message = one_line(error) if is_input else fault_line(error, debug=True)
        return SummaryRow(path, FAILED, error=message), status
    row = SummaryRow.of_result(outcome.path, outcome.result)
    if outcome.skipped:
        print_skipped(outcome.result, outcome.folder)
        return row, 0
    print_result(outcome.result, outcome.folder, outcome.highest_probability)
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
