"""``uss-evaluate``: an evaluation list, a benchmark or scenes in, scores out."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipelines.cli import CommandParser, UsageError, at_least, run_command
from pipelines.evaluate.calibrate import calibrate_on_scenes
from pipelines.evaluate.list_arguments import (
    LIST_ONLY,
    add_list_arguments,
    check_list_arguments,
)
from pipelines.evaluate.lists import evaluate_benchmark, evaluate_list
from pipelines.evaluate.scenes import evaluate_scenes
from pipelines.model_options import (
    ModelOptions,
    add_detection_arguments,
    add_drawing_arguments,
    add_joint_arguments,
    add_model_arguments,
    add_runtime_arguments,
)
from uss.benchmarks import BENCHMARKS
from uss.checkpoints.loading import load_tagger
from uss.evaluation.calibration_job import CalibrationSettings
from uss.evaluation.lists.list_job import ListJobSettings
from uss.evaluation.scenes.scene_job import SceneJobSettings
from uss.evaluation.scenes.scene_list import is_scene_list

_OUTPUTS = Path("evaluated")
_LIST_NAME = "list.csv"
_SCENES_ONLY = ("compare_tagger", "calibrate", "shift_only", "psds", "threshold")
_NOT_CALIBRATED = (
    "joint",
    "tagger",
    "separator",
    "class_queries",
    "compare_tagger",
    "psds",
    "threshold",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    words = sys.argv[1:] if argv is None else argv
    return run_command(
        evaluate_parser(), words, partial(_run, shlex.join(["uss-evaluate", *words]))
    )


def evaluate_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
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
    add_list_arguments(parser)
    _add_scene_arguments(parser)
    add_detection_arguments(parser)
    add_joint_arguments(parser)
    add_runtime_arguments(parser)
    add_drawing_arguments(parser)
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


def _add_scene_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--compare-tagger",
        nargs="+",
        action="extend",
        default=None,
        metavar="NAME|FILE",
        help="in scenes: also score what these taggers detect",
    )
    parser.add_argument(
        "--calibrate",
        type=Path,
        default=None,
        metavar="FILE",
        help="in scenes: find the model's detection thresholds, and write a copy of it with them "
        "(--sensitivity says which are its own unless told otherwise); "
        "use other scenes than those it is then measured on",
    )
    parser.add_argument(
        "--shift-only",
        action="store_true",
        default=None,
        help="with --calibrate: keep how the model's own thresholds of classes relate, and find "
        "only how far all of them move; for recordings that the tagger was not trained on",
    )
    parser.add_argument(
        "--psds",
        action="store_true",
        default=None,
        help="in scenes: also score when detections begin and end by PSDS, with many thresholds; "
        "needs the extra 'psds'",
    )


def _run(command: str, arguments: argparse.Namespace) -> int:
    path = Path(arguments.input)
    if arguments.input in BENCHMARKS and not path.is_file():
        return _run_benchmark(command, arguments)
    if not path.is_file():
        raise UsageError(
            f"{path}: no such list, and no benchmark of that name; check the path, or choose one "
            f"of {', '.join(BENCHMARKS)}"
        )
    if is_scene_list(path):
        return _run_scenes(path, command, arguments)
    _refuse_for_lists(arguments)
    audio_root = arguments.audio_root or path.parent
    output = arguments.output or _OUTPUTS / path.stem
    settings = _list_settings(path, audio_root, output, command, arguments)
    return evaluate_list(settings, ModelOptions.of(arguments).load)


def _run_benchmark(command: str, arguments: argparse.Namespace) -> int:
    name = arguments.input
    if arguments.audio_root is None:
        raise UsageError(f"--audio-root is missing; name the folder that {name} was unpacked into")
    _refuse_for_lists(arguments)
    output = arguments.output or _OUTPUTS / name
    path = output / _LIST_NAME
    settings = _list_settings(path, arguments.audio_root, output, command, arguments)
    return evaluate_benchmark(name, settings, ModelOptions.of(arguments).load)


def _run_scenes(path: Path, command: str, arguments: argparse.Namespace) -> int:
    if any(getattr(arguments, name) for name in LIST_ONLY):
        *others, last = ("--" + name.replace("_", "-") for name in LIST_ONLY)
        raise UsageError(
            f"{', '.join(others)} and {last} are for lists of mixtures; leave them out"
        )
    audio_root = arguments.audio_root or path.parent
    load = ModelOptions.of(arguments).load
    if arguments.calibrate:
        calibration = _calibration_settings(path, audio_root, arguments)
        return calibrate_on_scenes(calibration, load, bool(arguments.shift_only))
    if arguments.shift_only:
        raise UsageError("--shift-only says how --calibrate FILE works; give that as well")
    settings = SceneJobSettings(
        path=path,
        audio_root=audio_root,
        output=arguments.output or _OUTPUTS / path.stem,
        threshold=arguments.threshold,
        overlap=arguments.overlap,
        joint=arguments.joint,
        limit=arguments.limit,
        model_name=arguments.separator or arguments.model,
        command=command,
        psds=bool(arguments.psds),
    )
    load_other = partial(load_tagger, trust_checkpoint=arguments.trust_checkpoint)
    return evaluate_scenes(settings, load, arguments.compare_tagger or (), load_other)


def _list_settings(
    path: Path, audio_root: Path, output: Path, command: str, arguments: argparse.Namespace
) -> ListJobSettings:
    return ListJobSettings(
        path=path,
        audio_root=audio_root,
        output=output,
        conditions=arguments.condition,
        metrics=arguments.metrics,
        overlap=arguments.overlap,
        joint=arguments.joint,
        limit=arguments.limit,
        keep_going=arguments.keep_going,
        clap=arguments.clap,
        embedder=arguments.embedder,
        references=arguments.references,
        trust_checkpoint=arguments.trust_checkpoint,
        model_name=arguments.separator or arguments.model,
        command=command,
    )


def _calibration_settings(
    path: Path, audio_root: Path, arguments: argparse.Namespace
) -> CalibrationSettings:
    sensitivity = arguments.threshold if isinstance(arguments.threshold, str) else None
    for name in _NOT_CALIBRATED:
        if getattr(arguments, name) not in (None, sensitivity):
            option = name.replace("_", "-")
            raise UsageError(
                f"--calibrate finds thresholds of one model file; leave out --{option}"
            )
    return CalibrationSettings(
        path=path,
        audio_root=audio_root,
        target=arguments.calibrate,
        overlap=arguments.overlap,
        limit=arguments.limit,
        sensitivity=sensitivity or "medium",
    )


def _refuse_for_lists(arguments: argparse.Namespace) -> None:
    check_list_arguments(arguments)
    if any(getattr(arguments, name) is not None for name in _SCENES_ONLY):
        raise UsageError(
            "--compare-tagger, --calibrate, --shift-only, --psds, --threshold and --sensitivity "
            "are for scenes; leave them out"
        )
