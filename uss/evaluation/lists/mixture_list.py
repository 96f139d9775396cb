"""Evaluation lists: CSV files that say which mixtures are made of what, and what is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

from uss.core.errors import InputError
from uss.evaluation.csv_tables import parse_number, read_table, write_table
from uss.evaluation.excerpts import MAX_GAIN_DB, MAX_RATE, MAX_SECONDS, Fill

_SEPARATOR = ";"
_COLUMN_OF_FIELD = {"class_name": "class"}


@dataclass(frozen=True, kw_only=True)
class ListRow:
    """One mixture, and the target in it; a row of the CSV, where lists are joined by ``;``.

    A path is relative to the folder the list's audio starts from. ``film.mp4#2`` names the second
    audio track of a film. Several files are summed.

    Attributes:
        target: files of what is to be separated.
        mixture: file it is to be separated from; empty where the mixture is the sum of target and
            interferer.
        interferer: files of the rest; may be empty where there is a mixture.
        query: files that sound like the target, for conditions by example.
        class_name: (column ``class``) what the data set calls the target's class; scores are also
            averaged by it.
        mids: AudioSet ids of that class; where empty, the class is looked up by its name.
        interferer_class, interferer_mids: the same of the interferer.
        caption: what the target sounds like, in words.
        interferer_caption: the same of the interferer.
        group: scores are also averaged by it, such as a song or a noise.
        target_start_seconds, interferer_start_seconds: where the excerpts start in their files; a
            mixture's starts with its target's.
        seconds: how long the excerpts are; None for the whole files.
        fill: what stands in for samples that an excerpt lacks: zeros, or the excerpt again.
        target_gain_db, interferer_gain_db: applied before they are summed.
        sample_rate: to which all files are brought, as the mean of their channels; None keeps
            rate and channels.
        seed: of the generator that drew the row, for the record.
    """

    target: tuple[str, ...]
    mixture: str = ""
    interferer: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    class_name: str = ""
    mids: tuple[str, ...] = ()
    interferer_class: str = ""
    interferer_mids: tuple[str, ...] = ()
    caption: str = ""
    interferer_caption: str = ""
    group: str = ""
    target_start_seconds: float = 0.0
    interferer_start_seconds: float = 0.0
    seconds: float | None = None
    fill: Fill = "zeros"
    target_gain_db: float = 0.0
    interferer_gain_db: float = 0.0
    sample_rate: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if not self.target:
            raise InputError("it names no target; give the file of the source that is wanted")
        if not self.mixture and not self.interferer:
            raise InputError("it names neither mixture nor interferer; give one of the files")
        if self.mixture and (self.target_gain_db or self.interferer_gain_db):
            raise InputError("gains apply to sources that are mixed; leave out gains or mixture")
        for name in (*self.target, *self.interferer, *self.query):
            if _SEPARATOR in name:
                raise InputError(f"{name!r} holds {_SEPARATOR!r}, which separates files; rename it")
        if self.fill not in get_args(Fill):
            raise InputError(f"fill is {self.fill!r}; choose {' or '.join(get_args(Fill))}")
        if self.seconds is not None and not 0.0 < self.seconds <= MAX_SECONDS:
            raise InputError(
                f"seconds is {self.seconds:g}; give more than 0, up to a day, or nothing"
            )
        if max(abs(self.target_gain_db), abs(self.interferer_gain_db)) > MAX_GAIN_DB:
            raise InputError(f"a gain is beyond {MAX_GAIN_DB:g} dB; correct it")
        if self.target_start_seconds < 0.0 or self.interferer_start_seconds < 0.0:
            raise InputError("an excerpt starts before its file; give starts of 0 s or more")
        if self.sample_rate is not None and not 1 <= self.sample_rate <= MAX_RATE:
            raise InputError(f"sample_rate is {self.sample_rate}; give Hz, such as 32000")

    @property
    def files(self) -> tuple[str, ...]:
        """All files it is made of, without the queries."""
        return (*filter(None, [self.mixture]), *self.target, *self.interferer)


COLUMNS = tuple(_COLUMN_OF_FIELD.get(field.name, field.name) for field in fields(ListRow))
"""The columns of a list; all but ``target`` may be absent."""


def read_list(path: str | Path) -> list[ListRow]:
    """Read an evaluation list; columns it does not know are ignored.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no CSV file, lacks a column or rows, or a row makes no sense; the
            message names the row, of which the header is the first.
    """
    path = Path(path)
    rows = []
    for number, record in read_table(path, "target"):
        try:
            rows.append(_row_of(record))
        except InputError as error:
            raise InputError(f"{path}, row {number}: {error}") from None
    if not rows:
        raise InputError(f"{path} has no rows; there is nothing to evaluate")
    return rows


def write_list(path: str | Path, rows: Sequence[ListRow]) -> None:
    """Write an evaluation list, with the columns that any row uses; complete or not at all."""
    records = [_record_of(row) for row in rows]
    used = [name for name in COLUMNS if any(record[name] for record in records)]
    write_table(path, used, ([record[name] for name in used] for record in records))


def _row_of(record: Mapping[str, str]) -> ListRow:
    values: dict[str, Any] = {}
    for field in fields(ListRow):
        column = _COLUMN_OF_FIELD.get(field.name, field.name)
        text = (record.get(column) or "").strip()
        if text:
            values[field.name] = _parse(column, text, str(field.type))
    values.setdefault("target", ())
    return ListRow(**values)


def _parse(column: str, text: str, kind: str) -> Any:
    if kind.startswith("tuple"):
        return tuple(part.strip() for part in text.split(_SEPARATOR) if part.strip())
    if kind.startswith(("float", "int")):
        return parse_number(column, text, whole=kind.startswith("int"))
    return text


def _record_of(row: ListRow) -> dict[str, str]:
    record = {}
    for field in fields(ListRow):
        value = getattr(row, field.name)
        is_default = value == field.default and value != ()
        column = _COLUMN_OF_FIELD.get(field.name, field.name)
        if value is None or is_default:
            record[column] = ""
        else:
            record[column] = _SEPARATOR.join(value) if isinstance(value, tuple) else str(value)
    return record
