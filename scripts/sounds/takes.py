"""Many takes of many classes: renders them, asks a judge, keeps what agrees, writes a manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ontology import Ontology, load_ontology
from sounds.judging import Verdict
from sounds.manifests import COLUMNS, ORIGIN_COLUMNS, manifest_row, write_manifest
from sounds.signals import SAMPLE_RATE, Generator, levelled

MIN_SECONDS, MAX_SECONDS = 4.0, 8.0
TRIES = 3
Judge = Callable[[NDArray[np.float32], str], Verdict]


@dataclass(frozen=True)
class Source:
    """One instrument or speaker; the first of its AudioSet names is its class.

    Attributes:
        key: Part of file names.
        names: Its most specific AudioSet names.
        generate: Makes a take of it.
        group: What takes have in common that training and validation should not share.
        licence: Of what it is made from.
        attribution: To whom it is owed.
    """

    key: str
    names: tuple[str, ...]
    generate: Generator
    group: str
    licence: str
    attribution: str


@dataclass
class Tally:
    """What became of the takes of one class."""

    rows: list[dict[str, str]] = field(default_factory=list)
    rejected: list[Verdict] = field(default_factory=list)

    @property
    def minutes(self) -> float:
        """Duration of what was kept."""
        return sum(float(row["seconds"]) for row in self.rows) / 60


class Takes:
    """Numbered takes: the classes in turn, and in each class its sources in turn."""

    def __init__(self, sources: Sequence[Source], seed: int) -> None:
        self.seed = seed
        self._classes: dict[str, list[Source]] = {}
        for source in sources:
            self._classes.setdefault(source.names[0], []).append(source)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of their first sources."""
        return tuple(self._classes)

    def source(self, index: int) -> Source:
        """The source of a take."""
        turn, position = divmod(index, len(self._classes))
        sources = self._classes[self.class_names[position]]
        return sources[turn % len(sources)]

    def render(self, index: int) -> NDArray[np.float32]:
        """(T,) the take with this number, 4 to 8 s long; it depends on the seed and index only."""
        rng = np.random.default_rng([self.seed, index])
        num_samples = round(rng.uniform(MIN_SECONDS, MAX_SECONDS) * SAMPLE_RATE)
        return levelled(self.source(index).generate(num_samples, rng), rng)


def write_takes(
    takes: Takes, folder: Path, clips_per_class: int, judge: Judge | None
) -> dict[str, Tally]:
    """Writes clips and ``clips.csv``; returns what was kept and rejected, by class.

    Where the judge rejects takes, later ones of the class are tried in their place, up to three
    for each clip asked for.
    """
    ontology = load_ontology("graph")
    (folder / "clips").mkdir(parents=True, exist_ok=True)
    tallies = {name: Tally() for name in takes.class_names}
    for index in range(clips_per_class * TRIES * len(tallies)):
        source = takes.source(index)
        tally = tallies[source.names[0]]
        if len(tally.rows) >= clips_per_class:
            continue
        waveform = takes.render(index)
        verdict = None if judge is None else judge(waveform, source.names[0])
        if verdict is None or verdict.agrees:
            tally.rows.append(write_clip(index, source, waveform, folder, ontology))
        else:
            tally.rejected.append(verdict)
    rows = sorted((row for tally in tallies.values() for row in tally.rows), key=clip_id)
    write_manifest(folder / "clips.csv", rows, (*COLUMNS, *ORIGIN_COLUMNS))
    return tallies


def clip_id(row: dict[str, str]) -> str:
    """What rows are sorted by."""
    return row["clip_id"]


def write_clip(
    index: int, source: Source, waveform: NDArray[np.float32], folder: Path, ontology: Ontology
) -> dict[str, str]:
    """Writes a clip into ``folder/clips`` and returns its manifest row."""
    path = Path("clips") / f"{index:05d}_{source.key}.flac"
    soundfile.write(folder / path, waveform, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    seconds = len(waveform) / SAMPLE_RATE
    row = manifest_row(path, source.names, seconds, source.licence, ontology)
    return row | {"attribution": source.attribution, "group": source.group}


def summary(tallies: dict[str, Tally]) -> list[str]:
    """One line for each class: clips and minutes kept, what the rejected ones were heard as."""
    lines = []
    for name, tally in tallies.items():
        line = f"{name}: {len(tally.rows)} clips, {tally.minutes:.1f} minutes"
        if tally.rejected:
            heard = ", ".join(sorted({verdict.heard for verdict in tally.rejected}))
            line += f"; {len(tally.rejected)} rejected, heard as {heard}"
        lines.append(line)
    return lines
