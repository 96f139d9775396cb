"""Side-cars: conditions of a further encoder, for the anchors of shards that are there already."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from uss.core.arrays import Float32, Indexes
from uss.core.errors import InputError
from uss.core.files import written_whole
from uss.shards.checksums import add_checksum
from uss.shards.index import ShardEntry, ShardIndex, StoredFile
from uss.shards.layout import (
    CONDITIONS,
    SCHEMA_VERSION,
    read_sidecar_name,
    sidecar_name,
)
from uss.shards.offsets import row_offsets
from uss.shards.shard_files import FileState, ShardFiles

logger = logging.getLogger(__name__)

_ROWS_PER_CHUNK = 64
_COLUMN = CONDITIONS.rstrip("/")


def write_sidecar(
    folder: Path, entry: ShardEntry, space: str, blocks: Iterable[Float32], encoder_hash: str
) -> None:
    """Write the conditions of a shard's anchors in one space; the file is complete or absent.

    Args:
        folder: of the shard.
        entry: the shard, with its checksum: a side-car of other anchors must not be taken for one
            of these.
        space: of the conditions.
        blocks: (n, H) each, all anchors in their order.
        encoder_hash: of the encoder's weights.
    """
    with written_whole(folder / sidecar_name(entry.name, space)) as part:
        with h5py.File(part, "w") as file:
            file.attrs["schema_version"] = SCHEMA_VERSION
            file.attrs["shard_checksum"] = entry.file.checksum
            file.attrs["encoder_hash"] = encoder_hash
            column = None
            for block in blocks:
                if column is None:
                    size = block.shape[1]
                    column = file.create_dataset(
                        _COLUMN,
                        (0, size),
                        np.float16,
                        maxshape=(None, size),
                        chunks=(_ROWS_PER_CHUNK, size),
                    )
                first = len(column)
                column.resize(first + len(block), axis=0)
                column[first:] = block
            found = 0 if column is None else len(column)
            if found != entry.num_anchors:
                raise InputError(
                    f"{entry.name} holds {entry.num_anchors} anchors, and {found} conditions of "
                    f"{space!r} came; check the shards with uss-mine-anchors --verify {folder}"
                )
        add_checksum(part)


def has_sidecar(folder: Path, entry: ShardEntry, space: str, encoder_hash: str) -> bool:
    """Whether a shard has conditions in a space, of its anchors and of that encoder."""
    if not (folder / sidecar_name(entry.name, space)).exists():
        return False
    about = _read(ShardFiles(folder), entry, space)
    return about is not None and about[0] == encoder_hash


def with_sidecars(
    files: ShardFiles, index: ShardIndex, states: Mapping[str, FileState]
) -> ShardIndex:
    """Add to an index the spaces of which every shard with anchors has a side-car that fits.

    Side-cars of a space that some shards lack are named in a warning, with the remedy.

    Raises:
        ValueError: if a side-car cannot be read, or those of one space are of two encoders.
    """
    found = [pair for pair in map(read_sidecar_name, states) if pair is not None]
    stated = files.stated_checksums(
        {name: states[name].size for name in (sidecar_name(*pair) for pair in found)}
    )
    entries = list(index.entries)
    offsets = dict(index.offsets)
    spaces = dict(index.sidecar_spaces)
    for space in sorted({space for _, space in found} - index.settings.spaces.keys()):
        read = {
            number: _read(files, entry, space)
            for number, entry in enumerate(entries)
            if (entry.name, space) in found
        }
        fitting = {number: about for number, about in read.items() if about is not None}
        lacking = [
            entry.name
            for number, entry in enumerate(entries)
            if entry.num_anchors and number not in fitting
        ]
        if lacking:
            logger.warning(
                "%s: %d of %d shards lack a fitting side-car of %r, the first is %s; "
                "uss-mine-anchors --add-encoder makes them",
                files, len(lacking), len(entries), space, lacking[0],
            )  # fmt: skip
            continue
        filled = [about for number, about in fitting.items() if entries[number].num_anchors]
        if not filled:
            continue
        hashes = {encoder_hash for encoder_hash, _, _ in filled}
        sizes = {size for _, size, _ in filled}
        if len(hashes) > 1 or len(sizes) > 1:
            raise InputError(
                f"{files}: the side-cars of {space!r} are of {len(hashes)} encoders; delete them "
                "and make them with uss-mine-anchors --add-encoder"
            )
        spaces[space] = {"size": sizes.pop(), "encoder_hash": hashes.pop()}
        empty: Indexes = np.zeros(0, np.int64)
        offsets[CONDITIONS + space] = np.concatenate(
            [fitting[number][2] if number in fitting else empty for number in range(len(entries))]
        )
        for number in fitting:
            name = sidecar_name(entries[number].name, space)
            stored = StoredFile(states[name], stated[name] or "")
            sidecars = {**entries[number].sidecars, space: stored}
            entries[number] = replace(entries[number], sidecars=sidecars)
    return replace(index, entries=entries, offsets=offsets, sidecar_spaces=spaces)


def _read(files: ShardFiles, entry: ShardEntry, space: str) -> tuple[str, int, Indexes] | None:
    """Read the encoder, H and where the rows lie; None if it is of other anchors."""
    name = sidecar_name(entry.name, space)
    try:
        with files.opened(name) as raw, h5py.File(raw, "r") as file:
            of_shard = file.attrs["shard_checksum"]
            if entry.file.checksum and of_shard != entry.file.checksum:
                return None
            if _COLUMN not in file:
                return (file.attrs["encoder_hash"], 0, np.zeros(0, np.int64))
            column = file[_COLUMN]
            if len(column) != entry.num_anchors:
                return None
            return file.attrs["encoder_hash"], column.shape[1], row_offsets(column)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{files.address(name)} is not a readable side-car ({error}); delete it and make it "
            "with uss-mine-anchors --add-encoder"
        ) from error
