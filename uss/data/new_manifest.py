"""Manifests that are made: rows whose files have a sound, and a report of all the others."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from uss.audio.probing import problem_of
from uss.core.errors import InputError
from uss.core.files import written_whole

MIN_SECONDS = 0.3
"""Mining skips what is shorter."""

Track: TypeAlias = Callable[[Sequence[Any]], Iterable[Any]]
"""Goes through a sequence and shows how far it is; ``list`` shows nothing."""

_FILES_PER_TASK = 128


class ManifestRow(NamedTuple):
    """A row as ``read_manifest`` reads it.

    Attributes:
        clip_id: unique.
        path: relative to the audio root.
        mids: separated by ``;``.
        split: ``train``, ``validation``, ...
        others: of the columns that not every manifest has, as many as its header names.
    """

    clip_id: str
    path: str
    mids: str
    split: str
    others: tuple[str, ...] = ()


class Problem(NamedTuple):
    """What gets no row, and why.

    Attributes:
        clip_id: of the clip.
        path: of its file; empty if there is none.
        problem: one word: ``missing``, ``unreadable``, ``short``, ``silent``, ``unlabelled``.
        detail: in words.
    """

    clip_id: str
    path: str
    problem: str
    detail: str = ""


@dataclass(frozen=True)
class NewManifest:
    """A manifest before it is written.

    Attributes:
        rows: of clips that can be mined.
        problems: all other clips.
        columns: names of the rows' ``others``.
        notes: what else people should know, one line each.
    """

    rows: Sequence[ManifestRow]
    problems: Sequence[Problem] = ()
    columns: Sequence[str] = ()
    notes: Sequence[str] = ()

    def counts(self) -> Mapping[str, int]:
        """How many clips have each problem, the most frequent first."""
        return dict(Counter(each.problem for each in self.problems).most_common())


@dataclass(frozen=True)
class Probing:
    """How files are looked at.

    Attributes:
        is_wanted: whether at all; without, only missing files are found.
        workers: threads that read.
        track: shows how far it is.
    """

    is_wanted: bool = True
    workers: int = 8
    track: Track = field(default=list)


def probed(
    rows: Sequence[ManifestRow], root: Path, probing: Probing
) -> tuple[list[ManifestRow], list[Problem]]:
    """Tell rows whose file has a sound from those whose file has none; see ``problem_of``."""
    if not probing.is_wanted:
        return list(rows), []
    good: list[ManifestRow] = []
    bad: list[Problem] = []
    tasks = range(0, len(rows), _FILES_PER_TASK)
    look = partial(_look_at, rows, root)
    with ThreadPoolExecutor(probing.workers) as pool:
        try:
            found = zip(probing.track(tasks), pool.map(look, tasks), strict=True)
            for first, problems in found:
                for row, problem in zip(rows[first:], problems, strict=False):
                    if problem is None:
                        good.append(row)
                    else:
                        bad.append(Problem(row.clip_id, row.path, *problem))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return good, bad


def check_rows(manifest: NewManifest) -> None:
    """Refuse a manifest without any row.

    Raises:
        InputError: saying why there is none.
    """
    if not manifest.rows:
        first = manifest.problems[0] if manifest.problems else None
        why = f"; the first, {first.clip_id!r}: {first.problem} {first.detail}" if first else ""
        raise InputError(f"no clip can be mined{why}; correct the folder or the lists")


def write_manifest(path: Path, report: Path, manifest: NewManifest) -> None:
    """Write manifest and report; each appears when it is complete, the manifest last.

    Raises:
        InputError: if it has no row.
    """
    check_rows(manifest)
    _write_csv(report, Problem._fields, manifest.problems)
    header = [*ManifestRow._fields[:-1], *manifest.columns]
    _write_csv(path, header, ((*row[:-1], *row.others) for row in manifest.rows))


def _look_at(rows: Sequence[ManifestRow], root: Path, first: int) -> list[tuple[str, str] | None]:
    return [_problem(row, root) for row in rows[first : first + _FILES_PER_TASK]]


def _problem(row: ManifestRow, root: Path) -> tuple[str, str] | None:
    try:
        row.path.encode()
    except UnicodeEncodeError:
        return "unreadable", "its name is no UTF-8, and a manifest is; rename it"
    return problem_of(root / row.path, MIN_SECONDS)


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Iterable[str]]) -> None:
    with (
        written_whole(path) as part,
        # The report names files whose names are no UTF-8.
        part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
