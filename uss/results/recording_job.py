"""One recording on its way from a file to a folder of stems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from uss.audio.excerpting import Excerpt
from uss.detection.analysis import Analysis
from uss.results.bags import PAYLOAD, bag_names, close_bag
from uss.results.blind_stems import name_blind_stems
from uss.results.chosen_stems import ChosenStems, Scene
from uss.results.describing import describe_detection
from uss.results.earlier import PROVENANCE_NAME
from uss.results.exports import Exports
from uss.results.file_settings import FileSettings
from uss.results.fingerprints import fingerprints
from uss.results.folder import check_room, result_folder, written_files
from uss.results.identity import Identity
from uss.results.marking import with_marked
from uss.results.opening import Watched, check_scale, open_checked
from uss.results.placement import Placement
from uss.results.progress import Progress
from uss.results.provenance import Provenance
from uss.results.recordings import Input
from uss.results.result import RECORD_NAME, RunSettings, SeparationResult, StemResult
from uss.results.side_products import SideProducts
from uss.results.stem_names import StemNames
from uss.results.stem_notes import PROGRAM, StemNotes
from uss.results.stem_writer import StemWriter
from uss.results.understood import excluded_sounds
from uss.results.views import Views, film_name, write_views
from uss.separation.batching import Batcher
from uss.separation.candidates import Candidate
from uss.separation.separator import Separator
from uss.separation.stem_scoring import StemScorer
from uss.separation.stream import StemStream


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
        provenance: what all results note of the run.
        candidates: ways to separate, of which the best stems are kept, where there are several.
    """

    separator: Separator
    batcher: Batcher
    output: Path
    settings: FileSettings
    described: RunSettings
    progress: Progress
    placement: Placement = field(default_factory=Placement)
    provenance: Provenance = field(default_factory=Provenance)
    candidates: Sequence[Candidate] = ()

    def folder_of(self, recording: Input) -> Path:
        """Folder of the files of a recording's result; in a bag that is its ``data``."""
        folder = self.output / recording.folder_name
        return folder / PAYLOAD if self.settings.bag else folder

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
        return self.placement.kept_result(
            self.output,
            recording,
            self.described_for(recording.chosen_track(self.settings.track)),
            is_bag=self.settings.bag,
            any_precision=self.separator.runtime.is_automatic,
        )


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
    stream: StemStream | ChosenStems | None = None
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
    source = open_checked(recording, settings)
    identity = recording.identity(source.file.track)
    copies = [film_name(recording, source)] if settings.mux else []
    final, ontology = job.folder_of(recording), job.separator.ontology
    exports = Exports(recording, source, settings, final, ontology)
    others = [*copies, *exports.files]
    earlier = job.placement.check(job.output, recording, identity, settings, others)
    with job.progress.listening(path) as heard:
        analysis = job.separator.analyse(Watched(source, heard), settings.overlap)
    check_scale(path, analysis.envelope)
    wanted = with_marked(settings.wanted, settings, job.separator, source, analysis)
    plan = job.separator.plan(analysis, wanted)
    highest = float(analysis.probabilities.max(initial=0.0))
    described = job.described_for(source.file.track)
    names, notes = _called(recording, source, settings, described)
    excluded = excluded_sounds(settings.wanted.without, ontology)
    running = RunningRecording(recording, final, highest)
    name, owner = recording.folder_name, job.placement.owner(identity)
    with result_folder(job.output, name, owner) as folder:
        part = _started(folder, settings.bag)
        views = Views(part, recording, source, ontology, copies, exports)
        if settings.detect_only:
            yield running
            found = [describe_detection(each, analysis) for each in plan.detections]
            result = _result(path, source, analysis, described, notes, found)
            result = replace(result, excluded=excluded)
            running.warnings += write_views(views, result, analysis, None)
        else:
            form = settings.output_format
            writer = StemWriter(part, plan, source, analysis, form, names=names, notes=notes)
            scene = Scene(source, analysis, plan, settings.overlap)
            with writer, _stream(path, scene, job, part) as running.stream:
                check_room(earlier, _placed(writer.files, settings.bag))
                for piece in running.stream.read():
                    writer.write(piece)
                yield running
                for piece in running.stream.rest():
                    writer.write(piece)
            stems = _told_apart(writer.stems, running, scene, job, part)
            if settings.wanted.blind:
                stems = name_blind_stems(part, stems, job.separator, settings.overlap, names)
            result = _result(path, source, analysis, described, notes, stems, writer)
            result = replace(result, excluded=excluded)
            running.warnings += write_views(views, result, analysis, writer.envelopes)
        result = replace(result, missing=tuple(running.warnings))
        job.provenance.write(part / PROVENANCE_NAME, result, identity)
        running.result = _noted(part, result, identity)
        if settings.bag:
            close_bag(folder, _told(running.result, identity))


