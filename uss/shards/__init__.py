"""Shards: anchors in HDF5 files, the only place that knows their layout."""

from uss.shards.layout import (
    SCHEMA_VERSION,
    Anchor,
    ShardSettings,
    SkippedClip,
    list_shards,
    shard_path,
)
from uss.shards.reader import ShardReader, StoredShard, read_settings, read_skipped
from uss.shards.writer import ShardWriter, write_shard

__all__ = [
    "SCHEMA_VERSION",
    "Anchor",
    "ShardReader",
    "ShardSettings",
    "ShardWriter",
    "SkippedClip",
    "StoredShard",
    "list_shards",
    "read_settings",
    "read_skipped",
    "shard_path",
    "write_shard",
]
