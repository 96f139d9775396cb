"""The options of ``uss-separate``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.cli import UsageError, is_debugging
from pipelines.cluster_options import cluster_of
from pipelines.model_options import ModelOptions
from pipelines.separate.pipes import called
from uss.audio.excerpting import check_excerpt
from uss.core.cluster import ClusterSettings
from uss.core.spans import Span
from uss.detection.defaults import DEFAULT_LEVEL, Threshold
from uss.interchange.marks import MarkedFile, marked_names
from uss.interchange.sessions import check_session_formats

DEFAULT_OUTPUT = Path("separated")
RESIDUAL = "residual"
ALL_TRACKS = "all"


@dataclass(frozen=True, kw_only=True)
class SeparateOptions:
    """What the command line asks for.

    Attributes:
        inputs: files and folders.
        output: folder; None if the user named none.
        models: which models, and how they run.
        levels, classes, queries, texts, presets: what is wanted.
        without: what goes to the residual.
        marked: seconds of the recording that sound like what is wanted, and files that mark such.
        span_only: that is wanted in these seconds alone.
        threshold, overlap, consistency, full_band, joint, blind: see ``uss.separate_file``.
        track, align, start_seconds, end_seconds: see ``uss.separate_file``.
        all_tracks: separate every audio track of a film.
        stdout: the class, or ``residual``, whose stem goes to standard output.
        format, subtype, names, bag, detect_only, mux: see ``uss.separate_file``.
        labels, sessions: formats for other programs; likewise.
        recursive: folders in folders are searched.
        name, resume, force: see ``uss.separate_file``.
        candidates, score_stems: likewise.
        candidate_models: whose stems are candidates too.
        debug: show where errors come from.
        command_line: what was typed.
        cluster: whose processes separate; None for this one alone.
    """

    inputs: Sequence[Path]
    output: Path | None
    models: ModelOptions
    levels: Sequence[int]
    classes: Sequence[str]
    queries: Sequence[Path]
    texts: Sequence[str]
    presets: Sequence[str]
    without: Sequence[str]
    marked: Sequence[Span | MarkedFile]
    span_only: bool
    threshold: Threshold
    overlap: float
    consistency: bool
    full_band: bool
    joint: bool | None
    blind: bool
    track: int | None
    all_tracks: bool
    align: str
    start_seconds: float
    end_seconds: float | None
    stdout: str | None
    format: str
    subtype: str | None
    names: str | None
    bag: bool
    detect_only: bool
    mux: bool
    labels: Sequence[str]
    sessions: Sequence[str]
    recursive: bool
    name: str | None
    resume: bool
    force: bool
    candidates: int
    candidate_models: Sequence[str]
    score_stems: bool
    debug: bool
    command_line: Sequence[str]
    cluster: ClusterSettings | None = None

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> SeparateOptions:
        """Take what the parser has parsed.

        Raises:
            ValueError: if it makes no sense together.
        """
        if arguments.blind:
            _check_blind(arguments)
        if arguments.mux and arguments.detect_only:
            raise UsageError("--mux needs stems, --detect-only writes none; leave out one")
        if arguments.session and arguments.detect_only:
            raise UsageError(
                "--session needs stems, --detect-only writes none; leave out one, or give --labels"
            )
        check_session_formats(arguments.session or ())
        if arguments.detect_only:
            _check_choosing(arguments)
        if arguments.resume and arguments.force:
            raise UsageError("--resume keeps results, --force replaces them; leave out one")
        if not arguments.input:
            raise UsageError(
                f"name at least one input file{_taken(arguments)}; see uss-separate --help"
            )
        if arguments.span_only and not arguments.marked:
            raise UsageError("--span-only needs spans; mark some with --span or --spans")
        if arguments.workers is not None and arguments.ray is None:
            raise UsageError("--workers are processes of a cluster; name one by --ray")
        _check_stdout(arguments)
        check_excerpt(arguments.start_seconds, arguments.end_seconds)
        classes = list(arguments.classes or ())
        if arguments.stdout is not None and not _is_asked_for(arguments.stdout, arguments):
            classes.append(arguments.stdout)
        asked = (classes, arguments.query, arguments.text, arguments.preset, arguments.marked)
        named = any(asked) or arguments.blind
        return cls(
            inputs=arguments.input,
            output=arguments.output,
            models=ModelOptions.of(arguments),
            levels=list(dict.fromkeys(arguments.level or ([] if named else [DEFAULT_LEVEL]))),
            classes=classes,
            queries=arguments.query or (),
            texts=arguments.text or (),
            presets=arguments.preset or (),
            without=arguments.without or (),
            marked=arguments.marked or (),
            span_only=arguments.span_only,
            threshold=arguments.threshold,
            overlap=arguments.overlap,
            consistency=arguments.consistency,
            full_band=arguments.full_band,
            joint=arguments.joint,
            blind=arguments.blind,
            track=None if arguments.track == ALL_TRACKS else arguments.track,
            all_tracks=arguments.track == ALL_TRACKS,
            align=arguments.align,
            start_seconds=arguments.start_seconds,
            end_seconds=arguments.end_seconds,
            stdout=arguments.stdout,
            format=arguments.format,
            subtype=arguments.subtype,
            names=arguments.names,
            bag=arguments.bag,
            detect_only=arguments.detect_only,
            mux=arguments.mux,
            labels=list(dict.fromkeys(arguments.labels or ())),
            sessions=list(dict.fromkeys(arguments.session or ())),
            recursive=arguments.recursive,
            name=arguments.name,
            resume=arguments.resume,
            force=arguments.force,
            candidates=arguments.candidates,
            candidate_models=list(dict.fromkeys(arguments.candidate_model or ())),
            score_stems=arguments.score_stems,
            debug=is_debugging(arguments.debug),
            command_line=getattr(arguments, "command_line", ()),
            cluster=cluster_of(arguments),
        )


def _taken(arguments: argparse.Namespace) -> str:
    """Say which option took a file that may have been meant as the input."""
    several = {"--class": "classes", "--text": "text", "--not": "without", "--preset": "preset"}
    several["--query"] = "query"
    for option, name in several.items():
        given = getattr(arguments, name) or ()
        is_more = option != "--query" or len(given) > 1
        if given and is_more and _is_file(given[-1]):
            return f" ({option} took {given[-1]}; put inputs first)"
    return ""


def _is_file(name: str | Path) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def _check_blind(arguments: argparse.Namespace) -> None:
    """Refuse beside --blind what asks for something, or for stems that do not add up."""
    others = {
        "--class": arguments.classes,
        "--query": arguments.query,
        "--text": arguments.text,
        "--preset": arguments.preset,
        "--span": arguments.marked,
        "--level": arguments.level,
        "--not": arguments.without,
        "--threshold": arguments.threshold is not None,
        "--consistency": arguments.consistency,
        "--joint": arguments.joint is True,
        "--independent": arguments.joint is False,
        "--detect-only": arguments.detect_only,
        "--stdout": arguments.stdout is not None,
        "--overlap 0": arguments.overlap == 0.0,
        **_choosing(arguments),
    }
    for option, value in others.items():
        if value:
            raise UsageError(
                f"--blind writes the stems that the model finds, all of them and in its own way; "
                f"leave out {option}, or --blind"
            )


def _check_choosing(arguments: argparse.Namespace) -> None:
    """Refuse to score or to choose among stems that are not made."""
    for option, value in _choosing(arguments).items():
        if value:
            raise UsageError(f"{option} needs stems, --detect-only writes none; leave out one")


def _choosing(arguments: argparse.Namespace) -> Mapping[str, Any]:
    """Options that score stems or choose among them, and whether they were given."""
    return {
        "--candidates": arguments.candidates > 1,
        "--candidate-model": arguments.candidate_model,
        "--score-stems": arguments.score_stems,
    }


def _check_stdout(arguments: argparse.Namespace) -> None:
    """Refuse what standard output cannot take."""
    if arguments.stdout is None:
        return
    if len(arguments.input) > 1:
        raise UsageError("--stdout writes one stem; name one input")
    if arguments.ray is not None:
        raise UsageError("--stdout writes one stem, --ray shares out many files; leave out one")
    if arguments.track == ALL_TRACKS:
        raise UsageError("--stdout writes one stem, --track all makes several; choose one track")
    if arguments.detect_only:
        raise UsageError("--stdout writes a stem, --detect-only makes none; leave out one")


def _is_asked_for(name: str, arguments: argparse.Namespace) -> bool:
    """Whether a stem comes of the other options."""
    queries = {called(path).stem for path in arguments.query or ()}
    classes = {each.rpartition("@")[0] or each for each in arguments.classes or ()}
    texts = {folded_text(text.rpartition("@")[0] or text) for text in arguments.text or ()}
    if folded_text(name) in texts:
        return True
    marked = marked_names(arguments.marked or ())
    return name in {RESIDUAL, *marked, *queries, *classes, *_preset_stems(arguments.preset or ())}


def folded_text(text: str) -> str:
    """Bring a text to the form in which texts are compared."""
    return " ".join(text.split()).casefold()


def _preset_stems(presets: Sequence[str]) -> set[str]:
    """Read how the stems of presets are called."""
    if not presets:
        return set()
    from uss.separation.preset_files import find_preset, read_preset

    return {name for preset in presets for name in read_preset(find_preset(preset)).stems}
