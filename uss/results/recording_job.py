"""One recording on its way from a file to a folder of stems."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from uss.audio import AudioFile, check_capacity
from uss.audio.envelopes import Envelope
from uss.audio.muxing import AudioTrack, check_film, film_suffix, mux_stems
from uss.audio.scale import scale_hint
from uss.audio.sources import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from uss.core.arrays import Waveform
from uss.core.errors import InputError
from uss.core.files import fitting_name
from uss.core.pictures import printable
from uss.detection.analysis import Analysis
from uss.detection.defaults import DEFAULT_OVERLAP
from uss.results.folder import check_room, result_folder, written_files
from uss.results.identity import Identity
from uss.results.placement import Placement
from uss.results.progress import Progress
from uss.results.report import write_report
from uss.results.result import (
    RECORD_NAME,
    RunSettings,
    SeparationResult,
    StemResult,
    describe_detection,
)
from uss.results.side_products import SideProducts
from uss.results.stem_writer import FLOAT_WAV, OutputFormat, StemWriter
from uss.results.timeline import draw_timeline
from uss.separation.batching import Batcher
from uss.separation.plan import Plan, Wanted
from uss.separation.separator import Separator
from uss.separation.stream import StemStream

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FileSettings:
    """What is done with every file.

    Attributes:
        wanted: what is looked for, and what goes to the residual.
        overlap: of neighbouring segments.
        track: which audio track of a film, from 1.
        output_format: of the stems.
        detect_only: write what is found, and when, without separating it.
        mux: also write a copy of the film whose audio tracks are the stems.
    """

    wanted: Wanted
    overlap: float = DEFAULT_OVERLAP
    track: int = 1
    output_format: OutputFormat = FLOAT_WAV
    detect_only: bool = False
    mux: bool = False

    def __post_init__(self) -> None:
        """Check that they go together."""
        if self.mux and self.detect_only:
            raise InputError("a film needs stems, and detection alone writes none; leave out one")


@dataclass(frozen=True)
class RecordingJob:
    """What separates files, one after another.

    Attributes:
        separator: finds and separates.
        batcher: fills its batches across recordings.
        output: each recording gets a folder in it, see ``placement``.
        settings: what is done.
        described: the same for the results, with the models.
        progress: is told how far it is.
        placement: where results go, and what they may find there.
    """

    separator: Separator
    batcher: Batcher
    output: Path
    settings: FileSettings
    described: RunSettings
    progress: Progress
    placement: Placement = field(default_factory=Placement)

    def folder_of(self, path: Path) -> Path:
        """Folder of a recording's result."""
        return self.output / self.placement.name_of(path)


@dataclass
class RunningRecording:
    """A recording that is being separated.

    Attributes:
        path: the file.
        folder: of the result, where it will appear.
        highest_probability: of all classes and segments.
        stream: gives its stems; None where they are not wanted.
        result: once all is written.
        warnings: what is missing beside the stems, and why, one line each.
    """

    path: Path
    folder: Path
    highest_probability: float
    stream: StemStream | None = None
    result: SeparationResult | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def is_waiting(self) -> bool:
        """Whether stems wait for a batch, which other recordings may fill."""
        return self.stream is not None and self.stream.is_waiting


@contextmanager
def separating(path: Path, job: RecordingJob) -> Iterator[RunningRecording]:
    """Detect, separate and write one recording.

    Before the block all is separated that does not wait for a batch; when the block ends, the rest,
    and the folder appears. If the block raises, nothing is left. What fails beside the stems and
    ``detections.json`` is a warning.

    Raises:
        OSError, ValueError: if the recording cannot be read or the result cannot be written.
    """
    settings = job.settings
    source = _open_checked(path, job)
    identity = Identity.of(path, settings.track)
    films = [_film_name(path)] if settings.mux else []
    earlier = job.placement.check(job.output, path, identity, settings.detect_only, films)
    with job.progress.listening(path) as heard:
        analysis = job.separator.analyse(_Watched(source, heard), settings.overlap)
    _check_scale(path, analysis.envelope)
    plan = job.separator.plan(analysis, settings.wanted)
    highest = float(analysis.probabilities.max(initial=0.0))
    name = job.placement.name_of(path)
    running = RunningRecording(path, job.folder_of(path), highest)
    with result_folder(job.output, name, job.placement.owner(identity)) as part:
        if settings.detect_only:
            yield running
            seconds = analysis.num_samples / source.sample_rate
            found = [describe_detection(each, analysis, seconds) for each in plan.detections]
            result = _result(path, source, analysis, job.described, found)
            running.warnings += _write_all_but_stems(part, path, result, analysis, None, job)
        else:
            writer = StemWriter(part, plan, source, analysis, settings.output_format)
            with writer, _stream(path, source, analysis, plan, job) as running.stream:
                check_room(earlier, writer.files)
                for piece in running.stream.read():
                    writer.write(piece)
                yield running
                for piece in running.stream.rest():
                    writer.write(piece)
            result = _result(path, source, analysis, job.described, writer.stems, writer)
            running.warnings += _write_all_but_stems(
                part, path, result, analysis, writer.envelopes, job
            )
        running.result = _noted(part, result, identity)


