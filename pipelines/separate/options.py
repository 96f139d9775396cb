"""The options of ``uss-separate``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.cli import CommandParser, UsageError, at_least, is_debugging
from pipelines.model_options import (
    ModelOptions,
    add_detection_arguments,
    add_model_arguments,
    add_runtime_arguments,
)
from uss.audio.formats import DEFAULT_SUBTYPES
from uss.checkpoints.published import PUBLISHED
from uss.detection.defaults import DEFAULT_LEVEL


@dataclass(frozen=True, kw_only=True)
class SeparateOptions:
    """What the command line asks for.

    Attributes:
        inputs: files and folders.
        output: folder.
        models: which models, and how they run.
        levels, classes, queries, presets, without: what is wanted, and what goes to the residual.
        threshold, overlap, consistency, full_band, track: see ``uss.separate_file``.
        format, subtype, detect_only, mux: see ``uss.separate_file``.
        recursive: folders in folders are searched.
        name, resume, force: see ``uss.separate_file``.
        debug: show where errors come from.
    """

    inputs: Sequence[Path]
    output: Path
    models: ModelOptions
    levels: Sequence[int]
    classes: Sequence[str]
    queries: Sequence[Path]
    presets: Sequence[str]
    without: Sequence[str]
    threshold: float | None
    overlap: float
    consistency: bool
    full_band: bool
    track: int
    format: str
    subtype: str | None
    detect_only: bool
    mux: bool
    recursive: bool
    name: str | None
    resume: bool
    force: bool
    debug: bool

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> SeparateOptions:
        """Take what the parser has parsed.

        Raises:
            ValueError: if it makes no sense together.
        """
        if arguments.mux and arguments.detect_only:
            raise UsageError("--mux needs stems, --detect-only writes none; leave out one")
        if arguments.resume and arguments.force:
            raise UsageError("--resume keeps results, --force replaces them; leave out one")
        if not arguments.input:
            raise UsageError("name at least one input file; see uss-separate --help")
        named = arguments.classes or arguments.query or arguments.preset
        return cls(
            inputs=arguments.input,
            output=arguments.output,
            models=ModelOptions.of(arguments),
            levels=list(dict.fromkeys(arguments.level or ([] if named else [DEFAULT_LEVEL]))),
            classes=arguments.classes or (),
            queries=arguments.query or (),
            presets=arguments.preset or (),
            without=arguments.without or (),
            threshold=arguments.threshold,
            overlap=arguments.overlap,
            consistency=arguments.consistency,
            full_band=arguments.full_band,
            track=arguments.track,
            format=arguments.format,
            subtype=arguments.subtype,
            detect_only=arguments.detect_only,
            mux=arguments.mux,
            recursive=arguments.recursive,
            name=arguments.name,
            resume=arguments.resume,
            force=arguments.force,
            debug=is_debugging(arguments.debug),
        )


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
        help="audio or video files, and folders, which stand for all such files in them",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("separated"), help="folder")
    parser.add_argument(
        "--track", type=at_least(1), default=1, metavar="N", help="which audio track of a film"
    )
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
        help=f"levels of the ontology, 1 (coarse) to 6 ({DEFAULT_LEVEL} if no --class or --preset "
        "is given)",
    )
    parser.add_argument(
        "--class",
        dest="classes",
        nargs="+",
        default=None,
        metavar="NAME|MID|INDEX",
        help="write a stem for each of these classes, by AudioSet's name or a common word for it, "
        "silent where it is not detected; --threshold 0 separates it everywhere",
    )
    parser.add_argument(
        "--preset",
        nargs="+",
        default=None,
        metavar="NAME|FILE",
        help="write the stems of these presets, such as film: dialogue, music and effects; list "
        "shows them, and where to put your own",
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
    _add_result_arguments(parser)
    return parser


def _add_result_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says which results there are to be, and what becomes of earlier ones."""
    parser.add_argument(
        "--recursive",
        action="store_true",
        help="also search folders in folders; their structure is repeated in the output",
    )
    parser.add_argument(
        "--name",
        default=None,
        metavar="TEMPLATE",
        help="what a result's folder is called, such as {parent}/{stem}; also {name} with and "
        "{suffix} without the rest, {track}, {number} ({stem} if unset)",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="skip inputs whose result is there: same content, model and settings",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="also replace results of other recordings with the same name",
    )
