"""``uss-prepare``: a data set as it was published in, an evaluation list or a manifest out."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipelines.cli import CommandParser, at_least, check_target, counted, run_command
from pipelines.mine_anchors import print_summary
from pipelines.mining_bar import MiningBar
from pipelines.prepare_manifests import (
    add_audioset_options,
    add_folder_command,
    check_no_manifest_options,
    write_audioset_manifest,
)
from pipelines.streams import Unbreakable
from uss.benchmarks import BENCHMARKS, Benchmark, PrepareOptions
from uss.benchmarks.mined import AUDIOSET, CLIPS
from uss.benchmarks.preparing import prepare
from uss.data.manifest import read_manifest
from uss.evaluation.lists.mixture_list import ListRow, write_list
from uss.evaluation.scenes.drawing import draw_scenes
from uss.evaluation.scenes.scene_list import write_scenes
from uss.mining.summary import MiningSummary

_SCENE_MANIFEST = "clips.csv"

_ARGUMENTS: dict[str, dict[str, Any]] = {
    "seed": {"type": at_least(0), "help": "of all that is drawn; it is written into the list"},
    "per_class": {
        "type": at_least(1),
        "help": "mixtures per class of the target (if there is no default, each clip is a target "
        "once)",
    },
    "count": {"type": at_least(1), "help": "mixtures in all, in place of --per-class"},
    "queries_per_class": {
        "type": at_least(0),
        "help": "files that are given as examples of a class; 0 for none",
    },
    "sample_rate": {
        "type": at_least(1),
        "metavar": "HZ",
        "help": "to which the evaluation brings all files, as one channel (if there is no "
        "default, they keep rate and channels)",
    },
    "pairs": {
        "type": Path,
        "metavar": "FILE",
        "help": "make these pairs, of AudioSep's or CLAPSep's published list, and draw none",
    },
    "query_samples": {
        "type": Path,
        "metavar": "FILE",
        "help": "take CLAPSep's published examples of each class",
    },
    "manifest": {
        "type": Path,
        "metavar": "FILE",
        "help": "CSV of the clips, as uss-mine-anchors takes it (if not given, the one in FOLDER)",
    },
    "split": {
        "help": "only this split: rows of the manifest whose column split says so, or the data "
        "set's own train, validation or test"
    },
    "shards": {
        "type": Path,
        "metavar": "DIR",
        "help": "for the mined anchors; what is there is not mined again (if not given, LIST with "
        "the ending .shards)",
    },
    "tagger": {"metavar": "NAME|FILE", "help": "mines the anchors, see uss-mine-anchors"},
    "whole_songs": {"action": "store_true", "help": "whole songs, not segments of 2 s"},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(prepare_parser(), argv, lambda arguments: int(arguments.run(arguments)))


def prepare_with_bars(name: str, folder: Path, options: PrepareOptions) -> list[ListRow]:
    """Make the rows of a benchmark's list, and show on stderr how far it is.

    Raises:
        OSError, ValueError: see ``uss.benchmarks.preparing.prepare``.
    """
    with MiningBar() as bar:

        def mined(summary: MiningSummary) -> None:
            bar.close()
            print_summary(summary, sys.stderr)

        return prepare(name, folder, options, track=progress, mining_progress=bar, on_mined=mined)


def prepare_parser() -> argparse.ArgumentParser:
    """Make the parser of the command."""
    parser = CommandParser(
        "uss-prepare",
        "Make an evaluation list for uss-evaluate, or a manifest for uss-mine-anchors, from a data "
        "set that you have. It holds no audio: it names files of the data set.",
    )
    commands = parser.add_subparsers(metavar="NAME", required=True)
    for benchmark in BENCHMARKS.values():
        _add_benchmark(commands, benchmark)
    _add_scenes(commands)
    add_folder_command(commands)
    return parser


def _add_command(commands: Any, name: str, title: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=title, description=f"{title[0].upper()}{title[1:]}."
    )
    parser.add_argument(
        "folder", metavar="FOLDER", type=Path, help="that the data set was unpacked into"
    )
    parser.add_argument(
        "-o", "--output", metavar="LIST.csv", type=Path, required=True, help="the list to write"
    )
    return parser


def _add_benchmark(commands: Any, benchmark: Benchmark) -> None:
    parser = _add_command(commands, benchmark.name, benchmark.title)
    for name in benchmark.options:
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            default=getattr(benchmark.defaults, name),
            **_ARGUMENTS[name],
        )
    parser.set_defaults(run=_write_benchmark, benchmark=benchmark)
    if benchmark is AUDIOSET:
        add_audioset_options(parser)
        parser.set_defaults(run=_write_audioset)


def _write_audioset(arguments: argparse.Namespace) -> int:
    """Make a manifest of the official lists, where they are named, else the benchmark's list."""
    if arguments.segments is not None:
        return write_audioset_manifest(arguments, arguments.benchmark)
    check_no_manifest_options(arguments)
    return _write_benchmark(arguments)


