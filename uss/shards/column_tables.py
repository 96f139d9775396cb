"""Columns of a set as rows to read."""

from __future__ import annotations

from uss.core.arrays import Indexes
from uss.shards.index import ShardIndex
from uss.shards.layout import CONDITIONS, sidecar_name
from uss.shards.rows import StoredRows
from uss.shards.shard_files import ShardFiles
from uss.taggers import NUM_CLASSES, PROBABILITY_SPACE


def column_of(space: str) -> str:
    """Name the column of the conditions in a space."""
    return "tag_probabilities" if space == PROBABILITY_SPACE else CONDITIONS + space


def space_rows(files: ShardFiles, index: ShardIndex, space: str, rows: Indexes) -> StoredRows:
    """Open the conditions of a space; of tags those of AudioSet's classes alone.

    Args:
        files: of the set.
        index: of the set.
        space: one of the index's, or that of the tags.
        rows: see ``column_rows``.
    """
    return column_rows(
        files,
        index,
        column_of(space),
        rows,
        first_values=NUM_CLASSES if space == PROBABILITY_SPACE else None,
    )


def column_rows(
    files: ShardFiles,
    index: ShardIndex,
    column: str,
    rows: Indexes,
    *,
    first_values: int | None = None,
) -> StoredRows:
    """Open one stored column.

    Args:
        files: of the set.
        index: of the set.
        column: ``waveform``, ``tag_probabilities`` or ``conditions/<space>``.
        rows: (N,) ascending, the rows of the table that are wanted.
        first_values: leave out what comes after them in each row; None for whole rows.
    """
    space = column.removeprefix(CONDITIONS)
    in_sidecar = column.startswith(CONDITIONS) and space in index.sidecar_spaces
    if column == "waveform":
        dtype, size = "<i2", index.settings.segment_samples
    elif column == "tag_probabilities":
        dtype, size = "<f2", index.settings.num_classes
    else:
        dtype, size = "<f2", index.spaces[space]
    return StoredRows(
        files,
        CONDITIONS.rstrip("/") if in_sidecar else column,
        dtype,
        min(size, first_values or size),
        rows=rows,
        offsets=index.offsets[column],
        names=[
            sidecar_name(entry.name, space) if in_sidecar else entry.name for entry in index.entries
        ],
        ends=index.ends,
    )
