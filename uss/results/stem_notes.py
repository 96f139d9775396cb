"""What the files of a result say of themselves, and what of their recording's notes they keep."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uss
from uss.audio.excerpting import Excerpt
from uss.audio.file_notes import FileNotes, Mark
from uss.audio.formats import num_bytes
from uss.audio.noting import add_marks
from uss.audio.source_notes import SourceNotes, read_source_notes
from uss.results.result import SeparationResult, StemResult

logger = logging.getLogger(__name__)

PROGRAM = f"uss-pipeline {uss.__version__}"
# EBU R98 knows the first two.
_MODES = {1: "mono", 2: "stereo"}


@dataclass(frozen=True)
class StemNotes:
    """What the files of a result say of themselves.

    Attributes:
        recording: name of its file.
        source: what that says of itself.
        time_reference: samples from midnight, as the recording counts it, to the stems' first.
        technique: how the stems are coded, after EBU R98.
        model: what separated them.
    """

    recording: str
    source: SourceNotes
    time_reference: int
    technique: str
    model: str

    @classmethod
    def of(cls, excerpt: Excerpt, name: str, subtype: str, model: str) -> StemNotes:
        """Read what a recording says of itself.

        Args:
            excerpt: what of it is separated.
            name: of its file.
            subtype: of the stems.
            model: what separates them.
        """
        file, rate = excerpt.file, excerpt.sample_rate
        source = read_source_notes(file.path, rate, file.track)
        bits = 8 * num_bytes(subtype)
        mode = _MODES.get(excerpt.num_channels, "multichannel")
        technique = f"A=PCM,F={rate},W={bits},M={mode}"
        return cls(name, source, _time_reference(excerpt, source), technique, model)

    def of_file(self, held: str) -> FileNotes:
        """Say what a stem, or the residual, is.

        Args:
            held: what is in it.
        """
        made = f"{held} of {self.recording}; {PROGRAM}; model {self.model}"
        after = f": {self.source.description}" if self.source.description else ""
        return FileNotes(
            tags=self.source.tags,
            description=f"{held}, separated from {self.recording}{after}",
            originator=PROGRAM,
            origination_date=self.source.origination_date,
            origination_time=self.source.origination_time,
            time_reference=self.time_reference,
            coding_history=(
                *self.source.coding_history.splitlines(),
                f"{self.technique},T={' '.join(made.replace(',', ';').split())}",
            ),
        )


def _time_reference(excerpt: Excerpt, source: SourceNotes) -> int:
    """Count samples from midnight, by the recording's clock, or from its start if it has none."""
    seconds = (source.clock_seconds or 0) + excerpt.film_seconds
    if seconds < 0:
        logger.info(
            "%s: its audio track begins %.3f s before midnight on the film's clock; the stems' "
            "TimeReference is 0, detections.json has the offset",
            excerpt.file.path,
            -float(seconds),
        )
    return max(0, round(seconds * excerpt.sample_rate))


def mark_stems(folder: Path, result: SeparationResult) -> None:
    """Write when something sounds into the files of stems, as cue points.

    Args:
        folder: of the result.
        result: what is in it.

    Raises:
        OSError: if the disk is full.
    """
    for stem in result.stems:
        if stem.file is not None:
            add_marks(folder / stem.file, _marks(stem, result.sample_rate), result.sample_rate)


def _marks(stem: StemResult, sample_rate: int) -> Sequence[Mark]:
    spans = [
        (round(event.onset_seconds * sample_rate), round(event.offset_seconds * sample_rate))
        for event in stem.events
    ]
    return [Mark(start, end - start, stem.name) for start, end in spans]
