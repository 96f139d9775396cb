"""``uss-separate``: recordings in, a folder of stems for each out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ontology import Node
from pipelines.cli import BAD_INPUT, CommandParser, UsageError, between, one_line, run_command
from uss.audio import (
    DEFAULT_SUBTYPES,
    Recording,
    check_format,
    read_audio,
)
from uss.checkpoints import DEFAULT_MODEL, weight_hash
from uss.downloads import fetch
from uss.output import result_folder, write_stems
from uss.pictures import draw_timeline
from uss.published import PUBLISHED
from uss.results import SeparationResult
from uss.separator import (
    DEFAULT_OVERLAP,
    DEFAULT_THRESHOLD,
    Separator,
)

_DEFAULT_LEVEL = 2
_NAMED_FOLDER = "queries"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(_parser(), argv, _run)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        "uss-separate",
        "Find the AudioSet classes in recordings and write a stem for each, plus a residual: all "
        "files of one folder add up to the input.",
    )
    parser.add_argument("input", nargs="*", type=Path, help="audio or video files")
    parser.add_argument("-o", "--output", type=Path, default=Path("separated"), help="folder")
    parser.add_argument(
        "--level",
        nargs="+",
        type=int,
        default=None,
        metavar="N",
        help=f"levels of the ontology, 1 (coarse) to 6 ({_DEFAULT_LEVEL} if no --class is given)",
    )
    parser.add_argument(
        "--class",
        dest="classes",
        nargs="+",
        default=None,
        metavar="NAME|MID|INDEX",
        help="write a stem for each of these classes, silent where it is not detected; "
        "--threshold 0 separates it everywhere",
    )
    _add_model_arguments(parser)
    parser.add_argument(
        "--threshold",
        type=between(0.0, 1.0),
        default=None,
        help=f"of detection (the model's per-class thresholds, else {DEFAULT_THRESHOLD})",
    )
    parser.add_argument(
        "--overlap",
        type=between(0.0, 0.5),
        default=DEFAULT_OVERLAP,
        help="of neighbouring segments; 0 is the paper's algorithm, where also the tagger hears "
        "the segment alone",
    )
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--format", choices=tuple(DEFAULT_SUBTYPES), default="wav")
    parser.add_argument("--subtype", default=None, help="FLOAT for wav, PCM_24 for flac if unset")
    return parser


def _add_model_arguments(parser: argparse.ArgumentParser) -> None:
    separators, taggers = (
        ", ".join(name for name, file in PUBLISHED.items() if file.kind == kind)
        for kind in ("separator", "tagger")
    )
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        metavar="NAME|FILE",
        help=f"separates and detects: {DEFAULT_MODEL}, a bundle, a published checkpoint, or "
        f"{separators}, which are downloaded once",
    )
    parser.add_argument(
        "--separator", metavar="NAME|FILE", help="separates instead of the model, which detects"
    )
    parser.add_argument(
        "--tagger",
        metavar="NAME|FILE",
        help=f"detects instead of the model: a file, or {taggers}, which are downloaded once",
    )
    parser.add_argument(
        "--class-queries",
        metavar="FILE",
        help="what to ask the separator for each class, instead of what its own file says",
    )
    parser.add_argument(
        "--download",
        action="append",
        choices=tuple(PUBLISHED),
        metavar="NAME",
        help="only fetch this published model into the cache (USS_CACHE, or the platform's); "
        "repeat it for more",
    )
    parser.add_argument(
        "--trust-checkpoint",
        action="store_true",
        help="load files that hold more than weights; they can run any code",
    )


def _run(arguments: argparse.Namespace) -> int:
    if arguments.download and arguments.input:
        raise UsageError(
            "--download only fetches; leave out the input files, and repeat it for each model"
        )
    if arguments.download:
        for name in arguments.download:
            print(fetch(PUBLISHED[name]))
        return 0
    if not arguments.input:
        raise UsageError("name at least one input file; see uss-separate --help")
    return _separate_all(arguments)


def _separate_all(arguments: argparse.Namespace) -> int:
    check_format(arguments.format, arguments.subtype or DEFAULT_SUBTYPES[arguments.format])
    _check_names(arguments.input)
    separator = Separator.from_pretrained(
        arguments.model,
        separator=arguments.separator,
        tagger=arguments.tagger,
        class_queries=arguments.class_queries,
        device=arguments.device,
        precision=arguments.precision,
        trust_checkpoint=arguments.trust_checkpoint,
    )
    levels = arguments.level or ([] if arguments.classes else [_DEFAULT_LEVEL])
    for level in levels:
        separator.ontology.nodes_at_level(level)
    nodes = [separator.ontology.find(name) for name in arguments.classes or ()]
    settings = {
        "model": arguments.model if arguments.separator is None else arguments.separator,
        "separator_hash": separator.separator_hash,
        "class_queries": arguments.class_queries,
        "tagger": separator.tagger.name,
        "tagger_hash": weight_hash(separator.tagger),
        "threshold": _single_threshold(separator, arguments.threshold),
        "overlap": arguments.overlap,
        "precision": str(separator.runtime.dtype).removeprefix("torch."),
    }
    failures = 0
    for path in arguments.input:
        try:
            recording = read_audio(path)
            _separate_one(
                path,
                recording,
                separator,
                list(dict.fromkeys(levels)),
                list(dict.fromkeys(nodes)),
                settings,
                arguments,
            )
        except (ValueError, OSError) as error:
            print(f"uss-separate: {one_line(error)}", file=sys.stderr)
            failures += 1
    return BAD_INPUT if failures else 0


def _check_names(inputs: Sequence[Path]) -> None:
    """Refuse inputs whose results would lie in one folder."""
    seen: dict[str, Path] = {}
    for path in inputs:
        other = seen.setdefault(path.stem, path)
        if other is not path:
            raise ValueError(
                f"{other} and {path} would both be written to the folder {path.stem}; "
                "separate them into different output folders"
            )


def _separate_one(
    path: Path,
    recording: Recording,
    separator: Separator,
    levels: Sequence[int],
    nodes: Sequence[Node],
    settings: dict[str, Any],
    arguments: argparse.Namespace,
) -> None:
    subtype = arguments.subtype or DEFAULT_SUBTYPES[arguments.format]
    analysis = separator.analyse(recording, arguments.overlap)
    folders = {
        f"level{level}": separator.detect(analysis, level, arguments.threshold) for level in levels
    }
    if nodes:
        folders[_NAMED_FOLDER] = separator.detect_named(analysis, nodes, arguments.threshold)
    detections = [detection for found in folders.values() for detection in found]
    unique = {detection.node.mid: detection for detection in detections}
    with tqdm(
        total=sum(int(detection.active.sum()) for detection in unique.values()),
        unit="segment",
        desc=path.name,
        file=sys.stderr,
        disable=None,
    ) as progress:
        stems = separator.separate(recording, analysis, detections, progress.update)
    remaining = iter(stems)
    grouped = {name: [next(remaining) for _ in found] for name, found in folders.items()}
    with result_folder(arguments.output, path.stem) as folder:
        described, written, residuals = [], [], {}
        for name, members in grouped.items():
            residuals[name] = f"{name}/residual.{arguments.format}"
            results, waveforms = write_stems(
                folder, name, members, recording, analysis, arguments.format, subtype
            )
            described += results
            written += waveforms
        result = SeparationResult(
            input=path.name,
            sample_rate=recording.sample_rate,
            num_channels=recording.num_channels,
            duration_seconds=recording.num_samples / recording.sample_rate,
            segment_seconds=analysis.segment_seconds,
            segment_starts=analysis.starts_seconds,
            settings=settings,
            stems=tuple(described),
            residuals=residuals,
        )
        result.write_json(folder / "detections.json")
        draw_timeline(
            folder / "timeline.png", result, recording.waveform, written, settings["threshold"]
        )
    _report(result, arguments.output / path.stem, float(analysis.probabilities.max(initial=0.0)))


def _single_threshold(separator: Separator, threshold: float | None) -> float | None:
    """The threshold where all classes share one, else None."""
    values = separator.thresholds(threshold)
    return round(float(values[0]), 6) if np.all(values == values[0]) else None


def _report(result: SeparationResult, folder: Path, highest: float) -> None:
    if not result.stems:
        print(
            f"{result.input}: nothing detected, so there are no stems (the most probable class "
            f"reaches {highest:.2f}); a lower --threshold finds more, --class separates a named "
            f"class. The residual in {folder} is the input."
        )
        return
    print(f"{result.input} -> {folder}")
    for stem in result.stems:
        spans = ", ".join(f"{start:.1f}-{end:.1f} s" for start, end in stem.active_intervals)
        print(f"  {stem.file:<48} {stem.probability:.3f}  {spans or 'not detected, silent'}")


if __name__ == "__main__":
    sys.exit(main())
