"""Label files as what people mark: which seconds of a recording hold what they want."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from uss.core.errors import InputError
from uss.core.spans import UNNAMED, Span
from uss.interchange.cells import plain
from uss.interchange.labels import of_recording, read_table
from uss.interchange.sheets import LabelTable


@dataclass(frozen=True)
class MarkedFile:
    """What a label file marks.

    Attributes:
        path: the file, for messages.
        table: what it says.
    """

    path: str
    table: LabelTable

    @property
    def names(self) -> tuple[str, ...]:
        """What the stems are called."""
        return tuple(dict.fromkeys(_named(each.name) for each in self.table.labels))

    def of_recording(self, recording: str) -> MarkedFile:
        """Take the labels of one recording; see ``uss.interchange.labels.of_recording``."""
        return replace(self, table=of_recording(self.path, self.table, recording))

    def spans(
        self, film_offset_seconds: float = 0.0, duration_seconds: float | None = None
    ) -> list[Span]:
        """Give what is marked, in the time of a recording.

        Args:
            film_offset_seconds: when the recording begins in its film.
            duration_seconds: of the recording; None where only its labels are to be looked at.

        Raises:
            ValueError: if it is of another recording's length, or marks what cannot be heard.
        """
        table = self.table.on_track(film_offset_seconds)
        if duration_seconds is not None:
            table.check_fits(self.path, duration_seconds)
        try:
            return [
                Span(each.start_seconds, each.end_seconds, _named(each.name))
                for each in table.labels
            ]
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from error


def read_marks(path: Path) -> MarkedFile:
    """Read what a label file marks.

    Args:
        path: in any of the formats of ``LABEL_FORMATS``.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is in none of the formats, marks nothing, or what cannot be heard.
    """
    marks = MarkedFile(str(path), read_table(path))
    if not marks.table.labels:
        raise InputError(f"{path} holds no labels; mark what is wanted, and save them again")
    marks.spans()
    return marks


def spans_of(
    marked: Sequence[Span | MarkedFile],
    film_offset_seconds: float,
    duration_seconds: float,
    *,
    is_whole: bool = True,
) -> list[Span]:
    """Bring all that is marked into the time of a recording.

    Args:
        marked: by hand, or in label files.
        film_offset_seconds: when the recording begins in its film.
        duration_seconds: of the recording.
        is_whole: whether that was measured, so that the length that a label file notes must be it.

    Raises:
        ValueError: if something is marked where the recording has ended, or a label file is of
            another recording's length.
    """
    spans: list[Span] = []
    for each in marked:
        if isinstance(each, Span):
            spans.append(each)
            continue
        noted = each.table.duration_seconds if is_whole else None
        table = replace(each.table, duration_seconds=noted)
        spans += replace(each, table=table).spans(film_offset_seconds, duration_seconds)
    return [each.within(duration_seconds) for each in spans]


def marked_names(marked: Sequence[Span | MarkedFile]) -> list[str]:
    """What the stems of marked seconds are called."""
    names = [[each.name] if isinstance(each, Span) else each.names for each in marked]
    return list(dict.fromkeys(name for several in names for name in several))


def _named(name: str) -> str:
    return plain(name) if name.strip() else UNNAMED
