"""What ``uss-separate`` does with its options."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.cli import BAD_INPUT, UsageError, one_line
from pipelines.separate.inputs import check_names
from pipelines.separate.options import SeparateOptions
from pipelines.separate.progress import ProgressBars
from pipelines.separate.summary import SummaryRow, check_summary, print_result, write_summary
from uss.audio.listing import list_recordings
from uss.conditions.queries import Query, named_queries
from uss.results.asking import example_queries, unwanted_queries
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


def separate(options: SeparateOptions) -> int:
    """Separate all inputs; returns the exit status."""
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

    def note(outcome: Outcome) -> None:
        rows[outcome.path] = _reported(outcome)

    try:
        separate_files(
            recordings,
            options.output,
            separator,
            settings,
            on_outcome=note,
            progress=ProgressBars(),
        )
    finally:
        # Also of an interrupted run, as far as it went.
        if several and rows:
            write_summary(options.output, [rows[path] for path in recordings if path in rows])
    return BAD_INPUT if any(row.error for row in rows.values()) else 0


def _settings(options: SeparateOptions, separator: Separator, form: OutputFormat) -> FileSettings:
    """Find out what is asked for."""
    for level in options.levels:
        separator.ontology.nodes_at_level(level)
    classes = named_queries(options.classes, separator.ontology)
    presets = load_presets(options.presets, separator.ontology)
    without = unwanted_queries(separator, options.without)
    _check_contradictions("--class", classes, without)
    for preset in presets:
        _check_contradictions(f"--preset {preset.name}", preset.stems, without)
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


def _check_contradictions(option: str, wanted: Sequence[Query], without: Sequence[Query]) -> None:
    """Refuse named classes of which nothing would be left."""
    for unwanted in without:
        for query in wanted:
            gone = set(unwanted.class_indexes)
            if gone and gone.issuperset(query.class_indexes):
                raise UsageError(
                    f"{option} asks for {query.name}, --not {unwanted.name} takes all of it away; "
                    "leave out one"
                )


def _reported(outcome: Outcome) -> SummaryRow:
    """Print what became of a file; an error stops none of the others."""
    if outcome.result is None or outcome.folder is None:
        message = one_line(outcome.error or ValueError())
        print(f"uss-separate: {message}", file=sys.stderr)
        return SummaryRow(str(outcome.path), "failed", error=message)
    print_result(outcome.result, outcome.folder, outcome.highest_probability)
    return SummaryRow.of_result(outcome.path, outcome.result)


def _allow_many_files() -> None:
    """Open as many files at once as the system lets us: every stem is one."""
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, _MANY_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
