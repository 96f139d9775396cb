"""Manifests: which clips a data set is made of, with their weak labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from sys import intern

import pandas as pd

from uss.core.errors import InputError
from uss.data.audioset_lists import clip_ids, is_segment_list, read_segment_list
from uss.data.text_tables import read_table

REQUIRED_COLUMNS = ("clip_id", "path", "mids")


@dataclass(frozen=True, slots=True)
class Clip:
    """One row of a manifest.

    Attributes:
        clip_id: unique within the manifest.
        path: relative to the audio root.
        mids: AudioSet ids of the classes that sound somewhere in the clip; may be empty.
        caption: free text, empty where the manifest has none.
        group: of clips that were recorded together; empty where the manifest has none.
    """

    clip_id: str
    path: str
    mids: tuple[str, ...]
    caption: str = ""
    # Not in the text that shards record a hash of: it changes no anchor.
    group: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class AudioSetClip(Clip):
    """One row of AudioSet's own CSV files, which name videos, not files.

    Its ``path`` is empty until ``uss.data.locating.locate`` has found its file.

    Attributes:
        ytid: id of the video.
        start_seconds: where the clip starts in the video.
    """

    ytid: str = ""
    start_seconds: float = 0.0


def read_manifest(
    path: str | Path, split: str | None = None, *, labelled: bool = True
) -> list[Clip]:
    """Read a manifest CSV: ``clip_id,path,mids`` (mids separated by ``;``) and optional columns.

    AudioSet's own files (``balanced_train_segments.csv`` and its like: comments, then rows
    ``YTID, start_seconds, end_seconds, "mid,mid"``) are recognised by their content and give
    ``AudioSetClip``. A clip's id is the video's, with ``_`` and the start in milliseconds
    appended where the file has several clips of the video.

    Args:
        path: the CSV file.
        split: keep only rows whose ``split`` column says so.
        labelled: without it the column ``mids`` may be absent; no clip has labels then.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if columns are missing, a clip id is empty or occurs twice, a start is no
            number, or the split is asked for and has no rows.
    """
    path = Path(path)
    required = REQUIRED_COLUMNS if labelled else REQUIRED_COLUMNS[:2]
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such manifest; name a CSV file with the columns {','.join(required)}"
        )
    if is_segment_list(path):
        if split is not None:
            raise InputError(f"{path} is one of AudioSet's splits; leave out the choice of a split")
        return _read_audioset(path)
    table = read_table(path)
    if not labelled and "mids" not in table.columns:
        table["mids"] = ""
    missing = [column for column in required if column not in table.columns]
    if missing:
        raise InputError(
            f"{path} lacks the column {', '.join(missing)}; a manifest has {','.join(required)} in "
            "its first line, with commas between"
        )
    if split is not None:
        table = _rows_of_split(path, table, split)
    return _clips_of(path, table)


def _clips_of(path: Path, table: pd.DataFrame) -> list[Clip]:
    ids = table["clip_id"]
    if (ids == "").any():
        row = ids.index.tolist()[ids.tolist().index("")] + 2
        raise InputError(f"{path}, row {row}: the clip_id is empty; give every clip an id")
    _check_unique(path, ids)
    paths = table["path"].tolist()
    for row, clip_path in enumerate(paths):
        if "\0" in clip_path:
            raise InputError(f"{path}, row {row + 2}: the path holds a null byte; correct it")
    captions, groups = (
        table[name].tolist() if name in table.columns else repeat("", len(table))
        for name in ("caption", "group")
    )
    return [
        Clip(clip_id, clip_path, _mids(mids, ";"), caption, group)
        for clip_id, clip_path, mids, caption, group in zip(
            ids.tolist(), paths, table["mids"].tolist(), captions, groups, strict=True
        )
    ]


def _mids(joined: str, separator: str) -> tuple[str, ...]:
    """Take apart what a row says; millions of rows share the few hundred ids there are."""
    return tuple(intern(mid) for mid in joined.split(separator) if mid)


def _check_unique(path: Path, ids: pd.Series[str]) -> None:
    if ids.duplicated().any():
        raise InputError(
            f"{path}: clip_id {ids[ids.duplicated()].iloc[0]!r} occurs twice; ids must be unique"
        )


def _read_audioset(path: Path) -> list[Clip]:
    table = read_segment_list(path)
    ids = clip_ids(path, table["ytid"], table["start_seconds"])
    return [
        AudioSetClip(clip_id, "", _mids(mids, ","), ytid=ytid, start_seconds=start)
        for clip_id, mids, ytid, start in zip(
            ids.tolist(),
            table["positive_labels"].tolist(),
            table["ytid"].tolist(),
            table["start_seconds"].tolist(),
            strict=True,
        )
    ]


def _rows_of_split(path: Path, table: pd.DataFrame, split: str) -> pd.DataFrame:
    if "split" not in table.columns:
        raise InputError(f"{path} has no column split; leave out the choice of a split")
    chosen = table[table["split"] == split]
    if chosen.empty:
        known = ", ".join(sorted(set(table["split"])))
        raise InputError(f"{path} has no rows of split {split!r}; it has {known}")
    return chosen
