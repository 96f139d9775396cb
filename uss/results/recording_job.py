"""One recording on its way from a file to a folder of stems."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from uss.audio import AudioFile, AudioSource, check_capacity, check_layout
from uss.audio.envelopes import Envelope
from uss.audio.excerpting import Excerpt
from uss.audio.muxing import check_film
from uss.audio.scale import scale_hint
from uss.audio.sources import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from uss.core.arrays import Waveform
from uss.core.errors import InputError
from uss.detection.analysis import Analysis
from uss.results.file_settings import FileSettings
from uss.results.fingerprints import fingerprints
from uss.results.folder import check_room, result_folder, written_files
from uss.results.identity import Identity
from uss.results.placement import Placement
from uss.results.progress import Progress
from uss.results.recordings import Input
from uss.results.result import (
    RECORD_NAME,
    RunSettings,
    SeparationResult,
    StemResult,
    describe_detection,
)
from uss.results.stem_writer import StemWriter
from uss.results.understood import excluded_sounds
from uss.results.views import Views, film_name, write_views
from uss.separation.batching import Batcher
from uss.separation.plan import Plan
from uss.separation.separator import Separator
from uss.separation.stream import StemStream

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecordingJob:
    """What separates files, one after another.

    Attributes:
        separator: finds and separates.
        batcher: fills its batches across recordings.
        output: each recording gets a folder in it.
        settings: what is done.
        described: the same for the results, with the models; see ``described_for``.
        progress: is told how far it is.
        placement: what results may find where they go.
    """

    separator: Separator
    batcher: Batcher
    output: Path
    settings: FileSettings
    described: RunSettings
    progress: Progress
    placement: Placement = field(default_factory=Placement)

    def folder_of(self, recording: Input) -> Path:
        """Folder of a recording's result."""
        return self.output / recording.folder_name

    def described_for(self, track: int) -> RunSettings:
        """Note the settings, with the track that was chosen."""
        return replace(self.described, track=track)

    def kept_result(self, recording: Input) -> SeparationResult | None:
        """Read the result that makes the work on a recording needless, if it may be kept.

        Raises:
            OSError, ValueError: if the recording cannot be read, or what is there is no result.
        """
        if not self.placement.resume or not recording.path.is_file():
            return None
        described = self.described_for(recording.chosen_track(self.settings.track))
        return self.placement.kept_result(self.output, recording, described)


@dataclass
class RunningRecording:
    """A recording that is being separated.

    Attributes:
        input: the recording.
        folder: of the result, where it will appear.
        highest_probability: of all classes and segments.
        stream: gives its stems; None where they are not wanted.
        result: once all is written.
        warnings: what is missing beside the stems, and why, one line each.
    """

    input: Input
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
def separating(recording: Input, job: RecordingJob) -> Iterator[RunningRecording]:
    """Detect, separate and write one recording.

    Before the block all is separated that does not wait for a batch; when the block ends, the rest,
    and the folder appears. If the block raises, nothing is left. What fails beside the stems and
    ``detections.json`` is a warning.

    Raises:
        OSError, ValueError: if the recording cannot be read or the result cannot be written.
    """
    settings, path = job.settings, recording.path
    source = _open_checked(recording, job)
    identity = recording.identity(source.file.track)
    copies = [film_name(recording, source)] if settings.mux else []
    earlier = job.placement.check(job.output, recording, identity, settings.detect_only, copies)
    with job.progress.listening(path) as heard:
        analysis = job.separator.analyse(_Watched(source, heard), settings.overlap)
    _check_scale(path, analysis.envelope)
    plan = job.separator.plan(analysis, settings.wanted)
    highest = float(analysis.probabilities.max(initial=0.0))
    described = job.described_for(source.file.track)
    excluded = excluded_sounds(settings.wanted.without, job.separator.ontology)
    running = RunningRecording(recording, job.folder_of(recording), highest)
    name, owner = recording.folder_name, job.placement.owner(identity)
    with result_folder(job.output, name, owner) as part:
        views = Views(part, recording, source, job.separator.ontology, copies)
        if settings.detect_only:
            yield running
            seconds = analysis.num_samples / source.sample_rate
            found = [describe_detection(each, analysis, seconds) for each in plan.detections]
            result = _result(path, source, analysis, described, found)
            result = replace(result, excluded=excluded)
            running.warnings += write_views(views, result, analysis, None)
        else:
            writer = StemWriter(part, plan, source, analysis, settings.output_format)
            with writer, _stream(path, source, analysis, plan, job) as running.stream:
                check_room(earlier, writer.files)
                for piece in running.stream.read():
                    writer.write(piece)
                yield running
                for piece in running.stream.rest():
                    writer.write(piece)
            result = _result(path, source, analysis, described, writer.stems, writer)
            result = replace(result, excluded=excluded)
            running.warnings += write_views(views, result, analysis, writer.envelopes)
        running.result = _noted(part, replace(result, missing=tuple(running.warnings)), identity)


