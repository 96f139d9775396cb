"""From files to folders of stems: what ``uss-separate`` does, for programs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from uss.audio import DEFAULT_SUBTYPES, check_format
from uss.checkpoints.loading import weight_hash
from uss.conditions.queries import Query, named_queries
from uss.core.errors import InputError
from uss.core.hashes import short_hash
from uss.detection.defaults import DEFAULT_LEVEL, DEFAULT_OVERLAP
from uss.results.asking import example_queries, listed, unwanted_queries
from uss.results.naming import result_names
from uss.results.part_folder import sweep
from uss.results.placement import Placement, resolved
from uss.results.progress import NoProgress, Progress
from uss.results.recording_job import FileSettings, RecordingJob, RunningRecording, separating
from uss.results.request import request_hash
from uss.results.result import RunSettings, SeparationResult, ThresholdOrigin
from uss.results.stem_writer import OutputFormat
from uss.separation.plan import Wanted
from uss.separation.presets import Preset, load_presets
from uss.separation.separator import Separator

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes:
        path: the file.
        folder: of the result; None if it failed.
        result: what was written; None if it failed.
        highest_probability: of all classes and segments.
        error: why it failed; anything but one of ``INPUT_ERRORS`` is a fault of the program, or a
            lack of memory.
        warnings: what is missing beside the stems, and why, one line each.
        skipped: its result was there already, and stays; see ``Placement``.
    """

    path: Path
    folder: Path | None = None
    result: SeparationResult | None = None
    highest_probability: float = 0.0
    error: Exception | None = None
    skipped: bool = False
    warnings: tuple[str, ...] = ()


