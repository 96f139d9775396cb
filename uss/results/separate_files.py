"""From files to folders of stems: what ``uss-separate`` does, for programs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

from uss.audio.excerpting import check_excerpt
from uss.conditions.placed_queries import placed_after, placed_queries
from uss.conditions.queries import Query
from uss.core.errors import InputError
from uss.detection.defaults import DEFAULT_LEVEL, DEFAULT_OVERLAP, Threshold
from uss.results.asking import example_file, example_queries, listed, unwanted_queries
from uss.results.file_settings import FileSettings, is_aligned, output_format
from uss.results.outcomes import Outcome
from uss.results.part_folder import sweep
from uss.results.placement import Placement, resolved
from uss.results.progress import NoProgress, Progress
from uss.results.provenance import Provenance
from uss.results.recording_job import RecordingJob, RunningRecording, separating
from uss.results.recordings import Input
from uss.results.result import SeparationResult
from uss.results.run_settings import describe_run
from uss.separation.fitting import check_blind
from uss.separation.plan import Wanted
from uss.separation.presets import Preset, load_presets
from uss.separation.separator import Separator
from uss.separation.wanting import check_words

logger = logging.getLogger(__name__)


def separate_file(
    path: str | Path,
    output: str | Path = "separated",
    *,
    separator: Separator | None = None,
    levels: Sequence[int] = (),
    classes: Sequence[str | int] = (),
    queries: Sequence[Query | str | Path] = (),
    texts: str | Iterable[str] = (),
    presets: Sequence[Preset | str | Path] = (),
    without: Sequence[Query | str | int] = (),
    threshold: Threshold = None,
    overlap: float = DEFAULT_OVERLAP,
    consistency: bool = False,
    full_band: bool = False,
    joint: bool | None = None,
    blind: bool = False,
    track: int | None = None,
    align: str = "track",
    start_seconds: float = 0.0,
    end_seconds: float | None = None,
    format: str = "wav",
    subtype: str | None = None,
    detect_only: bool = False,
    mux: bool = False,
    labels: Sequence[str] = (),
    sessions: Sequence[str] = (),
    names: str | None = None,
    bag: bool = False,
    name: str | None = None,
    force: bool = False,
    resume: bool = False,
) -> SeparationResult:
    """Separate an audio or video file of any length into a folder, as ``uss-separate`` does.

    The stems, their residuals, ``detections.json``, ``timeline.png`` and ``report.html`` appear in
    ``output/<name of the file>`` when all are complete; an earlier result of the same recording
    there is replaced, any other file stays. Where a picture, the report or the copy of the film
    cannot be made, the log has a warning.

    Args:
        path: the file.
        output: the folder for the folder; made if it is missing.
        separator: finds and separates; the embedded default if None. Load one for many files.
        levels: of the ontology; level 2 if nothing else is asked for.
        classes: AudioSet names, mids, class indexes or aliases that get a stem, active or not.
            ``Dog@12-15`` gets one that holds what is separated from 12 to 15 s of the recording,
            heard or not.
        queries: files that what is wanted sounds like, folders of such files, or what
            ``Separator.audio_query`` made; times as for classes.
        texts: what is wanted, in words, with times as classes; what they exclude is in no stem.
        presets: names and files of presets; the stems of each get a folder of their own.
        without: classes, files, words and queries that must be in no stem.
        threshold: of detection, or ``low``, ``medium`` or ``high``; None for the model's own.
        overlap: of neighbouring segments; 0 is the paper's algorithm.
        consistency: stems share out the residual, and finer levels add up to coarser ones.
        full_band: stems follow the mask's top bins above the separator's band.
        joint: a folder's stems share bins; None for what the model was trained for.
        blind: what a model that was trained with MixIT finds of itself, named by the tagger.
        track: which audio track of a film, from 1; None for the one it flags as default.
        align: ``track``: stems begin with their track; ``film``: with the film, after silence.
        start_seconds: where the part of the recording begins that is separated.
        end_seconds: where it ends; None for the end of the recording.
        format: ``wav`` or ``flac``.
        subtype: as libsndfile names it; None for float WAV and 24-bit FLAC.
        detect_only: write what is found, and when, without separating it.
        mux: also write a copy of the film whose audio tracks are the stems.
        labels: formats of label files, such as ``audacity``; see ``uss.interchange.labels``.
        sessions: formats of sessions, such as ``reaper``; see ``uss.interchange.sessions``.
        names: of the stems' files, as ``"{stem}_{class}"`` or ``ucs``; see
            ``uss.results.stem_names.check_stem_template``.
        bag: make the folder a bag (BagIt), with the result in its folder ``data``.
        name: of the result's folder, where it shall not be that of the file; may have fields, see
            ``uss.results.naming.check_template``.
        force: also replace a result of another recording.
        resume: keep a result that is there already, of the same recording, model and settings.

    Returns:
        What was written, or was there.

    Raises:
        OSError, ValueError: if the file cannot be read, something asked for does not exist, or the
            result cannot be written; nothing is left of it then.
    """
    if force and resume:
        raise InputError("force replaces results, resume keeps them; leave out one")
    recording = Input.named(Path(path), name, track)
    form = output_format(format, subtype)
    check_excerpt(start_seconds, end_seconds)
    chosen = separator or Separator.from_pretrained()
    check_blind(chosen.conditioning.space, blind)
    in_words, excluded = chosen.placed_texts(texts)
    named = [
        *placed_queries(classes, chosen.ontology),
        *example_queries(chosen, queries),
        *in_words,
    ]
    wanted = Wanted(
        levels=levels or (() if named or presets or blind else (DEFAULT_LEVEL,)),
        queries=placed_after(named, start_seconds),
        presets=load_presets(presets, chosen.ontology),
        without=[*unwanted_queries(chosen, without), *excluded],
        threshold=threshold,
        consistency=consistency,
        full_band=full_band,
        joint=joint,
        blind=blind,
    )
    settings = FileSettings(
        wanted=wanted,
        overlap=overlap,
        track=track,
        is_aligned=is_aligned(align),
        start_seconds=start_seconds,
        end_seconds=end_seconds,
        output_format=form,
        detect_only=detect_only,
        mux=mux,
        labels=tuple(listed(labels)),
        sessions=tuple(listed(sessions)),
        names=names,
        bag=bag,
    )
    outcomes: list[Outcome] = []
    separate_files(
        [recording],
        Path(output),
        chosen,
        settings,
        on_outcome=outcomes.append,
        placement=Placement(
            force=force,
            resume=resume,
            sources=resolved(
                example_file(Path(each)) for each in listed(queries) if not isinstance(each, Query)
            ),
        ),
    )
    (outcome,) = outcomes
    for warning in outcome.warnings:
        logger.warning("%s", warning)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.result is not None
    return outcome.result


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

    Raises:
        KeyboardInterrupt: if the run was interrupted, naming the file that was lost; results that
            only waited for a batch are written first.
    """
    inputs = [Input.of(each) for each in recordings]
    placement = placement or Placement()
    sources = placement.sources | resolved(each.path for each in inputs)
    placement = replace(placement, sources=sources)
    settings.wanted.check(separator.detector, separator.model)
    if not settings.detect_only:
        check_words(separator.class_queries, settings.wanted)
    job = RecordingJob(
        separator,
        separator.batcher(),
        output,
        settings,
        describe_run(separator, settings),
        progress or NoProgress(),
        placement,
        Provenance.of(separator, settings, command),
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
