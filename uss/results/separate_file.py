"""One file to a folder of stems: what ``uss-separate`` does, for programs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from uss.audio.excerpting import check_excerpt
from uss.conditions.placed_queries import placed_after, placed_queries
from uss.conditions.queries import Query
from uss.core.errors import InputError
from uss.core.spans import Span
from uss.detection.defaults import DEFAULT_LEVEL, DEFAULT_OVERLAP, Threshold
from uss.results.asking import example_files, example_queries, listed, unwanted_queries
from uss.results.file_settings import FileSettings, is_aligned, output_format
from uss.results.marking import listed_marks, marked_files
from uss.results.outcomes import Outcome
from uss.results.placement import Placement, resolved
from uss.results.progress import Progress
from uss.results.recordings import Input
from uss.results.result import SeparationResult
from uss.results.separate_files import separate_files
from uss.separation.fitting import check_blind
from uss.separation.plan import Wanted
from uss.separation.presets import Preset, load_presets
from uss.separation.separator import Separator

logger = logging.getLogger(__name__)


def separate_file(
    path: str | Path | Input,
    output: str | Path = "separated",
    *,
    separator: Separator | None = None,
    levels: Sequence[int] = (),
    classes: Sequence[str | int] = (),
    queries: Sequence[Query | str | Path] = (),
    texts: str | Iterable[str] = (),
    spans: Span | str | Path | Iterable[Span | str | Path] = (),
    span_only: bool = False,
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
    candidates: int = 1,
    others: Sequence[Separator] = (),
    score_stems: bool = False,
    progress: Progress | None = None,
) -> SeparationResult:
    """Separate an audio or video file of any length into a folder, as ``uss-separate`` does.

    The stems, their residuals, ``detections.json``, ``timeline.png`` and ``report.html`` appear in
    ``output/<name of the file>`` when all are complete; an earlier result of the same recording
    there is replaced, any other file stays. Where a picture, the report or the copy of the film
    cannot be made, the log has a warning.

    Args:
        path: the file; or an ``Input``, which names its result itself, and may say that the file
            is not there to stay.
        output: the folder for the folder; made if it is missing.
        separator: finds and separates; the embedded default if None. Load one for many files.
        levels: of the ontology; level 2 if nothing else is asked for.
        classes: AudioSet names, mids, class indexes or aliases that get a stem, active or not.
            ``Dog@12-15`` gets one that holds what is separated from 12 to 15 s of the recording,
            heard or not.
        queries: files that what is wanted sounds like, folders of such files, or what
            ``Separator.audio_query`` made; times as for classes.
        texts: what is wanted, in words, with times as classes; what they exclude is in no stem.
        spans: marked seconds of the recording that sound like what is wanted: ``Span``, texts such
            as ``bell@1.2-3.5``, and paths of label files.
        span_only: what is marked is wanted in these seconds alone.
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
        candidates: draw each stem with so many seeds, and keep those that the tagger likes best;
            see ``uss.separation.candidates``.
        others: models whose stems are candidates too.
        score_stems: let the tagger score stems, see ``uss.metrics.tagger_score``.
        progress: is told how far it is; what its callbacks raise ends the work, and leaves nothing.

    Returns:
        What was written, or was there.

    Raises:
        OSError, ValueError: if the file cannot be read, something asked for does not exist, or the
            result cannot be written; nothing is left of it then.
    """
    if force and resume:
        raise InputError("force replaces results, resume keeps them; leave out one")
    recording = path if isinstance(path, Input) else Input.named(Path(path), name, track)
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
    marked = listed_marks(spans, recording.path.name)
    wanted = Wanted(
        levels=levels or (() if named or presets or marked or blind else (DEFAULT_LEVEL,)),
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
        marked=marked,
        span_only=span_only,
        candidates=candidates,
        score_stems=score_stems,
    )
    outcomes: list[Outcome] = []
    separate_files(
        [recording],
        Path(output),
        chosen,
        settings,
        on_outcome=outcomes.append,
        progress=progress,
        placement=Placement(
            force=force,
            resume=resume,
            sources=resolved([*example_files(queries), *marked_files(marked)]),
        ),
        others=others,
    )
    (outcome,) = outcomes
    for warning in outcome.warnings:
        logger.warning("%s", warning)
    if outcome.error is not None:
        raise outcome.error
    assert outcome.result is not None
    return outcome.result
