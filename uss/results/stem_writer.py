"""Writing the stems of a recording, piece by piece: files that add up to it."""

from __future__ import annotations

import logging
import shutil
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np

from uss.audio import (
    AudioSource,
    AudioWriter,
    check_capacity,
    num_bytes,
)
from uss.audio.envelopes import Envelope, LevelCurve, LoudnessMeter
from uss.core.arrays import Floats
from uss.detection.analysis import Analysis
from uss.detection.detections import Detection
from uss.detection.events import intervals_of
from uss.results.describing import describe_detection
from uss.results.result import StemResult
from uss.results.stem_names import StemNames
from uss.results.stem_notes import StemNotes
from uss.separation.plan import Plan
from uss.separation.stream import Piece

logger = logging.getLogger(__name__)

_MAX_WAITING = 2


@dataclass(frozen=True)
class OutputFormat:
    """How stems are stored.

    Attributes:
        suffix: ``wav`` or ``flac``.
        subtype: as libsndfile names it.
    """

    suffix: str
    subtype: str


FLOAT_WAV = OutputFormat("wav", "FLOAT")


class _Output:
    """A file that grows, and what is to be known of it."""

    def __init__(
        self, writer: AudioWriter, file: str, intervals: Sequence[tuple[float, float]], rate: int
    ) -> None:
        self.file = file
        self.envelope = Envelope(rate)
        self.meter = LoudnessMeter(intervals, rate)
        self.levels = LevelCurve(rate)
        self.writer = writer

    def write(self, samples: Floats) -> Floats:
        """Append (C, n) samples; returns them as the file holds them."""
        written = self.writer.write(samples)
        self.envelope.add(written)
        self.meter.add(written)
        self.levels.add(written)
        return written


@dataclass(frozen=True)
class _Group:
    """The files of one folder."""

    stems: tuple[_Output, ...]
    residual: _Output


class StemWriter:
    """Writes stems and residuals piece by piece, in a thread of its own.

    Residuals are formed from the stems as their files hold them, rounded where the format is PCM.
    A context manager; only if its block ends well the files are complete.

    Args:
        folder: of the result; gets one folder per group of the plan.
        plan: what is separated.
        source: gives rate and channels, and their layout if it knows it (``channel_layout``).
        analysis: gives length and activity.
        output_format: of the files.
        names: how the files are called.
        notes: what they say of themselves; None for nothing.

    Raises:
        OSError: if the disk is full, or too full for what is going to be written.
        ValueError: if the format cannot hold the recording's channels or rate.
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        source: AudioSource,
        analysis: Analysis,
        output_format: OutputFormat,
        *,
        names: StemNames | None = None,
        notes: StemNotes | None = None,
    ) -> None:
        self._folder = folder
        self._plan = plan
        self._source = source
        self._analysis = analysis
        self._format = output_format
        self._names = names or StemNames()
        self._notes = notes
        self._seconds = analysis.duration_seconds
        self._groups: dict[str, _Group] = {}
        self._files = ExitStack()
        self._thread = ThreadPoolExecutor(1)
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> StemWriter:
        check_capacity(
            self._format.suffix,
            self._format.subtype,
            self._source.sample_rate,
            self._source.num_channels,
        )
        self._check_space()
        with ExitStack() as opened:
            for name, detections in self._plan.groups.items():
                self._groups[name] = self._open_group(opened, name, detections)
            self._files = opened.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with self._thread:
                if error is None:
                    self._wait_for(0)
        except BaseException as failure:
            self._files.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._files.__exit__(kind, error, trace)
        if error is None:
            self._report_clipping()

    def write(self, piece: Piece) -> None:
        """Append a piece; at most two wait to be written.

        Raises:
            OSError: if an earlier piece could not be written.
        """
        self._wait_for(_MAX_WAITING - 1)
        self._waiting.append(self._thread.submit(self._write, piece))

    @property
    def stems(self) -> list[StemResult]:
        """What is known of each stem, once all is written."""
        outputs = [stem for group in self._groups.values() for stem in group.stems]
        return [
            describe_detection(
                detection,
                self._analysis,
                levels_db=output.levels.levels_db,
                loudness_dbfs=output.meter.dbfs,
                file=output.file,
            )
            for detection, output in zip(self._plan.detections, outputs, strict=True)
        ]

    @property
    def envelopes(self) -> list[Envelope]:
        """Of each stem."""
        return [stem.envelope for group in self._groups.values() for stem in group.stems]

    @property
    def residuals(self) -> Mapping[str, str]:
        """Folder to file."""
        return {name: group.residual.file for name, group in self._groups.items()}

    @property
    def files(self) -> list[str]:
        """All stems and residuals, relative to the result's folder."""
        outputs = ((*group.stems, group.residual) for group in self._groups.values())
        return [output.file for group in outputs for output in group]

    @property
    def residual_loudness_dbfs(self) -> Mapping[str, float | None]:
        """Folder to RMS level over the whole recording."""
        return {name: group.residual.meter.dbfs for name, group in self._groups.items()}

    def _open_group(self, opened: ExitStack, name: str, detections: Sequence[Detection]) -> _Group:
        (self._folder / name).mkdir()
        taken: set[str] = set()
        # First, as nothing else may be called so.
        rest = self._names.of_residual(name, taken)

        def output(base: str, held: str, intervals: Sequence[tuple[float, float]]) -> _Output:
            file = f"{name}/{base}.{self._format.suffix}"
            writer = AudioWriter(
                self._folder / file,
                self._source.sample_rate,
                self._source.num_channels,
                self._format.subtype,
                self._analysis.num_samples,
                layout=getattr(self._source, "channel_layout", None),
                notes=None if self._notes is None else self._notes.of_file(held),
            )
            opened.enter_context(writer)
            return _Output(writer, file, intervals, self._source.sample_rate)

        stems = []
        for each in detections:
            base = self._names.of_stem(each.query, name, taken)
            stems.append(output(base, each.query.name, intervals_of(each, self._analysis)))
        return _Group(tuple(stems), output(rest, "residual", [(0.0, self._seconds)]))

    def _write(self, piece: Piece) -> None:
        stems = iter(piece.stems)
        silence = np.zeros_like(piece.mixture)
        for group in self._groups.values():
            residual = piece.mixture.astype(np.float64)
            for output in group.stems:
                samples = next(stems)
                residual -= output.write(silence if samples is None else samples)
            group.residual.write(residual)

    def _wait_for(self, num_left: int) -> None:
        while len(self._waiting) > num_left:
            self._waiting.popleft().result()

    def _check_space(self) -> None:
        """Refuse before the work what would fill the disk after it."""
        if self._format.suffix != "wav":
            return
        files = len(self._plan.detections) + len(self._plan.groups)
        values = files * self._analysis.num_samples * self._source.num_channels
        needed = values * num_bytes(self._format.subtype)
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise OSError(
                f"{self._folder.parent}: {files} files of {self._seconds:.0f} s need "
                f"{needed / 1e6:.1f} MB, {free / 1e6:.1f} MB are free; choose another output "
                "folder, fewer levels or classes, or --format flac"
            )

    def _report_clipping(self) -> None:
        """Integer formats end at full scale; what a residual loses there, the sum lacks."""
        for group in self._groups.values():
            for output in (*group.stems, group.residual):
                if output.writer.num_clipped:
                    logger.warning(
                        "%s: samples beyond full scale: %d, now clipped; float WAV keeps them",
                        output.file,
                        output.writer.num_clipped,
                    )
