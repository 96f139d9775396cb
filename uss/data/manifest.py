"""Manifests: which clips a data set is made of, with their weak labels."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

REQUIRED_COLUMNS = ("clip_id", "path", "mids")
_NOT_A_TABLE = (
    pd.errors.ParserError,
    pd.errors.ParserWarning,
    pd.errors.EmptyDataError,
    UnicodeDecodeError,
)


@dataclass(frozen=True)
class Clip:
    """One row of a manifest.

    Attributes:
        clip_id: unique within the manifest.
        path: relative to the audio root.
        mids: AudioSet ids of the classes that sound somewhere in the clip; may be empty.
        caption: free text, empty where the manifest has none.
    """

    clip_id: str
    path: str
    mids: tuple[str, ...]
    caption: str = ""


def read_manifest(
    path: str | Path, split: str | None = None, *, labelled: bool = True
) -> list[Clip]:
    """Read a manifest CSV: ``clip_id,path,mids`` (mids separated by ``;``) and optional columns.

    Args:
        path: the CSV file.
        split: keep only rows whose ``split`` column says so.
        labelled: without it the column ``mids`` may be absent; no clip has labels then.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if columns are missing, a clip id is empty or occurs twice, or the split is
            asked for and has no rows.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such manifest; name a CSV file with the columns "
            f"{','.join(REQUIRED_COLUMNS)}"
        )
    try:
        with warnings.catch_warnings():
            # Rows longer than the header would lose fields.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except _NOT_A_TABLE as error:
        raise ValueError(f"{path} is not a CSV file: {' '.join(str(error).split())}") from error
    if not labelled and "mids" not in table.columns:
        table["mids"] = ""
    missing = [column for column in REQUIRED_COLUMNS if column not in table.columns]
    if missing:
        raise ValueError(
            f"{path} lacks the column {', '.join(missing)}; a manifest has "
            f"{','.join(REQUIRED_COLUMNS)}"
        )
    if split is not None:
        table = _rows_of_split(path, table, split)
    ids = table["clip_id"]
    if (ids == "").any():
        row = ids.index.tolist()[ids.tolist().index("")] + 2
        raise ValueError(f"{path}, row {row}: the clip_id is empty; give every clip an id")
    if ids.duplicated().any():
        raise ValueError(
            f"{path}: clip_id {ids[ids.duplicated()].iloc[0]!r} occurs twice; ids must be unique"
        )
    captions = table["caption"] if "caption" in table.columns else [""] * len(table)
    return [
        Clip(clip_id, clip_path, tuple(mid for mid in mids.split(";") if mid), caption)
        for clip_id, clip_path, mids, caption in zip(
            ids, table["path"], table["mids"], captions, strict=True
        )
    ]


def _rows_of_split(path: Path, table: pd.DataFrame, split: str) -> pd.DataFrame:
    if "split" not in table.columns:
        raise ValueError(f"{path} has no column split; leave out the choice of a split")
    chosen = table[table["split"] == split]
    if chosen.empty:
        known = ", ".join(sorted(set(table["split"])))
        raise ValueError(f"{path} has no rows of split {split!r}; it has {known}")
    return chosen