def separate_file(
    path: str | Path,
    output: str | Path = "separated",
    *,
    separator: Separator | None = None,
    levels: Sequence[int] = (),
    classes: Sequence[str | int] = (),
    queries: Sequence[Query | str | Path] = (),
    presets: Sequence[Preset | str | Path] = (),
    without: Sequence[Query | str | int] = (),
    threshold: float | None = None,
    overlap: float = DEFAULT_OVERLAP,
    consistency: bool = False,
    full_band: bool = False,
    track: int = 1,
    format: str = "wav",
    subtype: str | None = None,
    detect_only: bool = False,
    mux: bool = False,
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
        queries: files that what is wanted sounds like, folders of such files, or what
            ``Separator.audio_query`` made.
        presets: names and files of presets; the stems of each get a folder of their own.
        without: classes, files and queries that must be in no stem.
        threshold: of detection; None for the model's own.
        overlap: of neighbouring segments; 0 is the paper's algorithm.
        consistency: stems share out the residual, and finer levels add up to coarser ones.
        full_band: stems follow the mask's top bins above the separator's band.
        track: which audio track of a film, from 1.
        format: ``wav`` or ``flac``.
        subtype: as libsndfile names it; None for float WAV and 24-bit FLAC.
        detect_only: write what is found, and when, without separating it.
        mux: also write a copy of the film whose audio tracks are the stems.
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
    recording = Path(path)
    names = result_names([(recording, Path())], name, track)
    form = output_format(format, subtype)
    chosen = separator or Separator.from_pretrained()
    wanted = Wanted(
        levels=levels or (() if classes or queries or presets else (DEFAULT_LEVEL,)),
        queries=[*named_queries(classes, chosen.ontology), *example_queries(chosen, queries)],
        presets=load_presets(presets, chosen.ontology),
        without=unwanted_queries(chosen, without),
        threshold=threshold,
        consistency=consistency,
        full_band=full_band,
    )
    settings = FileSettings(
        wanted=wanted,
        overlap=overlap,
        track=track,
        output_format=form,
        detect_only=detect_only,
        mux=mux,
    )
    outcomes: list[Outcome] = []
    separate_files(
        [recording],
        Path(output),
        chosen,
        settings,
        on_outcome=outcomes.append,
        placement=Placement(
            names=names,
            force=force,
            resume=resume,
            sources=resolved(Path(each) for each in listed(queries) if not isinstance(each, Query)),
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
    paths: Sequence[Path],
    output: Path,
    separator: Separator,
    settings: FileSettings,
    *,
    on_outcome: Callable[[Outcome], object],
    progress: Progress | None = None,
    placement: Placement | None = None,
    is_interrupted: Callable[[], bool] = lambda: False,
) -> None:
    """Separate files in turn; the last stems of one may wait for a batch that the next ones fill.

    A file that cannot be read, or whose result cannot be written, stops none of the others; nor
    does a fault of the program, or too little memory, for one of them.

    Args:
        paths: the files.
        output: each file gets a folder in it.
        separator: finds and separates.
        settings: what is done.
        on_outcome: called for each file as soon as its result is there, or has failed.
        progress: is told how far each file is.
        placement: where results go, and what they may find there; if None they are called like
            the files, and replace results of the same recording only.
        is_interrupted: whether the run is to end. A KeyboardInterrupt does so too, but libraries
            that are called from C may turn it into an error of their own.

    Raises:
        KeyboardInterrupt: if the run was interrupted, naming the file that was lost; results that
            only waited for a batch are written first.
    """
    placement = placement or Placement()
    placement = replace(placement, sources=placement.sources | resolved(paths))
    settings.wanted.check(separator.detector)
    job = RecordingJob(
        separator,
        separator.batcher(),
        output,
        settings,
        describe_run(separator, settings),
        progress or NoProgress(),
        placement,
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
                    raise _lost(running.path) from error
                on_outcome(Outcome(running.path, error=error))
            except KeyboardInterrupt:
                raise _lost(running.path) from None
            else:
                on_outcome(_done(running))

    try:
        for path in paths:
            contexts = ExitStack()
            try:
                if (kept := placement.kept_result(output, path, job.described)) is not None:
                    on_outcome(Outcome(path, job.folder_of(path), kept, skipped=True))
                    continue
                waiting.append((contexts.enter_context(separating(path, job)), contexts))
            except Exception as error:
                if is_interrupted():
                    raise _lost(path) from error
                on_outcome(Outcome(path, error=error))
            except KeyboardInterrupt:
                raise _lost(path) from None
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
        running.path,
        running.folder,
        running.result,
        running.highest_probability,
        warnings=tuple(running.warnings),
    )


def _lost(path: Path) -> KeyboardInterrupt:
    return KeyboardInterrupt(f"nothing of {path.name} was written")


def output_format(suffix: str, subtype: str | None) -> OutputFormat:
    """Choose how stems are stored; without a subtype, float WAV and 24-bit FLAC.

    Raises:
        ValueError: if there is no such format.
    """
    if suffix not in DEFAULT_SUBTYPES:
        raise InputError(f"format {suffix!r}; choose {' or '.join(DEFAULT_SUBTYPES)}")
    form = OutputFormat(suffix, subtype or DEFAULT_SUBTYPES[suffix])
    check_format(form.suffix, form.subtype)
    return form


def describe_run(separator: Separator, settings: FileSettings) -> RunSettings:
    """Note what results depend on beside their recordings."""
    wanted = settings.wanted
    values = separator.detector.thresholds(wanted.threshold)
    shared = bool(np.all(values == values[0]))
    return RunSettings(
        model=separator.names.model,
        separator_hash=separator.separator_hash,
        class_queries=separator.names.class_queries,
        tagger=separator.tagger.name,
        tagger_hash=weight_hash(separator.tagger),
        tagger_architecture=type(separator.tagger).__name__,
        tagger_architecture_from=separator.tagger.architecture_from,
        threshold=round(float(values[0]), 6) if shared else None,
        thresholds=None if shared else _origin(separator, values),
        overlap=settings.overlap,
        precision=str(separator.runtime.dtype).removeprefix("torch."),
        track=settings.track,
        without=[query.name for query in wanted.without],
        consistency=wanted.consistency,
        full_band=wanted.full_band,
        request_hash=request_hash(_request(separator, settings)),
    )


def _request(separator: Separator, settings: FileSettings) -> list[object]:
    """List what results depend on that no hash or name of ``RunSettings`` tells."""
    encoder = separator.encoder
    own = None if encoder is separator.tagger else weight_hash(encoder)
    return [settings, separator.class_queries, own]


def _origin(separator: Separator, values: np.ndarray) -> ThresholdOrigin:
    identity = short_hash(np.ascontiguousarray(values, np.float32).tobytes())
    calibration = separator.bundle.provenance.get("thresholds", {})
    return ThresholdOrigin(separator.names.model, identity, calibration)
