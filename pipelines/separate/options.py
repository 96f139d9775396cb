"""The options of ``uss-separate``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.cli import CommandParser, UsageError, at_least
from pipelines.model_options import (
    ModelOptions,
    add_detection_arguments,
    add_model_arguments,
    add_runtime_arguments,
)
from uss.audio.excerpting import check_excerpt
from uss.audio.formats import DEFAULT_SUBTYPES
from uss.checkpoints.published import PUBLISHED
from uss.core.clock import parse_time
from uss.core.errors import InputError
from uss.detection.defaults import DEFAULT_LEVEL

DEFAULT_OUTPUT = Path("separated")
RESIDUAL = "residual"
_ALL = "all"


@dataclass(frozen=True, kw_only=True)
class SeparateOptions:
    """What the command line asks for.

    Attributes:
        inputs: files and folders.
        output: folder; None if the user named none.
        models: which models, and how they run.
        levels, classes, queries, without: what is wanted, and what goes to the residual.
        threshold, overlap, consistency, full_band: see ``uss.separate_file``.
        track, align, start_seconds, end_seconds: see ``uss.separate_file``.
        all_tracks: separate every audio track of a film.
        stdout: the class, or ``residual``, whose stem goes to standard output.
        format, subtype, detect_only, mux: see ``uss.separate_file``.
    """

    inputs: Sequence[Path]
    output: Path | None
    models: ModelOptions
    levels: Sequence[int]
    classes: Sequence[str]
    queries: Sequence[Path]
    without: Sequence[str]
    threshold: float | None
    overlap: float
    consistency: bool
    full_band: bool
    track: int | None
    all_tracks: bool
    align: str
    start_seconds: float
    end_seconds: float | None
    stdout: str | None
    format: str
    subtype: str | None
    detect_only: bool
    mux: bool

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> SeparateOptions:
        """Take what the parser has parsed.

        Raises:
            ValueError: if it makes no sense together.
        """
        if arguments.mux and arguments.detect_only:
            raise UsageError("--mux needs stems, --detect-only writes none; leave out one")
        if not arguments.input:
            raise UsageError("name at least one input file; see uss-separate --help")
        _check_stdout(arguments)
        check_excerpt(arguments.start_seconds, arguments.end_seconds)
        classes = list(arguments.classes or ())
        if arguments.stdout is not None and not _is_asked_for(arguments.stdout, arguments):
            classes.append(arguments.stdout)
        named = classes or arguments.query
        return cls(
            inputs=arguments.input,
            output=arguments.output,
            models=ModelOptions.of(arguments),
            levels=list(dict.fromkeys(arguments.level or ([] if named else [DEFAULT_LEVEL]))),
            classes=classes,
            queries=arguments.query or (),
            without=arguments.without or (),
            threshold=arguments.threshold,
            overlap=arguments.overlap,
            consistency=arguments.consistency,
            full_band=arguments.full_band,
            track=None if arguments.track == _ALL else arguments.track,
            all_tracks=arguments.track == _ALL,
            align=arguments.align,
            start_seconds=arguments.start_seconds,
            end_seconds=arguments.end_seconds,
            stdout=arguments.stdout,
            format=arguments.format,
            subtype=arguments.subtype,
            detect_only=arguments.detect_only,
            mux=arguments.mux,
        )


def _add_place_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says where in a film, and where to."""
    parser.add_argument(
        "--track",
        type=_track,
        default=None,
        metavar="N|all",
        help="which audio track of a film (default: the one flagged as default, else the first), "
        "or all, with a folder for each",
    )
    parser.add_argument(
        "--align",
        choices=("track", "film"),
        default="track",
        help="where stems begin: with their audio track, or with the film, after silence where the "
        "track starts late",
    )
    parser.add_argument(
        "--from",
        dest="start_seconds",
        type=_time,
        default=0.0,
        metavar="TIME",
        help="separate only from there on; seconds, or h:mm:ss.s",
    )
    parser.add_argument(
        "--to",
        dest="end_seconds",
        type=_time,
        default=None,
        metavar="TIME",
        help="separate only up to there",
    )
    parser.add_argument(
        "--stdout",
        default=None,
        metavar="CLASS",
        help="write the stem of this class, or the residual, to standard output; the folder is "
        "written only if -o is given",
    )


def _track(text: str) -> int | str:
    return _ALL if text == _ALL else at_least(1)(text)


def _time(text: str) -> float:
    try:
        return parse_time(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _check_stdout(arguments: argparse.Namespace) -> None:
    """Refuse what standard output cannot take."""
    if arguments.stdout is None:
        return
    if len(arguments.input) > 1:
        raise UsageError("--stdout writes one stem; name one input")
    if arguments.track == _ALL:
        raise UsageError("--stdout writes one stem, --track all makes several; choose one track")
    if arguments.detect_only:
        raise UsageError("--stdout writes a stem, --detect-only makes none; leave out one")


def _is_asked_for(name: str, arguments: argparse.Namespace) -> bool:
    """Whether a stem comes of the other options."""
    queries = {path.stem for path in arguments.query or ()}
    classes = {each.rpartition("@")[0] or each for each in arguments.classes or ()}
    return name == RESIDUAL or name in queries or name in classes


def separate_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = CommandParser(
        "uss-separate",
        "Find the AudioSet classes in recordings and write a stem for each, plus a residual: all "
        "files of one folder add up to the input.",
    )
    parser.add_argument(
        "input",
        nargs="*",
        type=Path,
        help="audio or video files, and folders, which stand for all such files in them; - for "
        "standard input",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=None, help=f"folder (default: {DEFAULT_OUTPUT})"
    )
    _add_place_arguments(parser)
    parser.add_argument(
        "--detect-only",
        action="store_true",
        help="write what is found, and when, without separating it",
    )
    parser.add_argument(
        "--level",
        nargs="+",
        type=int,
        default=None,
        metavar="N",
        help=f"levels of the ontology, 1 (coarse) to 6 ({DEFAULT_LEVEL} if no --class is given)",
    )
    parser.add_argument(
        "--class",
        dest="classes",
        nargs="+",
        default=None,
        metavar="NAME|MID|INDEX",
        help="write a stem for each of these classes, silent where it is not detected; "
        "--threshold 0 separates it everywhere, NAME@12-15,1:02-1:05 at these times alone",
    )
    parser.add_argument(
        "--query",
        nargs="+",
        type=Path,
        default=None,
        metavar="AUDIO",
        help="write a stem of what sounds like each of these recordings; a folder is one query, "
        "the mean of its files",
    )
    parser.add_argument(
        "--not",
        dest="without",
        nargs="+",
        default=None,
        metavar="NAME|AUDIO",
        help="keep these classes, or what sounds like these recordings, out of all stems",
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--download",
        action="append",
        choices=tuple(PUBLISHED),
        metavar="NAME",
        help="only fetch this published model into the cache (USS_CACHE, or the platform's); "
        "repeat it for more",
    )
    add_detection_arguments(parser)
    parser.add_argument(
        "--consistency",
        action="store_true",
        help="share out the residual among the stems, and make finer levels add up to coarser ones",
    )
    parser.add_argument(
        "--full-band",
        action="store_true",
        help="give stems their share of what lies above 16 kHz, which else is in the residual",
    )
    add_runtime_arguments(parser)
    parser.add_argument("--format", choices=tuple(DEFAULT_SUBTYPES), default="wav")
    parser.add_argument("--subtype", default=None, help="FLOAT for wav, PCM_24 for flac if unset")
    parser.add_argument(
        "--mux",
        action="store_true",
        help="also write a copy of the film whose audio tracks are the stems, as FLAC",
    )
    return parser
