"""What ``uss-prepare`` does where a manifest for mining comes out, not an evaluation list."""

from __future__ import annotations

import argparse
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ontology import load_ontology, with_own_classes
from pipelines.cli import at_least, between, check_target, counted
from pipelines.streams import Unbreakable
from uss.benchmarks import Benchmark, PrepareOptions
from uss.core.errors import InputError
from uss.data.audioset_manifest import make_audioset_manifest
from uss.data.folder_manifest import FolderManifest, make_folder_manifest
from uss.data.new_manifest import NewManifest, Probing, check_rows, write_manifest
from uss.data.own_class_files import own_classes_file, own_classes_of, write_own_classes

_WORKERS = 8


def add_audioset_options(parser: argparse.ArgumentParser) -> None:
    """Let the benchmark's command make a manifest too."""
    group = parser.add_argument_group(
        "a manifest for mining", "with --segments, in place of an evaluation list"
    )
    group.add_argument(
        "--segments",
        type=Path,
        nargs="+",
        default=None,
        metavar="FILE",
        help="AudioSet's own lists, such as unbalanced_train_segments.csv, or its strong labels; "
        "FOLDER holds the clips, by whatever names they were downloaded",
    )
    add_probing_options(group)


def add_probing_options(parser: Any) -> None:
    """Say how files are looked at."""
    parser.add_argument(
        "--no-probe",
        action="store_true",
        help="do not open the files to find those that are short, silent or unreadable; mining "
        "skips these, too",
    )
    parser.add_argument(
        "--workers",
        type=at_least(1),
        default=_WORKERS,
        help="threads that open files",
    )


def add_folder_command(commands: Any) -> None:
    """Add ``uss-prepare folder``."""
    title = "your own labelled sounds: a folder per class, or a CSV file of classes"
    parser = commands.add_parser("folder", help=title, description=f"{title.capitalize()}.")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="that holds the sounds")
    parser.add_argument(
        "-o", "--output", metavar="MANIFEST.csv", type=Path, required=True, help="to write"
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="CSV with path,labels (labels separated by ;), where folders are not called like "
        "classes",
    )
    parser.add_argument(
        "--classes",
        type=Path,
        metavar="FILE",
        help="CSV with id,name,parent of classes that AudioSet does not know (if not given, "
        "MANIFEST with the ending .classes.csv, where there is one, which is written anew)",
    )
    parser.add_argument(
        "--validation",
        type=between(0.0, 0.9),
        default=0.1,
        help="share of each class's clips that are kept to validate with",
    )
    add_probing_options(parser)
    parser.set_defaults(run=_write_folder_manifest)


def _write_folder_manifest(arguments: argparse.Namespace) -> int:
    output: Path = arguments.output
    check_target(output)
    made = make_folder_manifest(
        arguments.folder,
        probing_of(arguments),
        labels=arguments.labels,
        own=own_classes_of(output, arguments.classes),
        validation=arguments.validation,
    )
    # The manifest appears last: with it, all is there.
    check_rows(made.manifest)
    if made.own:
        write_own_classes(own_classes_file(output), made.own)
    finish(arguments, made.manifest, _class_lines(made, own_classes_file(output)))
    return 0


def _class_lines(made: FolderManifest, file: Path) -> list[str]:
    """Say what each class was taken for, and how many clips it has."""
    counts = Counter(mid for row in made.manifest.rows for mid in row.mids.split(";"))
    ontology = with_own_classes(load_ontology(), made.own, indexed=False)
    lines = []
    for name, mid in sorted(made.meanings.items(), key=lambda item: -counts[item[1]]):
        kind = "a class of your own" if mid in ontology.own else "AudioSet's"
        known = ontology.nodes[mid].name
        called = "" if known == name else f" (here: {name})"
        lines.append(f"{counts[mid]:8d}  {known}{called}, {kind}, {mid}")
    if any(mid in ontology.own for mid in made.meanings.values()):
        lines.append(
            f"your own classes are in {file}; what each is a kind of, its column parent may say"
        )
    return lines


def write_audioset_manifest(arguments: argparse.Namespace, benchmark: Benchmark) -> int:
    """Run ``uss-prepare audioset --segments``."""
    for each in fields(PrepareOptions):
        default = getattr(benchmark.defaults, each.name)
        if getattr(arguments, each.name, default) != default:
            raise InputError(
                f"--{each.name.replace('_', '-')} is of the evaluation list, --segments makes a "
                "manifest for mining; leave out one"
            )
    check_target(arguments.output)
    manifest = make_audioset_manifest(arguments.segments, arguments.folder, probing_of(arguments))
    finish(arguments, manifest)
    return 0


def check_no_manifest_options(arguments: argparse.Namespace) -> None:
    """Refuse what only a manifest knows where an evaluation list is made."""
    if arguments.no_probe or arguments.workers != _WORKERS:
        name = "no-probe" if arguments.no_probe else "workers"
        raise InputError(
            f"--{name} is of a manifest for mining; name AudioSet's lists with --segments, or "
            "leave it out"
        )


def probing_of(arguments: argparse.Namespace) -> Probing:
    """Tell how files are looked at."""
    return Probing(not arguments.no_probe, arguments.workers, _bar)


def finish(
    arguments: argparse.Namespace, manifest: NewManifest, classes: Sequence[str] = ()
) -> None:
    """Write manifest and report, say what is in them, and name the commands to go on with."""
    output: Path = arguments.output
    report = output.with_name(f"{output.stem}.report.csv")
    write_manifest(output, report, manifest)
    total = len(manifest.rows) + len(manifest.problems)
    print(f"{len(manifest.rows)} of {counted(total, 'clip')} in {output}")
    if manifest.problems:
        counts = ", ".join(f"{number} {problem}" for problem, number in manifest.counts().items())
        print(f"{counts}: see {report}")
    for line in (*classes, *manifest.notes):
        print(line)
    for split in sorted({row.split for row in manifest.rows}, key=_train_first):
        command = ["uss-mine-anchors", str(output), "--audio-root", str(arguments.folder)]
        command += ["--split", split, "-o", f"shards/{split}"]
        print(f"mine its {split} clips with: {shlex.join(command)}")


def _train_first(split: str) -> tuple[bool, str]:
    return split != "train", split


def _bar(items: Sequence[Any]) -> Iterable[Any]:
    bar: Iterable[Any] = tqdm(items, desc="probing", file=Unbreakable(), disable=None)
    return bar
