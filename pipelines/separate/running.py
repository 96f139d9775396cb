"""What ``uss-separate`` does with its options."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from pipelines.cli import BAD_INPUT, UsageError, one_line
from pipelines.separate.inputs import check_names
from pipelines.separate.options import RESIDUAL, SeparateOptions
from pipelines.separate.progress import ProgressBars
from pipelines.separate.streams import (
    KeptInputs,
    kept_for_sound,
    named_inputs,
    on_disk,
    output_folder,
    write_stem,
)
from pipelines.separate.summary import SummaryRow, check_summary, print_result, write_summary
from uss.audio.listing import list_recordings
from uss.conditions.placed_queries import placed_after, placed_queries
from uss.conditions.queries import Query
from uss.results.asking import example_queries, unwanted_queries
from uss.results.recording_job import FileSettings
from uss.results.recordings import Input, with_all_tracks
from uss.results.separate_files import Outcome, is_aligned, output_format, separate_files
from uss.results.stem_writer import OutputFormat
from uss.separation.plan import Wanted
from uss.separation.separator import Separator

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

_MANY_FILES = 16_384


def separate(options: SeparateOptions) -> int:
    """Separate all inputs; returns the exit status."""
    is_piped = options.stdout is not None
    with kept_for_sound(is_piped) as sound, output_folder(options.output, is_piped) as output:
        return _separate(options, output, sound)


def _separate(options: SeparateOptions, output: Path, sound: BinaryIO | None) -> int:
    form = output_format(options.format, options.subtype)
    inputs = named_inputs(list_recordings(options.inputs))
    check_names(inputs)
    several = len(inputs) > 1
    if several and sound is not None:
        raise UsageError(f"--stdout writes one stem, not those of {len(inputs)} recordings")
    if several:
        check_summary(output)
    _allow_many_files()
    separator = options.models.load()
    settings = _settings(options, separator, form)
    with on_disk(inputs, output) as kept:
        if options.all_tracks:
            kept = replace(kept, inputs=with_all_tracks(kept.inputs))
            check_names(kept.inputs)
        shown_output = Path("-") if options.output is None and sound else None
        outcomes = _separate_in_turn(kept, output, separator, settings, shown_output)
    if sound is not None and outcomes[0].result is not None and outcomes[0].folder is not None:
        write_stem(sound, outcomes[0].result, outcomes[0].folder, _stem_name(options, separator))
    return BAD_INPUT if any(outcome.error for outcome in outcomes) else 0


def _separate_in_turn(
    kept: KeptInputs,
    output: Path,
    separator: Separator,
    settings: FileSettings,
    shown_output: Path | None,
) -> list[Outcome]:
    """Separate recordings, say what becomes of each and where it lies, and sum up several."""
    rows: dict[Input, SummaryRow] = {}
    outcomes: list[Outcome] = []

    def note(outcome: Outcome) -> None:
        outcomes.append(outcome)
        rows[outcome.input] = _reported(outcome, kept.shown, shown_output)

    for outcome in kept.failed:
        note(outcome)
    try:
        separate_files(
            kept.inputs, output, separator, settings, on_outcome=note, progress=ProgressBars()
        )
    finally:
        # Also of an interrupted run, as far as it went.
        listed = [*(outcome.input for outcome in kept.failed), *kept.inputs]
        if len(listed) > 1 and rows:
            write_summary(output, [rows[each] for each in listed if each in rows])
    return outcomes


def _stem_name(options: SeparateOptions, separator: Separator) -> str:
    """What the stem for standard output is called."""
    asked = str(options.stdout)
    if asked == RESIDUAL or asked in {path.stem for path in options.queries}:
        return asked
    return placed_queries([asked], separator.ontology)[0].name


def _settings(options: SeparateOptions, separator: Separator, form: OutputFormat) -> FileSettings:
    """Find out what is asked for."""
    for level in options.levels:
        separator.ontology.nodes_at_level(level)
    classes = placed_queries(options.classes, separator.ontology)
    without = unwanted_queries(separator, options.without)
    _check_contradictions(classes, without)
    wanted = Wanted(
        levels=options.levels,
        queries=placed_after(
            [*classes, *example_queries(separator, options.queries)], options.start_seconds
        ),
        without=without,
        threshold=options.threshold,
        consistency=options.consistency,
        full_band=options.full_band,
    )
    return FileSettings(
        wanted=wanted,
        overlap=options.overlap,
        track=options.track,
        is_aligned=is_aligned(options.align),
        start_seconds=options.start_seconds,
        end_seconds=options.end_seconds,
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


def _reported(outcome: Outcome, shown: Mapping[str, str], shown_output: Path | None) -> SummaryRow:
    """Print what became of a file; an error stops none of the others."""
    path = outcome.input.path
    name = shown.get(str(path), str(path))
    if outcome.result is None or outcome.folder is None:
        message = one_line(outcome.error or ValueError()).replace(str(path), name)
        print(f"uss-separate: {message}", file=sys.stderr)
        return SummaryRow(name, "failed", error=message)
    print_result(outcome.result, shown_output or outcome.folder, outcome.highest_probability)
    return SummaryRow.of_result(Path(name), outcome.result)


def _allow_many_files() -> None:
    """Open as many files at once as the system lets us: every stem is one."""
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, _MANY_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
