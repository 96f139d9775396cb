"""What ``uss-separate`` does with one recording."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from tqdm import tqdm

from ontology import Node
from pipelines.separate.inputs import open_recording
from pipelines.separate.summary import print_result
from uss.audio import AudioFile, Waveform, check_capacity
from uss.audio.envelopes import Envelope
from uss.audio.muxing import AudioTrack, check_film, film_suffix, mux_stems
from uss.conditions.queries import AudioQuery
from uss.core.errors import InputError
from uss.detection.analysis import Analysis
from uss.results.report import write_report
from uss.results.result import SeparationResult, StemResult, describe_detection
from uss.results.timeline import draw_timeline
from uss.results.writing_stems import OutputFormat, StemWriter, check_result_folder, result_folder
from uss.separation.batching import Batcher
from uss.separation.plan import Plan
from uss.separation.separator import Separator

Bar: TypeAlias = "tqdm[Any]"
Process = Generator[SeparationResult | None, None, None]


@dataclass(frozen=True)
class Job:
    """What is done with every recording.

    Attributes:
        separator: loaded once.
        batcher: fills its batches across recordings.
        levels, nodes, queries, without: what is looked for, and what goes to the residual.
        output_format: of the stems.
        settings: noted in the results.
        arguments: of the command line.
    """

    separator: Separator
    batcher: Batcher
    levels: Sequence[int]
    nodes: Sequence[Node]
    queries: Sequence[AudioQuery]
    without: Sequence[Node | AudioQuery]
    output_format: OutputFormat
    settings: Mapping[str, Any]
    arguments: argparse.Namespace


def process(path: Path, job: Job) -> Process:
    """Detect, separate and write one recording.

    Yields:
        None while its last stems wait for a batch that the next recordings may fill; then the
        result. Closing the iterator before that leaves nothing.

    Raises:
        OSError, ValueError: if the recording cannot be read or the result cannot be written.
    """
    arguments = job.arguments
    final = arguments.output / path.stem
    check_result_folder(arguments.output, path.stem)
    _check_stems_are_kept(final, arguments)
    source = open_recording(path, arguments.track)
    if not arguments.detect_only:
        check_capacity(
            job.output_format.suffix,
            job.output_format.subtype,
            source.sample_rate,
            source.num_channels,
        )
    if arguments.mux:
        check_film(path)
        check_capacity("flac", "PCM_24", source.sample_rate, source.num_channels)
    with _bar(path, "s", "{desc}: listening, {n:.0f} s in {elapsed}") as progress:
        analysis = job.separator.analyse(_Watched(source, progress), arguments.overlap)
    plan = job.separator.plan(
        analysis,
        levels=job.levels,
        nodes=job.nodes,
        queries=job.queries,
        without=job.without,
        threshold=arguments.threshold,
        consistency=arguments.consistency,
        full_band=arguments.full_band,
    )
    with result_folder(arguments.output, path.stem) as folder:
        if arguments.detect_only:
            seconds = analysis.num_samples / source.sample_rate
            found = [describe_detection(each, analysis, seconds) for each in plan.detections]
            result = _result(path, source, analysis, job, found)
            _write_views(folder, result, analysis, None, job)
        else:
            writer = StemWriter(folder, plan, source, analysis, job.output_format)
            with writer:
                for _ in _separate(path, source, analysis, plan, writer, job):
                    yield None
            result = _result(path, source, analysis, job, writer.stems, writer)
            _write_views(folder, result, analysis, writer.envelopes, job)
            if arguments.mux:
                _mux(path, folder, result, arguments)
    print_result(result, final, float(analysis.probabilities.max(initial=0.0)))
    yield result


def _advance(progress: Bar, done: int) -> None:
    progress.update(done)


class _Watched:
    """A recording whose reading a progress bar shows, in seconds."""

    def __init__(self, source: AudioFile, progress: Bar) -> None:
        self.sample_rate = source.sample_rate
        self.num_channels = source.num_channels
        self._source = source
        self._progress = progress

    def blocks(self) -> Iterator[Waveform]:
        """See ``AudioSource``."""
        for block in self._source.blocks():
            self._progress.update(block.shape[1] / self.sample_rate)
            yield block


def _bar(path: Path, unit: str, text: str | None = None, total: int | None = None) -> Bar:
    """Make a progress bar on the terminal, if there is one."""
    return tqdm(
        desc=path.name,
        unit=unit,
        total=total,
        bar_format=text,
        leave=total is not None,
        file=sys.stderr,
        disable=None,
    )


def _check_stems_are_kept(folder: Path, arguments: argparse.Namespace) -> None:
    """Refuse to let a mere detection replace stems that took long to make."""
    if arguments.detect_only and any(entry.is_dir() for entry in folder.glob("*")):
        raise InputError(
            f"{folder} holds stems, which --detect-only would delete; choose another output folder"
        )


def _separate(
    path: Path, source: AudioFile, analysis: Analysis, plan: Plan, writer: StemWriter, job: Job
) -> Iterator[None]:
    """Write all stems, with a progress bar; yields while the last ones wait for a batch."""
    stream = job.separator.stream(
        source,
        analysis,
        plan,
        batcher=job.batcher,
        progress=lambda done: _advance(progress, done),
    )
    with closing(stream), _bar(path, "segment", total=stream.num_pairs) as progress:
        while stream.submit_next():
            for piece in stream.ready():
                writer.write(piece)
        while not stream.is_complete:
            for piece in stream.ready():
                writer.write(piece)
            if not stream.is_complete:
                yield


def _result(
    path: Path,
    source: AudioFile,
    analysis: Analysis,
    job: Job,
    stems: Sequence[StemResult],
    writer: StemWriter | None = None,
) -> SeparationResult:
    return SeparationResult(
        input=path.name,
        sample_rate=source.sample_rate,
        num_channels=source.num_channels,
        duration_seconds=analysis.num_samples / source.sample_rate,
        segment_seconds=analysis.segment_seconds,
        segment_starts=analysis.starts_seconds,
        settings=job.settings,
        stems=tuple(stems),
        residuals={} if writer is None else writer.residuals,
        residual_loudness_dbfs={} if writer is None else writer.residual_loudness_dbfs,
    )


def _write_views(
    folder: Path,
    result: SeparationResult,
    analysis: Analysis,
    stems: Sequence[Envelope] | None,
    job: Job,
) -> None:
    result.write_json(folder / "detections.json")
    threshold = job.settings["threshold"]
    draw_timeline(folder / "timeline.png", result, analysis.envelope, stems, threshold)
    write_report(folder / "report.html", result, job.separator.ontology)


def _mux(path: Path, folder: Path, result: SeparationResult, arguments: argparse.Namespace) -> None:
    """Write the copy of a film whose audio tracks are the stems."""
    several = len(result.residuals) > 1

    def titled(name: str, group: str) -> str:
        return f"{name} ({group})" if several else name

    tracks = []
    for group, residual in result.residuals.items():
        members = [stem for stem in result.stems if stem.file and stem.file.startswith(f"{group}/")]
        tracks += [
            AudioTrack(titled(stem.name, group), folder / str(stem.file)) for stem in members
        ]
        tracks.append(AudioTrack(titled("Residual", group), folder / residual))
    mux_stems(path, arguments.track, tracks, folder / f"{path.stem}{film_suffix(path)}")