def open_recording(path: Path, track: int) -> AudioFile:
    """Open a file to be separated.

    Args:
        path: the file.
        track: which of its audio tracks, from 1.

    Raises:
        OSError, ValueError: as ``AudioFile``; or if it is a folder, or its sample rate is absurd.
    """
    if path.is_dir():
        raise InputError(
            f"the folder {path} holds no audio or video file (folders in it are searched with "
            "--recursive only); name an audio or video file, or a folder with some"
        )
    file = AudioFile(path, track)
    if not MIN_SAMPLE_RATE <= file.sample_rate <= MAX_SAMPLE_RATE:
        raise InputError(
            f"{path} has a sample rate of {file.sample_rate} Hz by its header, which may be "
            f"damaged; give {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz"
        )
    return file


def _open_checked(path: Path, job: RecordingJob) -> AudioFile:
    """Open a recording, and refuse before the work what would fail after it."""
    settings = job.settings
    source = open_recording(path, settings.track)
    form = settings.output_format
    if not settings.detect_only:
        check_capacity(form.suffix, form.subtype, source.sample_rate, source.num_channels)
    if settings.mux:
        check_film(path)
        check_capacity("flac", "PCM_24", source.sample_rate, source.num_channels)
    return source


def _check_scale(path: Path, envelope: Envelope) -> None:
    """Warn of a file of floating-point samples that are integers."""
    peak = max(float(envelope.high.max(initial=0.0)), -float(envelope.low.min(initial=0.0)))
    hint = scale_hint(peak)
    if hint is not None:
        logger.warning("%s: %s", path, hint)


class _Watched:
    """A recording whose reading is counted in seconds."""

    def __init__(self, source: AudioFile, heard: Callable[[float], object]) -> None:
        self.sample_rate = source.sample_rate
        self.num_channels = source.num_channels
        self._source = source
        self._heard = heard

    def blocks(self) -> Iterator[Waveform]:
        """See ``AudioSource``."""
        for block in self._source.blocks():
            self._heard(block.shape[1] / self.sample_rate)
            yield block


@contextmanager
def _stream(
    path: Path, source: AudioFile, analysis: Analysis, plan: Plan, job: RecordingJob
) -> Iterator[StemStream]:
    """Make a stream whose progress is told."""

    def advance(pairs: int) -> None:
        separated(pairs)

    stream = job.separator.stream(source, analysis, plan, batcher=job.batcher, progress=advance)
    with closing(stream), job.progress.separating(path, stream.num_pairs) as separated:
        yield stream


def _result(
    path: Path,
    source: AudioFile,
    analysis: Analysis,
    described: RunSettings,
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
        settings=described,
        stems=tuple(stems),
        residuals={} if writer is None else writer.residuals,
        residual_loudness_dbfs={} if writer is None else writer.residual_loudness_dbfs,
    )


def _write_all_but_stems(
    folder: Path,
    path: Path,
    result: SeparationResult,
    analysis: Analysis,
    stems: Sequence[Envelope] | None,
    job: RecordingJob,
) -> list[str]:
    """Write what is made of the stems; returns what failed of that."""
    products = SideProducts(path.name)
    with products.making("timeline.png"):
        threshold = result.settings.threshold
        draw_timeline(folder / "timeline.png", result, analysis.envelope, stems, threshold)
    with products.making("report.html"):
        write_report(folder / "report.html", result, job.separator.ontology)
    if job.settings.mux:
        with products.making("the copy of the film"):
            _mux(path, folder, result, job.settings.track)
    return products.missing


def _noted(folder: Path, result: SeparationResult, identity: Identity) -> SeparationResult:
    """Write what is known, last, as all that is in the folder now is the result's own."""
    files = sorted({*written_files(folder), RECORD_NAME})
    noted = replace(result, identity=identity, files=tuple(files))
    noted.write_json(folder / RECORD_NAME)
    return noted


def _film_name(path: Path) -> str:
    return fitting_name(path.stem, film_suffix(path))


def _mux(path: Path, folder: Path, result: SeparationResult, track: int) -> None:
    """Write the copy of a film whose audio tracks are the stems."""
    several = len(result.residuals) > 1

    def titled(name: str, group: str) -> str:
        return printable(f"{name} ({group})" if several else name)

    tracks = []
    for group, residual in result.residuals.items():
        members = [stem for stem in result.stems if stem.file and stem.group == group]
        tracks += [
            AudioTrack(titled(stem.name, group), folder / str(stem.file)) for stem in members
        ]
        tracks.append(AudioTrack(titled("Residual", group), folder / residual))
    mux_stems(path, track, tracks, folder / _film_name(path))
