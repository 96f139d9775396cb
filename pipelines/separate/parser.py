"""The parser of ``uss-separate``."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipelines.cli import CommandParser, at_least
from pipelines.cluster_options import add_cluster_arguments
from pipelines.model_options import (
    add_detection_arguments,
    add_drawing_arguments,
    add_joint_arguments,
    add_model_arguments,
    add_runtime_arguments,
)
from pipelines.separate.options import ALL_TRACKS, DEFAULT_OUTPUT
from pipelines.separate.wanted_arguments import add_wanted_arguments
from uss.audio.formats import DEFAULT_SUBTYPES
from uss.checkpoints.published import PUBLISHED
from uss.core.clock import parse_time
from uss.core.errors import InputError
from uss.interchange.labels import LABEL_FORMATS
from uss.interchange.sessions import SESSION_FORMATS


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
    add_wanted_arguments(parser)
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
    add_joint_arguments(parser)
    parser.add_argument(
        "--blind",
        action="store_true",
        help="with a model that was trained with MixIT: write the stems that it finds of itself, "
        "each named by the tagger, such as stem1_Dog; they add up to the input",
    )
    add_runtime_arguments(parser)
    add_drawing_arguments(parser)
    _add_choosing_arguments(parser)
    parser.add_argument(
        "--workers",
        type=at_least(1),
        default=None,
        metavar="N",
        help="with --ray, how many processes (as many as there is room for if not given)",
    )
    add_cluster_arguments(parser)
    parser.add_argument("--format", choices=tuple(DEFAULT_SUBTYPES), default="wav")
    parser.add_argument("--subtype", default=None, help="FLOAT for wav, PCM_24 for flac if unset")
    parser.add_argument(
        "--names",
        type=_stem_template,
        default=None,
        metavar="TEMPLATE|ucs",
        help="what the files of stems are called, such as {stem}_{class} (the recording's name, "
        "what is in the stem); also {catid}, {group}, {track}; ucs for the Universal Category "
        "System ({class} if unset; the folder's name is --name)",
    )
    parser.add_argument(
        "--mux",
        action="store_true",
        help="also write a copy of the film whose audio tracks are the stems, as FLAC",
    )
    _add_export_arguments(parser)
    _add_result_arguments(parser)
    return parser


def _add_choosing_arguments(parser: argparse.ArgumentParser) -> None:
    """Add how stems are scored without a reference, and chosen by that."""
    parser.add_argument(
        "--candidates",
        type=at_least(1),
        default=1,
        metavar="N",
        help="of a generative model: draw each stem N times, with the seed and those after it, and "
        "keep the one that the tagger likes best (1: no choice)",
    )
    parser.add_argument(
        "--candidate-model",
        nargs="+",
        action="extend",
        default=None,
        metavar="NAME|FILE|FOLDER",
        help="models whose stems are candidates too, beside those of --model",
    )
    parser.add_argument(
        "--score-stems",
        action="store_true",
        help="score each stem without a reference, by what the tagger hears in it and in what is "
        "left (always done where there are candidates)",
    )


def _add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is written for other programs."""
    parser.add_argument(
        "--labels",
        nargs="+",
        action="extend",
        choices=tuple(LABEL_FORMATS),
        default=None,
        metavar="FORMAT",
        help="also write what is heard when as label files, for " + ", ".join(LABEL_FORMATS),
    )
    parser.add_argument(
        "--session",
        nargs="+",
        action="extend",
        choices=tuple(SESSION_FORMATS),
        default=None,
        metavar="FORMAT",
        help="also write the stems as tracks of a session, for " + ", ".join(SESSION_FORMATS),
    )


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
        "{suffix} without the rest, {track}, {number} ({stem} if unset; the files in it are "
        "--names)",
    )
    parser.add_argument(
        "--bag",
        action="store_true",
        help="make each result's folder a bag (BagIt), whose files an archive can check",
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
    return ALL_TRACKS if text == ALL_TRACKS else at_least(1)(text)


def _stem_template(text: str) -> str:
    # The module needs torch; without this option the parser does not.
    from uss.results.stem_names import check_stem_template

    try:
        check_stem_template(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _time(text: str) -> float:
    try:
        return parse_time(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