@contextmanager
def _stream(
    path: Path, scene: Scene, job: RecordingJob, part: Path
) -> Iterator[StemStream | ChosenStems]:
    """Make a stream whose progress is told."""

    def advance(pairs: int) -> None:
        separated(pairs)

    stream: StemStream | ChosenStems
    if len(job.candidates) > 1:
        joint = job.settings.wanted.joint
        stream = ChosenStems(part, scene, job.candidates, joint, progress=advance)
    else:
        stream = job.separator.stream(
            scene.source, scene.analysis, scene.plan, batcher=job.batcher, progress=advance
        )
    with closing(stream), job.progress.separating(path, stream.num_pairs) as separated:
        yield stream


def _told_apart(
    stems: Sequence[StemResult],
    running: RunningRecording,
    scene: Scene,
    job: RecordingJob,
    part: Path,
) -> list[StemResult]:
    """Note which stems were generated, and their scores, if somebody wants to know these."""
    if isinstance(running.stream, ChosenStems):
        return running.stream.noted(stems)
    noted = [replace(each, generated=job.described.generates) for each in stems]
    if not job.settings.score_stems:
        return noted
    products = SideProducts(running.input.path.name)
    with products.making("the scores of stems"):
        scorer = StemScorer(job.separator, scene.overlap)
        scores = scene.scores(scorer, [part / str(stem.file) for stem in stems])
        noted = [replace(stem, score=score) for stem, score in zip(noted, scores, strict=True)]
    running.warnings += products.missing
    return noted


def _started(folder: Path, is_bag: bool) -> Path:
    """Give the folder for the files of a result that begins."""
    if not is_bag:
        return folder
    (folder / PAYLOAD).mkdir()
    return folder / PAYLOAD


def _placed(names: Sequence[str], is_bag: bool) -> Iterable[str]:
    return bag_names(names) if is_bag else names


def _told(result: SeparationResult, identity: Identity) -> Mapping[str, str]:
    """Say in a bag's own words what is in it."""
    return {
        "External-Description": f"Stems of {result.input}, separated by {PROGRAM}",
        "External-Identifier": f"sha256:{identity.sha256}" if identity.sha256 else "unknown",
        "Bag-Software-Agent": PROGRAM,
    }


def _called(
    recording: Input, source: Excerpt, settings: FileSettings, described: RunSettings
) -> tuple[StemNames, StemNotes]:
    """Decide what the files of stems are called, and what they say of themselves."""
    # What came through a pipe has only the name of its result.
    path = Path(recording.folder_name) if recording.is_spooled else recording.path
    names = StemNames(settings.names, path.stem, source.file.track)
    models = (described.model or "unnamed", *described.candidate_models)
    model = " or ".join(Path(each).name for each in models)
    return names, StemNotes.of(source, path.name, settings.output_format.subtype, model)


def _result(
    path: Path,
    source: Excerpt,
    analysis: Analysis,
    described: RunSettings,
    notes: StemNotes,
    stems: Sequence[StemResult],
    writer: StemWriter | None = None,
) -> SeparationResult:
    return SeparationResult(
        input=path.name,
        sample_rate=source.sample_rate,
        num_channels=source.num_channels,
        duration_seconds=analysis.duration_seconds,
        segment_seconds=analysis.segment_seconds,
        segment_starts=analysis.starts_seconds,
        settings=described,
        stems=tuple(stems),
        residuals={} if writer is None else writer.residuals,
        residual_loudness_dbfs={} if writer is None else writer.residual_loudness_dbfs,
        channel_layout=source.channel_layout.name if source.channel_layout else None,
        start_seconds=source.start_seconds,
        film_offset_seconds=source.file.film_offset_seconds,
        time_reference=notes.time_reference,
        timecode=notes.source.timecode,
        tags=notes.source.tags,
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
