"""From files to folders of stems: the one loop over files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from uss.results.file_settings import FileSettings
from uss.results.marking import check_marked
from uss.results.outcomes import Outcome
from uss.results.part_folder import sweep
from uss.results.placement import Placement, resolved
from uss.results.progress import NoProgress, Progress
from uss.results.provenance import Provenance
from uss.results.recording_job import RecordingJob, RunningRecording, separating
from uss.results.recordings import Input
from uss.results.run_settings import describe_run
from uss.separation.candidates import candidates_of, check_candidates
from uss.separation.separator import Separator
from uss.separation.wanting import check_words


def separate_files(
    recordings: Sequence[Path | Input],
    output: Path,
    separator: Separator,
    settings: FileSettings,
    *,
    on_outcome: Callable[[Outcome], object],
    progress: Progress | None = None,
    placement: Placement | None = None,
    command: Sequence[str] | None = None,
    is_interrupted: Callable[[], bool] = lambda: False,
    others: Sequence[Separator] = (),
) -> None:
    """Separate files in turn; the last stems of one may wait for a batch that the next ones fill.

    A file that cannot be read, or whose result cannot be written, stops none of the others; nor
    does a fault of the program, or too little memory, for one of them.

    Args:
        recordings: the files.
        output: each gets a folder in it, called like the file unless it has another name.
        separator: finds and separates.
        settings: what is done.
        on_outcome: called for each file as soon as its result is there, or has failed.
        progress: is told how far each file is.
        placement: what results may find where they go; if None they replace results of the same
            recording only.
        command: the words of the command line, noted in ``provenance.json``.
        is_interrupted: whether the run is to end. A KeyboardInterrupt does so too, but libraries
            that are called from C may turn it into an error of their own.
        others: separate the same; of each stem the one is kept that the first one's tagger likes
            best, see ``uss.separation.candidates``.

    Raises:
        KeyboardInterrupt: if the run was interrupted, naming the file that was lost; results that
            only waited for a batch are written first.
    """
    inputs = [Input.of(each) for each in recordings]
    placement = placement or Placement()
    sources = placement.sources | resolved(each.path for each in inputs)
    placement = replace(placement, sources=sources)
    settings.wanted.check(separator.detector, separator.model, settings.overlap)
    candidates = candidates_of(separator, settings.candidates, others)
    check_candidates(candidates, settings.wanted)
    check_marked(separator, settings, inputs)
    if not settings.detect_only:
        check_words(separator.class_queries, settings.wanted)
    job = RecordingJob(
        separator,
        separator.batcher(),
        output,
        settings,
        describe_run(separator, settings, others),
        progress or NoProgress(),
        placement,
        Provenance.of(separator, settings, command, others),
        candidates,
    )
    waiting: list[tuple[RunningRecording, ExitStack]] = []
    sweep(output)

    def finish_those_that_are_done(*, at_the_end: bool = False) -> None:
        for running, contexts in [each for each in waiting if not each[0].is_waiting]:
            waiting.remove((running, contexts))
            try:
                contexts.close()
            except Exception as error:
                if is_interrupted() and not at_the_end:
                    raise _lost(running.input) from error
                on_outcome(Outcome(running.input, error=error))
            except KeyboardInterrupt:
                raise _lost(running.input) from None
            else:
                on_outcome(_done(running))

    try:
        for recording in inputs:
            contexts = ExitStack()
            try:
                if (kept := job.kept_result(recording)) is not None:
                    on_outcome(Outcome(recording, job.folder_of(recording), kept, skipped=True))
                    continue
                waiting.append((contexts.enter_context(separating(recording, job)), contexts))
            except Exception as error:
                if is_interrupted():
                    raise _lost(recording) from error
                on_outcome(Outcome(recording, error=error))
            except KeyboardInterrupt:
                raise _lost(recording) from None
            finish_those_that_are_done()
            if is_interrupted():
                raise KeyboardInterrupt
    finally:
        # What only waits for a batch is as good as done, also when the run is interrupted.
        try:
            job.batcher.flush()
            finish_those_that_are_done(at_the_end=True)
        finally:
            for _, contexts in waiting:
                with suppress(_AbandonedError), contexts:
                    raise _AbandonedError


class _AbandonedError(Exception):
    """Ends the work on a recording as any error does: nothing is left of it."""


def _done(running: RunningRecording) -> Outcome:
    return Outcome(
        running.input,
        running.folder,
        running.result,
        running.highest_probability,
        warnings=tuple(running.warnings),
    )


def _lost(recording: Input) -> KeyboardInterrupt:
    return KeyboardInterrupt(f"nothing of {recording.path.name} was written")