def _add_scenes(commands: Any) -> None:
    parser = _add_command(
        commands,
        "scenes",
        "scenes of 0 to 5 events each, drawn from the clips of your own manifest",
    )
    parser.add_argument("--seed", type=at_least(0), default=0, help="of all that is drawn")
    for name in ("manifest", "split"):
        parser.add_argument(f"--{name}", default=getattr(CLIPS.defaults, name), **_ARGUMENTS[name])
    parser.add_argument("--count", type=at_least(1), default=200, help="scenes in all")
    parser.set_defaults(run=_write_scenes)


def _write_scenes(arguments: argparse.Namespace) -> int:
    check_target(arguments.output)
    manifest = arguments.manifest or arguments.folder / _SCENE_MANIFEST
    clips = read_manifest(manifest, arguments.split)
    scenes = draw_scenes(
        clips, arguments.folder, seed=arguments.seed, num_scenes=arguments.count, track=progress
    )
    write_scenes(arguments.output, scenes)
    num_events = sum(len(scene.events) for scene in scenes)
    of_events = counted(num_events, "event")
    print(f"{counted(len(scenes), 'scene')} with {of_events} in {arguments.output}")
    _suggest(arguments, [])
    return 0


def _suggest(arguments: argparse.Namespace, options: Sequence[str]) -> None:
    """Print the command to go on with."""
    command = ["uss-evaluate", str(arguments.output), "--audio-root", str(arguments.folder)]
    print(f"measure a model on them with: {shlex.join([*command, *options])}")


def _write_benchmark(arguments: argparse.Namespace) -> int:
    benchmark: Benchmark = arguments.benchmark
    output: Path = arguments.output
    check_target(output)
    given = {
        field.name: getattr(arguments, field.name)
        for field in fields(PrepareOptions)
        if hasattr(arguments, field.name)
    }
    options = replace(benchmark.defaults, **given)
    if benchmark.mining is not None and options.shards is None:
        options = replace(options, shards=output.with_suffix(".shards"))
    rows = prepare_with_bars(benchmark.name, arguments.folder, options)
    write_list(output, rows)
    num_classes = len({row.class_name for row in rows} - {""})
    of_classes = f" of {num_classes} class{'es' * (num_classes > 1)}" if num_classes else ""
    print(f"{counted(len(rows), 'mixture')}{of_classes} in {output}")
    metrics = ["--metrics", "sdr", "si-sdr", *benchmark.metrics] if benchmark.metrics else []
    _suggest(arguments, metrics)
    return 0


def progress(items: Sequence[Any]) -> Iterable[Any]:
    """Go through a sequence with a bar on stderr, if that is a terminal."""
    bar: Iterable[Any] = tqdm(items, desc="preparing", file=Unbreakable(), disable=None)
    return bar


if __name__ == "__main__":
    sys.exit(main())
