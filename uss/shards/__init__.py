"""Shards: anchors in HDF5 files, the only place that knows their layout."""

from uss.shards.class_lists import ClassLists, rows_of_classes
from uss.shards.index import INDEX_FILE, ShardEntry, ShardIndex, load_index
from uss.shards.indexing import kept_rows, update_index
from uss.shards.layout import (
    SCHEMA_VERSION,
    Anchor,
    ShardSettings,
    SkippedClip,
    list_shards,
    rows_of_shard,
    shard_path,
)
from uss.shards.reader import ShardReader, set_settings
from uss.shards.rows import Rows, sample
from uss.shards.selection import Selection
from uss.shards.shard_files import ShardFiles, is_url
from uss.shards.sidecars import has_sidecar, write_sidecar
from uss.shards.stored_shard import StoredShard, read_settings, read_skipped
from uss.shards.verifying import Verified, verify
from uss.shards.writer import ShardWriter, write_shard

__all__ = [
    "INDEX_FILE",
    "SCHEMA_VERSION",
    "Anchor",
    "ClassLists",
    "Rows",
    "Selection",
    "ShardEntry",
    "ShardFiles",
    "ShardIndex",
    "ShardReader",
    "ShardSettings",
    "ShardWriter",
    "SkippedClip",
    "StoredShard",
    "Verified",
    "has_sidecar",
    "is_url",
    "kept_rows",
    "list_shards",
    "load_index",
    "read_settings",
    "read_skipped",
    "rows_of_classes",
    "rows_of_shard",
    "sample",
    "set_settings",
    "shard_path",
    "update_index",
    "verify",
    "write_shard",
    "write_sidecar",
]
