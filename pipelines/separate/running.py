"""What ``uss-separate`` does with its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from pipelines.cli import BAD_INPUT, FAULT, UsageError, fault_line, report_error
from pipelines.interruptions import is_interrupted
from pipelines.separate.inputs import check_names
from pipelines.separate.on_cluster import check_for_cluster, separate_on_cluster
from pipelines.separate.options import SeparateOptions
from pipelines.separate.pipes import called, check_standard_input
from pipelines.separate.progress import ProgressBars
from pipelines.separate.requests import (
    load_models,
    placement_of,
    settings_of,
    stem_for_stdout,
)
from pipelines.separate.streams import (
    KeptInputs,
    examples_on_disk,
    kept_for_sound,
    named_inputs,
    on_disk,
    output_folder,
    write_stem,
)
from pipelines.separate.summary import (
    FAILED,
    SummaryRow,
    check_summary,
    print_result,
    print_skipped,
    write_summary,
)
from pipelines.streams import complain
from uss.audio.listing import Found, find_recordings
from uss.core.errors import INPUT_ERRORS, one_line
from uss.results.asking import example_file
from uss.results.file_settings import output_format
from uss.results.marking import check_one_recording, listed_marks
from uss.results.naming import uses_track
from uss.results.outcomes import Outcome
from uss.results.raven_sequence import RavenSequence
from uss.results.recordings import Input, of_track, with_all_tracks
from uss.results.separate_files import separate_files

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
    is_piped = options.stdout is not None
    with kept_for_sound(is_piped) as sound, output_folder(options.output, is_piped) as output:
        return _separate(options, output, sound)


def _separate(options: SeparateOptions, output: Path, sound: BinaryIO | None) -> int:
    form = output_format(options.format, options.subtype)
    found = find_recordings(options.inputs, recursive=options.recursive, but_not=output)
    examples = [*options.queries, *map(Path, options.without)]
    check_standard_input([*(each.path for each in found), *map(example_file, examples)])
    options = _of_one_recording(options, found)
    inputs = named_inputs(found, options.name, options.track or 1)
    check_names(inputs)
    if len(inputs) > 1 and sound is not None:
        raise UsageError(f"--stdout writes one stem, not those of {len(inputs)} recordings")
    check_summary(output, needed=len(inputs) > 1)
    sequence = RavenSequence(output) if len(inputs) > 1 and _is_sequence(options) else None
    if options.cluster is not None:
        check_for_cluster(options, inputs)
        chosen = _with_tracks(options, found, inputs, inputs)
        check_names(chosen)
        run = _Run(options, output, KeptInputs(chosen, {}, []), sequence=sequence)
        run.separate(partial(separate_on_cluster, options, options.cluster, chosen, output))
        return run.status
    _allow_many_files()
    separator, others = load_models(options)
    with examples_on_disk(options, output) as readable:
        settings = settings_of(readable, separator, form)
    with on_disk(inputs, output) as kept:
        chosen = _with_tracks(options, found, inputs, kept.inputs)
        check_names(chosen)
        run = _Run(
            options,
            output,
            replace(kept, inputs=chosen),
            shown_output=Path("-") if options.output is None and sound else None,
            sequence=sequence,
        )
        run.separate(
            lambda on_outcome: separate_files(
                chosen,
                output,
                separator,
                settings,
                on_outcome=on_outcome,
                progress=ProgressBars(),
                placement=placement_of(options),
                command=options.command_line,
                is_interrupted=is_interrupted,
                others=others,
            )
        )
    first = run.first
    if sound is not None and first and first.result is not None and first.folder is not None:
        file = stem_for_stdout(options, separator, settings.wanted, first.result)
        write_stem(sound, first.folder / file)
    return run.status


def _of_one_recording(options: SeparateOptions, found: Sequence[Found]) -> SeparateOptions:
    """Take what is marked in the recording; spans belong to one alone."""
    if not options.marked:
        return options
    check_one_recording([each.path for each in found])
    return replace(options, marked=listed_marks(options.marked, called(found[0].path).name))


def _is_sequence(options: SeparateOptions) -> bool:
    """Whether the recordings follow each other in one table: each of them whole, and once."""
    is_whole = not options.start_seconds and options.end_seconds is None
    return "raven" in options.labels and is_whole and not options.all_tracks


def _with_tracks(
    options: SeparateOptions, found: Sequence[Found], named: Sequence[Input], kept: Sequence[Input]
) -> list[Input]:
    """Name recordings by their tracks, and put all of a film in its place if that is asked for.

    Args:
        options: what is asked for.
        found: all recordings.
        named: how the results of their first tracks are called.
        kept: those that can be read now.
    """
    places = {each.folder_name: place for place, each in enumerate(named)}
    is_told_apart = options.name is not None and uses_track(options.name)

    def name_of(each: Input, track: int) -> str:
        if not is_told_apart:
            return of_track(each, track)
        return named_inputs(found, options.name, track)[places[each.folder_name]].folder_name

    if options.all_tracks:
        return with_all_tracks(kept, name_of)
    if options.track is None and is_told_apart:
        return [replace(each, name=name_of(each, each.chosen_track(None))) for each in kept]
    return list(kept)


@dataclass
class _Run:
    """Recordings that are separated, and what has become of them.

    Attributes:
        options: what is asked for.
        output: the folder for results.
        kept: the recordings.
        shown_output: what is said to be the output, if not the folder.
        sequence: gathers what was found, where the recordings are to follow each other in a table.
        statuses: exit statuses so far.
        first: what became of the first; all of many results would fill the memory.
    """

    options: SeparateOptions
    output: Path
    kept: KeptInputs
    shown_output: Path | None = None
    sequence: RavenSequence | None = None
    statuses: set[int] = field(default_factory=lambda: {0})
    first: Outcome | None = None
    _rows: dict[Input, SummaryRow] = field(default_factory=dict)
    _skipped: list[SummaryRow] = field(default_factory=list)

    @property
    def status(self) -> int:
        """The exit status of the command."""
        return FAULT if FAULT in self.statuses else max(self.statuses)

    def separate(self, work: Callable[[Callable[[Outcome], None]], None]) -> None:
        """Separate them, say what becomes of each and where it lies, and sum up several.

        Args:
            work: does so, and tells what it is given of each outcome.
        """
        listed = [*(outcome.input for outcome in self.kept.failed), *self.kept.inputs]
        has_table = check_summary(self.output, needed=len(listed) > 1)
        for outcome in self.kept.failed:
            self._note(outcome)
        try:
            work(self._note)
            if self.sequence is not None:
                self._write_sequence(self.sequence, listed)
        finally:
            # Also of an interrupted run, as far as it went.
            if has_table and (self._rows or self._skipped):
                finished = [self._rows[each] for each in listed if each in self._rows]
                self.statuses.add(self._sum_up(finished))

    def _note(self, outcome: Outcome) -> None:
        self.first = self.first or outcome
        if self.sequence is not None and outcome.result is not None:
            self.sequence.add(outcome.input, outcome.result)
        row, status = _reported(outcome, self.options.debug, self.kept.shown, self.shown_output)
        self.statuses.add(status)
        if outcome.skipped:
            self._skipped.append(row)
        else:
            self._rows[outcome.input] = row

    def _write_sequence(self, sequence: RavenSequence, listed: Sequence[Input]) -> None:
        """Write Raven's table of the run; the results stay where that fails."""
        try:
            sequence.write(listed)
        except Exception as error:
            about = f"the table {sequence.path}"
            self.statuses.add(report_error(_PROGRAM, error, self.options.debug, about=about))

    def _sum_up(self, finished: Sequence[SummaryRow]) -> int:
        """Write the table; the results stay where that fails."""
        try:
            write_summary(self.output, finished, self._skipped)
        except Exception as error:
            debug = self.options.debug
            return report_error(_PROGRAM, error, debug, about="the table of results")
        return 0


def _reported(
    outcome: Outcome, debug: bool, shown: Mapping[str, str], shown_output: Path | None
) -> tuple[SummaryRow, int]:
    """Print what became of a file, which stops none of the others; also gives its exit status."""
    path = str(outcome.path)
    name = shown.get(path, path)
    track = outcome.input.track
    listed = name if track is None else f"{name} (track {track})"
    if outcome.result is None or outcome.folder is None:
        error = outcome.error or ValueError()
        status = report_error(_PROGRAM, error, debug, about=name, shown=shown)
        is_input = isinstance(error, INPUT_ERRORS)
        message = one_line(error) if is_input else fault_line(error, debug=True)
        return SummaryRow(listed, FAILED, error=message.replace(path, name)), status
    row = replace(SummaryRow.of_result(outcome.path, outcome.result), input=listed)
    if outcome.skipped:
        print_skipped(outcome.result, outcome.folder)
        return row, 0
    print_result(outcome.result, shown_output or outcome.folder, outcome.highest_probability)
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
