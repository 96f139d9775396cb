"""Where a manifest's rows lie in a set of shards, and whether they may."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uss.core.errors import InputError
from uss.data.manifest import Clip
from uss.shards import (
    INDEX_FILE,
    ShardFiles,
    ShardSettings,
    list_shards,
    load_index,
    read_settings,
    rows_of_shard,
)


def first_row_of(folder: Path, manifest_hash: str, clips: Sequence[Clip], *, append: bool) -> int:
    """Say which row of the set is the first of a manifest.

    A manifest that the set knows keeps its place, whether it is to be appended or not; the first
    one begins at 0, and one that is appended after the last row of the whole set.

    Args:
        folder: of the shards.
        manifest_hash: identifies the manifest.
        clips: its rows.
        append: the set may be of other manifests.

    Raises:
        ValueError: if the set is not complete, or holds one of the clips already.
    """
    paths = list_shards(folder)
    for path in paths:
        mining = read_settings(path).mining
        if mining.get("manifest_hash") == manifest_hash:
            return int(mining.get("first_row", 0))
    if not append or not paths:
        return 0
    files = ShardFiles(folder)
    if INDEX_FILE not in files.states():
        raise InputError(
            f"{folder} has no {INDEX_FILE}, which tells that it is complete; mine its manifest to "
            f"the end, or check it with uss-mine-anchors --verify {folder}, before appending"
        )
    index = load_index(files)
    if [entry.name for entry in index.entries] != [path.name for path in paths]:
        raise InputError(
            f"{folder} holds other shards than its {INDEX_FILE} lists; mine its manifest to the "
            f"end, or check it with uss-mine-anchors --verify {folder}, before appending"
        )
    of_set = set(index.clips)
    twice = [clip.clip_id for clip in clips if clip.clip_id in of_set]
    if twice:
        raise InputError(
            f"{len(twice)} clips are in {folder} already, the first is {twice[0]!r}; leave them "
            "out of the manifest that is appended"
        )
    return max(rows_of_shard(path.name)[1] for path in paths)


def check_existing(
    folder: Path, expected: Sequence[Path], settings: ShardSettings, *, append: bool
) -> None:
    """Refuse to mix this run's shards with those of another.

    Args:
        folder: of the shards.
        expected: the shards of this run.
        settings: of this run.
        append: shards of other manifests may lie there, if all else is equal.

    Raises:
        ValueError: naming the first shard that is not as it should be, and the remedy.
    """
    wanted = set(expected)
    found = {path: read_settings(path) for path in list_shards(folder)}
    manifest = settings.mining.get("manifest_hash")
    is_known = any(other.mining.get("manifest_hash") == manifest for other in found.values())
    for path, other in found.items():
        if path in wanted:
            fits = other == settings
        else:
            of_other = other.mining.get("manifest_hash") != manifest
            fits = of_other and other.fits(settings) and (append or is_known)
        if not fits:
            more = "" if append else ", or --append this manifest to them"
            raise InputError(
                f"{path} comes from another manifest, tagger or other settings; choose an empty "
                f"output folder or delete the old shards{more}"
            )
