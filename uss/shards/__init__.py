"""Shards: anchors in HDF5 files, the only place that knows their layout."""

from uss.shards.class_lists import ClassLists, rows_of_classes
from uss.shards.layout import (
    SCHEMA_VERSION,
    Anchor,
    ShardSettings,
    SkippedClip,
    list_shards,
    shard_path,
)
from uss.shards.reader import ShardReader, StoredShard, read_settings, read_skipped
from uss.shards.rows import Rows, sample
from uss.shards.selection import Selection
from uss.shards.writer import ShardWriter, write_shard

__all__ = [
    "SCHEMA_VERSION",
    "Anchor",
    "ClassLists",
    "Rows",
    "Selection",
    "ShardReader",
    "ShardSettings",
    "ShardWriter",
    "SkippedClip",
    "StoredShard",
    "list_shards",
    "read_settings",
    "read_skipped",
    "rows_of_classes",
    "sample",
    "shard_path",
    "write_shard",
]
