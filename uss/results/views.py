"""What is made of a result beside its stems: pictures, labels, sessions, the copy of a film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from ontology import Ontology
from uss.audio.envelopes import Envelope
from uss.audio.excerpting import Excerpt
from uss.audio.muxing import AudioTrack, film_suffix, mux_stems
from uss.core.files import fitting_name
from uss.core.pictures import printable
from uss.detection.analysis import Analysis
from uss.results.exports import Exports
from uss.results.recordings import Input
from uss.results.report import write_report
from uss.results.report_pictures import Pictures, picture_files
from uss.results.result import SeparationResult
from uss.results.side_products import SideProducts
from uss.results.stem_notes import mark_stems
from uss.results.timeline import draw_timeline


@dataclass(frozen=True)
class Views:
    """Where views of a result are written, and what they need beside it.

    Attributes:
        folder: of the result.
        recording: what it is of.
        source: the part of it that was separated.
        ontology: names classes in the report.
        copies: names of the film's copies; one or none.
        exports: label files and sessions.
    """

    folder: Path
    recording: Input
    source: Excerpt
    ontology: Ontology
    copies: Sequence[str] = ()
    exports: Exports | None = None


def write_views(
    views: Views, result: SeparationResult, analysis: Analysis, stems: Sequence[Envelope] | None
) -> list[str]:
    """Write what is made of the stems.

    Returns:
        What failed of that, one line each.
    """
    products = SideProducts(views.recording.path.name)
    with products.making("timeline.png"):
        threshold = result.settings.threshold
        draw_timeline(views.folder / "timeline.png", result, analysis.envelope, stems, threshold)
    exported: list[str] = []
    if views.exports is not None:
        views.exports.write(views.folder, result, products)
        exported = [name for name in views.exports.files if (views.folder / name).is_file()]
    pictures = Pictures()
    with products.making("what report.html draws"):
        pictures = picture_files(views.folder, result)
    with products.making("report.html"):
        write_report(views.folder / "report.html", result, views.ontology, exported, pictures)
    if stems is not None:
        with products.making("the events in the stems' files"):
            mark_stems(views.folder, result)
    for copy in views.copies:
        with products.making("the copy of the film"):
            _mux(views.folder, result, views.source, views.folder / copy)
    return products.missing


def film_name(recording: Input, source: Excerpt) -> str:
    """Call the copy of a film like the film, in a container that can hold the stems."""
    path = recording.path
    stem = PurePath(recording.folder_name).name if recording.is_spooled else path.stem
    return fitting_name(stem, film_suffix(path, source.channel_layout))


def _mux(folder: Path, result: SeparationResult, source: Excerpt, copy: Path) -> None:
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
    file = source.file
    mux_stems(file.path, file.track, tracks, copy, late_seconds=source.late_seconds)
