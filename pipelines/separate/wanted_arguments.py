"""The arguments of ``uss-separate`` that say what is wanted."""

from __future__ import annotations

import argparse
from pathlib import Path

from uss.core.errors import InputError
from uss.core.spans import Span, spans_in
from uss.detection.defaults import DEFAULT_LEVEL
from uss.interchange.marks import MarkedFile, read_marks


def add_wanted_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is looked for, and what must be in no stem."""
    parser.add_argument(
        "--level",
        nargs="+",
        action="extend",
        type=int,
        default=None,
        metavar="N",
        help=f"levels of the ontology, 1 (coarse) to 6 ({DEFAULT_LEVEL} if no --class, --text, "
        "--span or --preset is given)",
    )
    parser.add_argument(
        "--class",
        dest="classes",
        nargs="+",
        action="extend",
        default=None,
        metavar="NAME|MID|INDEX",
        help="write a stem for each of these classes, by AudioSet's name or a common word for it, "
        "silent where it is not detected; --threshold 0 separates it everywhere, "
        "NAME@12-15,1:02-1:05 at these times alone",
    )
    parser.add_argument(
        "--preset",
        nargs="+",
        action="extend",
        default=None,
        metavar="NAME|FILE",
        help="write the stems of these presets, such as film: dialogue, music and effects; list "
        "shows them, and where to put your own",
    )
    parser.add_argument(
        "--query",
        nargs="+",
        action="extend",
        type=Path,
        default=None,
        metavar="AUDIO",
        help="write a stem of what sounds like each of these recordings; a folder is one query, "
        "the mean of its files; - and named pipes too",
    )
    _add_span_arguments(parser)
    parser.add_argument(
        "--text",
        nargs="+",
        action="extend",
        default=None,
        metavar="WORDS",
        help="write a stem of what each of these texts describes, in English, such as 'a dog barks "
        "behind a fence'; what a text excludes ('rain without thunder') is in no stem",
    )
    parser.add_argument(
        "--not",
        dest="without",
        nargs="+",
        action="extend",
        default=None,
        metavar="NAME|AUDIO|WORDS",
        help="keep these classes, what sounds like these recordings, or what these words describe, "
        "out of all stems",
    )


def _add_span_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which seconds of the recording sound like what is wanted."""
    parser.add_argument(
        "--span",
        dest="marked",
        action="extend",
        type=_spans,
        default=None,
        metavar="[NAME@]START-END",
        help="write a stem of what sounds like these seconds of the recording, such as 1.2-3.5 or "
        "bell@1:02-1:05.5; repeat it for more, those of one name are one stem",
    )
    parser.add_argument(
        "--spans",
        dest="marked",
        action="extend",
        type=_marked_file,
        metavar="FILE",
        help="the same for what a label file marks, a stem for each name in it; formats as for "
        "--labels, told by the file's name",
    )
    parser.add_argument(
        "--span-only",
        action="store_true",
        help="separate what --span and --spans mark in these seconds alone: elsewhere its stem is "
        "silent",
    )


def _spans(text: str) -> tuple[Span, ...]:
    try:
        return spans_in(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _marked_file(text: str) -> tuple[MarkedFile, ...]:
    try:
        return (read_marks(Path(text)),)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
