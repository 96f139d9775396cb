"""A result in the formats of other programs: label files and sessions beside the stems."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath

from ontology import Ontology
from uss.audio.excerpting import Excerpt
from uss.audio.pictures_of_films import film_facts
from uss.interchange.hand_over import HandOver, Picture, Sound, SourceFile
from uss.interchange.labels import label_files, write_labels
from uss.interchange.sessions import SESSION_FORMATS, session_file
from uss.results.file_settings import FileSettings
from uss.results.recordings import Input
from uss.results.result import SeparationResult, StemResult
from uss.results.side_products import SideProducts


@dataclass(frozen=True)
class Exports:
    """What of a recording is written for other programs.

    Attributes:
        recording: what it is.
        source: the part of it that was separated.
        settings: name the formats.
        final: the folder that the result will have.
        ontology: says which branch a class is of.
    """

    recording: Input
    source: Excerpt
    settings: FileSettings
    final: Path
    ontology: Ontology

    @property
    def files(self) -> list[str]:
        """All that are asked for, relative to the result's folder."""
        labels = [label_files(self._stem, name) for name in self.settings.labels]
        sessions = [session_file(self._stem, name) for name in self.settings.sessions]
        return [*(file for files in labels for file in files), *sessions]

    def write(self, folder: Path, result: SeparationResult, products: SideProducts) -> None:
        """Write them; what fails is noted as missing.

        Args:
            folder: where the result grows.
            result: what is known of it.
            products: notes what fails.
        """
        for name in self.settings.labels:
            with products.making(" and ".join(label_files(self._stem, name))):
                write_labels(folder, self._stem, self._hand_over(result), name)
        for name in self.settings.sessions:
            file = session_file(self._stem, name)
            with products.making(file):
                SESSION_FORMATS[name].write(self._hand_over(result), folder / file)

    def _hand_over(self, result: SeparationResult) -> HandOver:
        path = None if self.recording.is_spooled else self.recording.path
        return hand_over_of(
            result,
            path,
            relative=None if path is None else relative_path(path, self.final),
            film_seconds=self.source.file.film_offset_seconds + float(self.source.late_seconds),
            picture=self._picture,
            ontology=self.ontology,
        )

    @cached_property
    def _picture(self) -> Picture | None:
        """What the film shows; only sessions need to know."""
        path = self.recording.path
        facts = film_facts(path) if self.settings.sessions else None
        if facts is None or self.recording.is_spooled:
            return None
        return Picture.of_film(facts.frame_rate, facts.timecode, facts.duration_seconds)

    @property
    def _stem(self) -> str:
        """How the files are called: like the recording, or like what a pipe's result is called."""
        path = self.recording.path
        is_spooled = self.recording.is_spooled
        return PurePath(self.recording.folder_name).name if is_spooled else path.stem


def hand_over_of(
    result: SeparationResult,
    path: Path | None,
    *,
    relative: str | None = None,
    film_seconds: float | None = None,
    picture: Picture | None = None,
    ontology: Ontology | None = None,
) -> HandOver:
    """Bring a result into the records that formats are written from.

    Args:
        result: what was found and written.
        path: of the recording; None where it is gone.
        relative: the same, from the result's folder.
        film_seconds: where what was separated begins in its film; None for the recording's time.
        picture: what the film shows.
        ontology: says which branch a class is of; without it none is.
    """
    sounds = tuple(
        Sound(
            stem.name,
            stem.mid,
            stem.group,
            None if ontology is None else branch_of(stem, ontology),
            stem.file,
            stem.events,
        )
        for stem in result.stems
    )
    source = SourceFile(
        name=result.input,
        path=path,
        relative=relative,
        sample_rate=result.sample_rate,
        num_channels=result.num_channels,
        duration_seconds=result.duration_seconds,
        start_seconds=result.start_seconds,
        film_seconds=result.start_seconds if film_seconds is None else film_seconds,
        picture=picture,
    )
    return HandOver(source, sounds, result.residuals)


def branch_of(stem: StemResult, ontology: Ontology) -> str | None:
    """Name the node of level 1 that a stem's class, or the first of its classes, lies below."""
    tops = {node.mid for node in ontology.nodes_at_level(1)}
    for mid in _mids_of(stem):
        # A model of somebody's own may know classes that the ontology does not.
        known = [ontology.nodes[mid], *ontology.ancestors(mid)] if mid in ontology.nodes else []
        for node in known:
            if node.mid in tops:
                return node.name
    return None


def relative_path(path: Path, folder: Path) -> str:
    """Say where a file lies from a folder on, with slashes; absolute where drives differ."""
    absolute = os.path.join(os.path.realpath(path.parent), path.name)
    with suppress(ValueError):
        absolute = os.path.relpath(absolute, os.path.realpath(folder))
    return absolute.replace(os.sep, "/")


def _mids_of(stem: StemResult) -> Iterator[str]:
    if stem.mid is not None:
        yield stem.mid
    yield from stem.mids
    yield from (each.mid for each in stem.understood)
