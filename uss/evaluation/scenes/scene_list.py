"""Scene lists: CSV files that hold all that is needed to render scenes again.

A row is an event or the background of a scene.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from uss.core.errors import InputError
from uss.evaluation.csv_tables import parse_number, read_table, write_table
from uss.evaluation.excerpts import find_audio
from uss.evaluation.scenes.scene import Background, Scene, SceneEvent

COLUMNS = (
    "scene",
    "kind",
    "path",
    "mids",
    "onset_seconds",
    "start_seconds",
    "seconds",
    "gain_db",
    "exponent",
    "seed",
    "scene_seconds",
    "sample_rate",
)
"""Of a scene list; all are needed."""

_DRAWING_SEED = "drawing_seed"
_KINDS = ("event", "background")


def is_scene_list(path: str | Path) -> bool:
    """Whether a file's first line is the header of a scene list; False if it cannot be read."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader([file.readline(4096)]), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return False
    return {"scene", "kind"} <= set(header)


def read_scenes(path: str | Path) -> list[Scene]:
    """Read a scene list; columns it does not know are ignored.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no CSV file, lacks a column or rows, or a row makes no sense; the
            message names the row, of which the header is the first.
    """
    path = Path(path)
    rows_of_scene: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for number, record in read_table(path, *COLUMNS):
        rows_of_scene.setdefault(record["scene"], []).append((number, record))
    if not rows_of_scene:
        raise InputError(f"{path} has no rows; there is nothing to evaluate")
    return [_scene_of(path, name, rows) for name, rows in rows_of_scene.items()]


def read_scenes_with_audio(path: Path, root: Path, limit: int | None = None) -> list[Scene]:
    """Read a scene list, and see whether all its audio is there before the first is rendered.

    Args:
        path: the list.
        root: the folder its audio starts from.
        limit: how many scenes to read; None for all.

    Raises:
        FileNotFoundError: if list or audio are missing; of the audio, it names the scene.
        InputError: as ``read_scenes``.
    """
    scenes = read_scenes(path)[:limit]
    for scene in scenes:
        for event in scene.events:
            try:
                find_audio(event.path, root)
            except FileNotFoundError as error:
                raise FileNotFoundError(f"{path}, scene {scene.name}: {error}") from None
    return scenes


def write_scenes(path: str | Path, scenes: Sequence[Scene]) -> None:
    """Write a scene list, complete or not at all.

    Raises:
        InputError: if two scenes have one name.
    """
    names = [scene.name for scene in scenes]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"two scenes are called {twice!r}; give each its own name")
    columns = (*COLUMNS, _DRAWING_SEED)
    records = [record for scene in scenes for record in _records_of(scene)]
    write_table(path, columns, ([record.get(name) for name in columns] for record in records))


def _scene_of(path: Path, name: str, rows: Sequence[tuple[int, dict[str, str]]]) -> Scene:
    """Make a scene row by row, so that an error names the row that brings it."""
    scene: Scene | None = None
    for number, record in rows:
        try:
            _check_row(record, rows[0][1], scene)
            events = scene.events if scene else ()
            background = scene.background if scene else None
            if record["kind"] == "event":
                events = (*events, _event_of(record))
            else:
                background = _background_of(record)
            rate = int(_number(record, "sample_rate", whole=True))
            seconds = _number(record, "scene_seconds")
            seed = None
            if record.get(_DRAWING_SEED, "").strip():
                seed = int(_number(record, _DRAWING_SEED, whole=True))
            scene = Scene(name, events, background, seconds, rate, seed)
        except InputError as error:
            raise InputError(f"{path}, row {number}: {error}") from None
    assert scene is not None, "a scene has rows"
    return scene


def _check_row(record: Mapping[str, str], first: Mapping[str, str], scene: Scene | None) -> None:
    if record["kind"] not in _KINDS:
        raise InputError(f"kind is {record['kind']!r}; choose {' or '.join(_KINDS)}")
    if record["kind"] == "background" and scene is not None and scene.background is not None:
        raise InputError(f"the scene {record['scene']} has a second background; give it one")
    for column in ("scene_seconds", "sample_rate"):
        if record[column] != first[column]:
            raise InputError(
                f"{column} is {record[column]}, in the scene's first row {first[column]}; "
                "give all rows of a scene the same"
            )


def _event_of(record: Mapping[str, str]) -> SceneEvent:
    return SceneEvent(
        path=record["path"].strip(),
        mids=tuple(mid.strip() for mid in record["mids"].split(";") if mid.strip()),
        onset_seconds=_number(record, "onset_seconds"),
        start_seconds=_number(record, "start_seconds"),
        seconds=_number(record, "seconds"),
        gain_db=_number(record, "gain_db"),
    )


def _background_of(record: Mapping[str, str]) -> Background:
    return Background(
        level_dbfs=_number(record, "gain_db"),
        exponent=_number(record, "exponent"),
        seed=int(_number(record, "seed", whole=True)),
    )


def _number(record: Mapping[str, str], column: str, *, whole: bool = False) -> float:
    return parse_number(column, record[column].strip(), whole=whole)


def _records_of(scene: Scene) -> list[dict[str, object]]:
    shared = {
        "scene": scene.name,
        "scene_seconds": scene.seconds,
        "sample_rate": scene.sample_rate,
        _DRAWING_SEED: scene.drawing_seed,
    }
    records: list[dict[str, object]] = [
        {
            **shared,
            "kind": "event",
            "path": event.path,
            "mids": ";".join(event.mids),
            "onset_seconds": event.onset_seconds,
            "start_seconds": event.start_seconds,
            "seconds": event.seconds,
            "gain_db": event.gain_db,
        }
        for event in scene.events
    ]
    if scene.background is not None:
        noise = scene.background
        records.append(
            {
                **shared,
                "kind": "background",
                "gain_db": noise.level_dbfs,
                "exponent": noise.exponent,
                "seed": noise.seed,
            }
        )
    return records
