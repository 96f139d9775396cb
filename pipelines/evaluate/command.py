"""``uss-evaluate``: an evaluation list, a benchmark or scenes in, scores out."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipelines.cli import CommandParser, UsageError, at_least, run_command
from pipelines.evaluate.calibrate import calibrate_on_scenes
from pipelines.evaluate.lists import evaluate_list
from pipelines.evaluate.scenes import evaluate_scenes
from pipelines.model_options import (
    add_detection_arguments,
    add_model_arguments,
    add_runtime_arguments,
    load_separator,
)
from pipelines.prepare import prepare, progress
from uss.benchmarks import BENCHMARKS
from uss.evaluation.lists.condition_kinds import CONDITION_KINDS
from uss.evaluation.lists.mixture_list import write_list
from uss.evaluation.lists.scoring import METRICS
from uss.evaluation.scenes.scene_list import is_scene_list

_LIST_NAME, _SHARDS_NAME = "list.csv", "list.shards"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    words = sys.argv[1:] if argv is None else argv
    return run_command(_parser(), words, partial(_run, shlex.join(["uss-evaluate", *words])))


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        "uss-evaluate",
        "Measure how well a model separates the mixtures of a list, or finds and separates what is "
        "in scenes. Started again with the same output folder, it goes on where it was stopped.",
    )
    parser.add_argument(
        "input",
        metavar="LIST|BENCHMARK",
        help="CSV with mixture,target and optional query,class,group or what uss-prepare writes; "
        f"or one of {', '.join(BENCHMARKS)}, with --audio-root",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=None, help="folder (evaluated/LIST if not given)"
    )
    parser.add_argument(
        "--audio-root",
        type=Path,
        default=None,
        metavar="DIR",
        help="folder the list's paths start from (that of the list if not given); of a benchmark, "
        "where the data set was unpacked",
    )
    add_model_arguments(parser)
    parser.add_argument(
        "--condition",
        nargs="+",
        choices=CONDITION_KINDS,
        default=None,
        help="what the separator is asked with: the clean target (eq. 11), the class's query "
        "(eq. 9), the mixture's own tags within the class (eq. 10), the list's query recordings; "
        "results.json leads with the first (oracle, and class-average for the classes that the "
        "model has queries for, if not given)",
    )
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=METRICS,
        default=None,
        help="pesq and bss-eval need the extra 'eval' (sdr si-sdr, and those customary for a "
        "benchmark, if not given)",
    )
    parser.add_argument(
        "--compare-tagger",
        nargs="+",
        default=None,
        metavar="NAME|FILE",
        help="in scenes: also score what these taggers detect",
    )
    parser.add_argument(
        "--calibrate",
        type=Path,
        default=None,
        metavar="FILE",
        help="in scenes: find the model's detection thresholds, and write a copy of it with them; "
        "use other scenes than those it is then measured on",
    )
    add_detection_arguments(parser)
    add_runtime_arguments(parser)
    parser.add_argument(
        "--limit",
        type=at_least(1),
        default=None,
        metavar="N",
        help="only the first N mixtures or scenes",
    )
    parser.add_argument(
        "--keep-going",
        action="store_true",
        help="skip and count mixtures that cannot be evaluated, instead of ending there",
    )
    return parser


def _run(command: str, arguments: argparse.Namespace) -> int:
    if arguments.input in BENCHMARKS and not Path(arguments.input).is_file():
        return _run_benchmark(command, arguments)
    path = Path(arguments.input)
    if not path.is_file():
        raise UsageError(
            f"{path}: no such list, and no benchmark of that name; check the path, or choose one "
            f"of {', '.join(BENCHMARKS)}"
        )
    arguments.output = arguments.output or Path("evaluated") / path.stem
    arguments.audio_root = arguments.audio_root or path.parent
    if is_scene_list(path):
        return _run_scenes(path, arguments, command)
    _check_list_options(arguments)
    return evaluate_list(path, arguments, command)


def _run_scenes(path: Path, arguments: argparse.Namespace, command: str) -> int:
    if arguments.condition or arguments.metrics or arguments.keep_going:
        raise UsageError(
            "--condition, --metrics and --keep-going are for lists of mixtures; leave them out"
        )
    if arguments.calibrate:
        return calibrate_on_scenes(path, arguments)
    return evaluate_scenes(path, arguments, command)


def _check_list_options(arguments: argparse.Namespace) -> None:
    if arguments.compare_tagger or arguments.calibrate or arguments.threshold is not None:
        raise UsageError(
            "--compare-tagger, --calibrate and --threshold are for scenes; leave them out"
        )


def _run_benchmark(command: str, arguments: argparse.Namespace) -> int:
    """Prepare a benchmark with its defaults, and evaluate it."""
    name = arguments.input
    if arguments.audio_root is None:
        raise UsageError(f"--audio-root is missing; name the folder that {name} was unpacked into")
    arguments.output = arguments.output or Path("evaluated") / name
    path = arguments.output / _LIST_NAME
    _check_list_options(arguments)
    # Before hours of preparation.
    separator = load_separator(arguments)
    if not path.exists():
        options = replace(BENCHMARKS[name].defaults, shards=arguments.output / _SHARDS_NAME)
        rows = prepare(name, arguments.audio_root, options, progress)
        arguments.output.mkdir(parents=True, exist_ok=True)
        write_list(path, rows)
    if arguments.metrics is None:
        arguments.metrics = ["sdr", "si-sdr", *BENCHMARKS[name].metrics]
    return evaluate_list(path, arguments, command, separator)
