"""AudioSet's own lists of segments: which videos, from when to when, with which labels."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from uss.core.errors import InputError
from uss.data.text_tables import read_table

COLUMNS = ["ytid", "start_seconds", "end_seconds", "positive_labels"]
_ROW = re.compile(r"[^,]+,\s*\d+(\.\d*)?,\s*\d+(\.\d*)?,\s*\"?/")
_STRONG_COLUMNS = ["segment_id", "start_time_seconds", "end_time_seconds", "label"]
_CLIP_SECONDS = 10.0


def is_segment_list(path: Path) -> bool:
    """Whether comments come first and then, if anything, a row as AudioSet writes it."""
    with path.open(encoding="utf-8", errors="replace") as file:
        if not file.readline().startswith("#"):
            return False
        row = next((line for line in file if not line.startswith("#")), None)
    return row is None or _ROW.match(row) is not None


def read_segment_list(path: Path) -> pd.DataFrame:
    """Read ``balanced_train_segments.csv`` and its like.

    Returns:
        The columns ``ytid``, ``start_seconds``, ``end_seconds`` and ``positive_labels`` (mids,
        separated by commas).

    Raises:
        InputError: if it is no table, or a start is no number.
    """
    table = read_table(path, comment="#", header=None, names=COLUMNS, skipinitialspace=True)
    return _with_seconds(path, table)


def is_strong_list(path: Path) -> bool:
    """Whether the header is that of AudioSet's strong labels."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline().rstrip("\r\n").split("\t") == _STRONG_COLUMNS


def read_strong_list(path: Path) -> pd.DataFrame:
    """Read ``audioset_train_strong.tsv`` and its like as weak labels; see ``read_segment_list``.

    A segment's id is the video's with the start in milliseconds. Which sounds occur in the segment
    counts, not when.
    """
    table = read_table(path, sep="\t")
    events = table.drop_duplicates(["segment_id", "label"])
    labels = events.groupby("segment_id", sort=False)["label"].agg(",".join)
    parts = labels.index.str.rpartition("_")
    starts = pd.to_numeric(pd.Series(parts.get_level_values(2)), errors="coerce") / 1000.0
    return _with_seconds(
        path,
        pd.DataFrame(
            {
                "ytid": parts.get_level_values(0),
                "start_seconds": starts,
                "end_seconds": starts + _CLIP_SECONDS,
                "positive_labels": labels.to_numpy(),
            }
        ),
    )


def clip_ids(path: Path, ytids: pd.Series[str], starts: pd.Series[float]) -> pd.Series[str]:
    """Name the clips: by the video, and where there are several of one, also by the start.

    Raises:
        InputError: if two rows are of the same clip.
    """
    appended = "_" + (starts * 1000.0).round().astype("int64").astype(str)
    ids = ytids.where(~ytids.duplicated(keep=False), ytids + appended)
    if ids.duplicated().any():
        twice = ids[ids.duplicated()].iloc[0]
        raise InputError(f"{path}: clip_id {twice!r} occurs twice; ids must be unique")
    return ids


def _with_seconds(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    starts = pd.to_numeric(table["start_seconds"], errors="coerce")
    valid = starts.between(0.0, 1e9)
    if not valid.all():
        ytid = table["ytid"][~valid].iloc[0]
        raise InputError(f"{path}: the start of {ytid!r} is no number of seconds; correct the row")
    ends = pd.to_numeric(table["end_seconds"], errors="coerce")
    labels = table["positive_labels"].str.replace(r"\s+", "", regex=True)
    return table.assign(start_seconds=starts, end_seconds=ends, positive_labels=labels)