def open_recording(path: Path, track: int | None) -> AudioFile:
    """Open a file to be separated.

    Args:
        path: the file.
        track: which of its audio tracks, from 1; None for the default.

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


def _open_checked(recording: Input, job: RecordingJob) -> Excerpt:
    """Open a recording, and refuse before the work what would fail after it."""
    settings, path = job.settings, recording.path
    file = open_recording(path, recording.track or settings.track)
    if recording.track is None and settings.track is None:
        _tell_of_others(file)
    span = (settings.start_seconds, settings.end_seconds)
    source = Excerpt(file, *span, is_aligned=settings.is_aligned)
    form = settings.output_format
    if not settings.detect_only:
        check_capacity(form.suffix, form.subtype, source.sample_rate, source.num_channels)
        check_layout(form.suffix, source.channel_layout)
    if settings.mux:
        check_film(path)
        check_capacity("flac", "PCM_24", source.sample_rate, source.num_channels)
        check_layout("flac", source.channel_layout)
    return source


def _tell_of_others(file: AudioFile) -> None:
    """Say which track of a film was taken where nobody chose."""
    if len(file.tracks) > 1:
        taken = file.tracks[file.track - 1]
        others = ", ".join(str(each) for each in file.tracks if each is not taken)
        logger.info("%s: audio track %s is taken, not %s", file.path, taken, others)


def _check_scale(path: Path, envelope: Envelope) -> None:
    """Warn of a file of floating-point samples that are integers."""
    peak = max(float(envelope.high.max(initial=0.0)), -float(envelope.low.min(initial=0.0)))
    hint = scale_hint(peak)
    if hint is not None:
        logger.warning("%s: %s", path, hint)


class _Watched:
    """A recording whose reading is counted in seconds."""

    def __init__(self, source: AudioSource, heard: Callable[[float], object]) -> None:
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
    path: Path, source: AudioSource, analysis: Analysis, plan: Plan, job: RecordingJob
) -> Iterator[StemStream]:
    """Make a stream whose progress is told."""

    def advance(pairs: int) -> None:
        separated(pairs)

    stream = job.separator.stream(source, analysis, plan, batcher=job.batcher, progress=advance)
    with closing(stream), job.progress.separating(path, stream.num_pairs) as separated:
        yield stream


def _result(
    path: Path,
    source: Excerpt,
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
        channel_layout=source.channel_layout.name if source.channel_layout else None,
        start_seconds=source.start_seconds,
        film_offset_seconds=source.file.film_offset_seconds,
        tracks=source.file.tracks,
    )


def _noted(folder: Path, result: SeparationResult, identity: Identity) -> SeparationResult:
    """Write what is known, last, as all that is in the folder now is the result's own."""
    written = written_files(folder)
    noted = replace(
        result,
        identity=identity,
        files=tuple(sorted({*written, RECORD_NAME})),
        fingerprints=fingerprints(folder, written),
    )
    noted.write_json(folder / RECORD_NAME)
    return noted
