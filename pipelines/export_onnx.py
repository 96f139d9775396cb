"""``uss-export-onnx``: a model in, a folder of ONNX graphs out, which run without torch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.cli import CommandParser, run_command
from pipelines.interruptions import importing
from pipelines.streams import say
from uss.checkpoints.published import DEFAULT_MODEL

_PROGRAM = "uss-export-onnx"
# Of uss.checkpoints.onnx_export, which imports torch; a test compares them.
_DEFAULT_OPSET = 18


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(export_parser(), argv, _run)


def export_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = CommandParser(
        _PROGRAM,
        "Write a model's networks as ONNX graphs, with the transforms outside, and what a program "
        "must know to run them. The folder is a model like others: uss-separate --model FOLDER "
        "runs it with onnxruntime.",
    )
    parser.add_argument(
        "model",
        nargs="?",
        default=DEFAULT_MODEL,
        metavar="MODEL",
        help="a name or a bundle, whose separator is a QueryUNet or a ResUNet",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="to be written; an earlier export there is replaced",
    )
    parser.add_argument(
        "--tagger",
        metavar="NAME|FILE",
        help="is exported instead of the model's own; without the thresholds, which were found "
        "with that",
    )
    parser.add_argument(
        "--opset",
        type=int,
        default=_DEFAULT_OPSET,
        metavar="N",
        help="of the graphs; an older runtime may want a lower one",
    )
    parser.add_argument(
        "--no-text", action="store_true", help="leave out the text encoder, and its words"
    )
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="load files that hold more than weights; they can run any code",
    )
    return parser


def _run(arguments: argparse.Namespace) -> int:
    with importing():
        from ontology import load_ontology
        from uss.checkpoints.loading import load_model, load_tagger
        from uss.checkpoints.onnx_export import check_export, export_onnx
        from uss.conditions.text_classes import load_text_classes
        from uss.detection.described import describe_detection

    trust = arguments.trust_checkpoint
    bundle = load_model(arguments.model, trust_checkpoint=trust)
    if arguments.tagger is not None:
        tagger = load_tagger(arguments.tagger, trust_checkpoint=trust)
        bundle = replace(bundle, tagger=tagger, thresholds=None, sensitivities={})
    check_export(bundle, arguments.output, arguments.opset)
    say(f"exporting {arguments.model}, which takes a minute or two")
    export_onnx(
        bundle,
        arguments.output,
        opset=arguments.opset,
        text=None if arguments.no_text else load_text_classes(),
        beside={"detection": describe_detection(load_ontology())},
    )
    for path in sorted(arguments.output.iterdir()):
        say(f"{path} ({path.stat().st_size / 1e6:,.1f} MB)")
    return 0
