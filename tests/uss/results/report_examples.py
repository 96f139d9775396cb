"""Results of known content, and what a report says of them."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

from ontology import Ontology
from uss.interchange.hand_over import Event
from uss.results.result import RunSettings, SeparationResult, StemResult

RATE = 8_000
SECONDS = 4.0
AWKWARD = "50% \"a\" & 'b' #1, Tür <i>"


class Page(HTMLParser):
    """What a test asks of a page: its text, its elements and where they lead."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append(data.strip())

    def all(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and wanted.items() <= attributes.items()
        ]

    @property
    def links(self) -> list[str]:
        values = [found.get(key) for _, found in self.elements for key in ("src", "href")]
        return [value for value in values if value is not None]


def make_stem(ontology: Ontology, name: str, level: int | None, file: str | None) -> StemResult:
    return StemResult(
        mid=ontology.find(name).mid,
        name=name,
        level=level,
        probability=0.9,
        probabilities=(0.9, 0.1, 0.4),
        active_intervals=((0.0, 2.0), (2.0, 4.0)),
        loudness_dbfs=-20.04,
        file=file,
        events=(Event(0.0, 1.5, 0.9), Event(2.25, 4.0, 0.4)),
    )


def make_result(*stems: StemResult) -> SeparationResult:
    """A result whose folders are those of its stems, each with a residual."""
    folders = dict.fromkeys(stem.file.split("/")[0] for stem in stems if stem.file)
    return SeparationResult(
        input="a.wav",
        sample_rate=RATE,
        num_channels=2,
        duration_seconds=SECONDS,
        segment_seconds=2.0,
        segment_starts=(0.0, 1.5, 2.0),
        settings=RunSettings(model="default"),
        stems=stems,
        residuals={folder: f"{folder}/residual.wav" for folder in folders},
        residual_loudness_dbfs={folder: None for folder in folders},
    )


def detected(stem: StemResult) -> StemResult:
    return replace(stem, file=None, loudness_dbfs=None)
