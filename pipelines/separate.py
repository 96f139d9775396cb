"""``uss-separate``: recordings in, a folder of stems for each out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ontology import Node
from pipelines.cli import BAD_INPUT, UsageError, one_line, run_command
from pipelines.inputs import check_names, list_recordings, open_recording
from pipelines.separate_options import DEFAULT_LEVEL, separate_parser
from pipelines.summary import SummaryRow, check_summary, print_result, write_summary
from uss.audio import DEFAULT_SUBTYPES, Recording, Waveform, check_format
from uss.checkpoints import weight_hash
from uss.downloads import fetch
from uss.hierarchy import Detection
from uss.output import result_folder, write_stems
from uss.pictures import draw_timeline
from uss.published import PUBLISHED
from uss.results import SeparationResult, StemResult, describe_detection
from uss.separator import Analysis, Separator, Stem

_NAMED_FOLDER = "queries"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(separate_parser(), argv, _run)


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


@dataclass(frozen=True)
class _Job:
    """What is done with every recording.

    Attributes:
        separator: loaded once.
        levels, nodes: what is looked for.
        settings: noted in the results.
        arguments: of the command line.
    """

    separator: Separator
    levels: Sequence[int]
    nodes: Sequence[Node]
    settings: Mapping[str, Any]
    arguments: argparse.Namespace


def _separate_all(arguments: argparse.Namespace) -> int:
    check_format(arguments.format, arguments.subtype or DEFAULT_SUBTYPES[arguments.format])
    recordings = list_recordings(arguments.input)
    check_names(recordings)
    if len(recordings) > 1:
        check_summary(arguments.output)
    job = _prepare(arguments)
    rows: list[SummaryRow] = []
    try:
        for path in recordings:
            rows.append(_try_one(path, job))
    finally:
        # Also of an interrupted run, as far as it went.
        if len(recordings) > 1 and rows:
            write_summary(arguments.output, rows)
    return BAD_INPUT if any(row.error for row in rows) else 0


def _prepare(arguments: argparse.Namespace) -> _Job:
    """Load the models and find out what is asked for."""
    separator = Separator.from_pretrained(
        arguments.model,
        separator=arguments.separator,
        tagger=arguments.tagger,
        class_queries=arguments.class_queries,
        device=arguments.device,
        precision=arguments.precision,
        trust_checkpoint=arguments.trust_checkpoint,
    )
    levels = arguments.level or ([] if arguments.classes else [DEFAULT_LEVEL])
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
        "track": arguments.track,
    }
    return _Job(
        separator, list(dict.fromkeys(levels)), list(dict.fromkeys(nodes)), settings, arguments
    )


def _try_one(path: Path, job: _Job) -> SummaryRow:
    """Do the job for one recording; an error is printed, so that the others are not stopped."""
    try:
        _check_result_folder(path, job.arguments)
        recording = open_recording(path, job.arguments.track)
        return SummaryRow.of_result(path, _separate_one(path, recording, job))
    except (ValueError, OSError) as error:
        message = one_line(error)
        print(f"uss-separate: {message}", file=sys.stderr)
        return SummaryRow(str(path), "failed", error=message)


def _check_result_folder(path: Path, arguments: argparse.Namespace) -> None:
    """Refuse to let a mere detection replace stems that took long to make."""
    folder = arguments.output / path.stem
    if arguments.detect_only and any(entry.is_dir() for entry in folder.glob("*")):
        raise ValueError(
            f"{folder} holds stems, which --detect-only would delete; choose another output folder"
        )


def _separate_one(path: Path, recording: Recording, job: _Job) -> SeparationResult:
    analysis, found = _detect(recording, job)
    duration_seconds = recording.num_samples / recording.sample_rate
    stems = None
    if not job.arguments.detect_only:
        stems = _separate_found(path, recording, analysis, found, job)
    with result_folder(job.arguments.output, path.stem) as folder:
        waveforms: list[Waveform] | None = None
        residuals: dict[str, str] = {}
        if stems is None:
            described = [
                describe_detection(detection, analysis, duration_seconds)
                for detections in found.values()
                for detection in detections
            ]
        else:
            described, waveforms, residuals = _write_folders(
                folder, stems, recording, analysis, job.arguments
            )
        result = SeparationResult(
            input=path.name,
            sample_rate=recording.sample_rate,
            num_channels=recording.num_channels,
            duration_seconds=duration_seconds,
            segment_seconds=analysis.segment_seconds,
            segment_starts=analysis.starts_seconds,
            settings=job.settings,
            stems=tuple(described),
            residuals=residuals,
        )
        result.write_json(folder / "detections.json")
        threshold = job.settings["threshold"]
        draw_timeline(folder / "timeline.png", result, recording.waveform, waveforms, threshold)
    highest = float(analysis.probabilities.max(initial=0.0))
    print_result(result, job.arguments.output / path.stem, highest)
    return result


def _detect(recording: Recording, job: _Job) -> tuple[Analysis, dict[str, list[Detection]]]:
    """What is in a recording, by the name of the folder it goes to."""
    separator, threshold = job.separator, job.arguments.threshold
    analysis = separator.analyse(recording, job.arguments.overlap)
    found = {f"level{level}": separator.detect(analysis, level, threshold) for level in job.levels}
    if job.nodes:
        found[_NAMED_FOLDER] = separator.detect_named(analysis, job.nodes, threshold)
    return analysis, found


def _separate_found(
    path: Path,
    recording: Recording,
    analysis: Analysis,
    found: Mapping[str, Sequence[Detection]],
    job: _Job,
) -> dict[str, list[Stem]]:
    """Separate with a progress bar; the stems come by the name of their folder."""
    detections = [detection for group in found.values() for detection in group]
    unique = {detection.node.mid: detection for detection in detections}
    with tqdm(
        total=sum(int(detection.active.sum()) for detection in unique.values()),
        unit="segment",
        desc=path.name,
        file=sys.stderr,
        disable=None,
    ) as progress:
        stems = iter(job.separator.separate(recording, analysis, detections, progress.update))
    return {name: [next(stems) for _ in group] for name, group in found.items()}


def _write_folders(
    folder: Path,
    stems: Mapping[str, Sequence[Stem]],
    recording: Recording,
    analysis: Analysis,
    arguments: argparse.Namespace,
) -> tuple[list[StemResult], list[Waveform], dict[str, str]]:
    subtype = arguments.subtype or DEFAULT_SUBTYPES[arguments.format]
    described: list[StemResult] = []
    waveforms: list[Waveform] = []
    residuals: dict[str, str] = {}
    for name, members in stems.items():
        residuals[name] = f"{name}/residual.{arguments.format}"
        results, written = write_stems(
            folder, name, members, recording, analysis, arguments.format, subtype
        )
        described += results
        waveforms += written
    return described, waveforms, residuals


def _single_threshold(separator: Separator, threshold: float | None) -> float | None:
    """The threshold where all classes share one, else None."""
    values = separator.thresholds(threshold)
    return round(float(values[0]), 6) if np.all(values == values[0]) else None


if __name__ == "__main__":
    sys.exit(main())
