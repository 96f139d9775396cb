"""Making the index of a set from its shards."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from uss.core.arrays import Indexes
from uss.core.errors import InputError
from uss.shards.averaging import averages_of
from uss.shards.checksums import measured_checksum
from uss.shards.class_lists import ClassLists
from uss.shards.column_tables import column_of, space_rows
from uss.shards.index import (
    INDEX_FILE,
    TAG_FLOOR,
    ShardEntry,
    ShardIndex,
    StoredFile,
    load_index,
    save_index,
)
from uss.shards.layout import CONDITIONS, SCHEMA_VERSION, ShardSettings, shard_names
from uss.shards.names import Numbering
from uss.shards.offsets import row_offsets
from uss.shards.purity import purity
from uss.shards.selection import Selection
from uss.shards.shard_files import ShardFiles
from uss.shards.sidecars import with_sidecars
from uss.taggers import PROBABILITY_SPACE

logger = logging.getLogger(__name__)

_COPIED = {"valid_samples": np.int32, "start_seconds": np.float64, "score": np.float32}


def update_index(
    files: ShardFiles,
    min_purity: float | None = None,
    keep_top: int | None = None,
    *,
    measured: Mapping[str, str] | None = None,
) -> ShardIndex:
    """Write the index of all shards that are there; what an older one says of unchanged ones stays.

    Args:
        files: of the set.
        min_purity: anchors of less are left out from now on; None leaves that as it was.
        keep_top: likewise all but so many of each class, see ``Selection``.
        measured: checksums of files that were read just now; others are read if they state none.

    Raises:
        FileNotFoundError: if there are no shards.
        ValueError: if shards are unreadable or of different runs, or no anchor is pure enough.
    """
    older = _older(files)
    selection = (older.selection if older else Selection()).changed(min_purity, keep_top)
    index = replace(make_index(files, older, measured or {}), selection=selection)
    purity = index.columns["purity"]
    if len(purity) and not len(kept_rows(index)):
        raise InputError(
            f"none of the {len(purity)} anchors of {files} has a purity of {selection.min_purity:g}"
            f"; the purest has {purity.max():.3f}; choose a --min-purity below"
        )
    index = with_averages(files, index)
    save_index(files, index)
    if selection:
        logger.info(
            "%s: %d of %d anchors are used (purity at least %g, at most %s of a class)",
            files, len(kept_rows(index)), len(purity), selection.min_purity,
            selection.keep_top or "all",
        )  # fmt: skip
    return index


def make_index(
    files: ShardFiles, older: ShardIndex | None = None, measured: Mapping[str, str] | None = None
) -> ShardIndex:
    """Make an index of all anchors, without averages, and without writing it.

    Args:
        files: of the set.
        older: an index of some of the shards, for those that have not changed since.
        measured: checksums of files that state none; where it lacks one the file is read. None
            leaves such checksums open.

    Raises:
        FileNotFoundError: if there are no shards.
        ValueError: if shards are unreadable or of different runs.
    """
    states = files.states()
    names = shard_names(states)
    if not names:
        raise FileNotFoundError(
            f"{files} has no shards (anchors-*.h5); make them with "
            "uss-mine-anchors, or name another folder"
        )
    stated = files.stated_checksums({name: states[name].size for name in names})
    known = {} if older is None else {entry.name: k for k, entry in enumerate(older.entries)}
    parts: list[ShardIndex] = []
    for name in names:
        part = None
        if older is not None and name in known:
            file = older.entries[known[name]].file
            if (
                file.state == states[name]
                and file.checksum
                and stated[name] in (None, file.checksum)
            ):
                part = _part(older, known[name])
        if part is None:
            checksum = stated[name] or (measured or {}).get(name)
            if checksum is None and measured is not None:
                checksum, _ = measured_checksum(files.blocks(name))
            part = _index_shard(files, name, StoredFile(states[name], checksum or ""))
        parts.append(part)
        _check_same_run(files, parts[0], part)
    return with_sidecars(files, _joined(parts), states)


def with_averages(files: ShardFiles, index: ShardIndex) -> ShardIndex:
    """Add the class averages of every space, over the anchors that the selection keeps."""
    rows = kept_rows(index)
    labels = index.labels.taken(rows)
    averages = {
        space: averages_of(space_rows(files, index, space, rows), labels)
        for space in (*index.spaces, PROBABILITY_SPACE)
    }
    return replace(index, averages=averages if len(rows) else {})


def kept_rows(index: ShardIndex, selection: Selection | None = None) -> Indexes:
    """List the rows of the table that are used, ascending."""
    chosen = index.selection if selection is None else selection
    return np.flatnonzero(chosen.kept(index.columns["class_index"], index.columns["purity"]))


def settings_of(file: h5py.File, address: str) -> ShardSettings:
    """Read the settings of an open shard.

    Raises:
        ValueError: if it is of another schema version.
    """
    version = file.attrs.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{address} is a shard of schema version {version}, this program "
            f"reads version {SCHEMA_VERSION}; mine it again"
        )
    return ShardSettings(**json.loads(file.attrs["settings"]))


def _older(files: ShardFiles) -> ShardIndex | None:
    if INDEX_FILE not in files.states():
        return None
    try:
        return load_index(files)
    except InputError as error:
        logger.info("%s", error)
        return None


def _index_shard(files: ShardFiles, name: str, stored: StoredFile) -> ShardIndex:
    address = files.address(name)
    try:
        with files.opened(name) as raw, h5py.File(raw, "r") as file:
            return _read_shard(file, name, address, stored)
    except InputError:
        raise
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{address} is not a readable shard ({error}); delete it and mine again"
        ) from error


def _read_shard(file: h5py.File, name: str, address: str, stored: StoredFile) -> ShardIndex:
    settings = settings_of(file, address)
    tags = file["tag_probabilities"][:]
    class_index = file["class_index"][:]
    clips, groups = Numbering(), Numbering()
    clip_ids = file["clip_id"].asstr()[:]
    columns: dict[str, NDArray[Any]] = {
        "class_index": class_index,
        **{column: file[column][:].astype(dtype) for column, dtype in _COPIED.items()},
        "purity": purity(class_index, tags, settings.own_classes),
        "clip_number": clips(clip_ids),
        "group_number": groups(file["group"].asstr()[:] if "group" in file else clip_ids),
    }
    loud = ClassLists.of(tags > TAG_FLOOR)
    stored_columns = ("waveform", "tag_probabilities", *map(column_of, settings.spaces))
    return ShardIndex(
        settings=settings,
        entries=[ShardEntry(name, len(class_index), stored, settings.of_manifest())],
        columns=columns,
        offsets={column: row_offsets(file[column]) for column in stored_columns},
        labels=ClassLists.of(file["labels"][:]),
        tags=loud,
        tag_values=tags[loud.rows, loud.classes],
        clips=clips.names(),
        groups=groups.names(),
    )


def _part(index: ShardIndex, number: int) -> ShardIndex:
    """Take one shard out of an index."""
    first, end = index.ends[number : number + 2]
    rows = np.arange(first, end)
    return replace(
        index,
        entries=[replace(index.entries[number], sidecars={})],
        columns={name: values[first:end] for name, values in index.columns.items()},
        offsets={
            name: values[first:end]
            for name, values in index.offsets.items()
            if name.removeprefix(CONDITIONS) not in index.sidecar_spaces
        },
        labels=index.labels.taken(rows),
        tags=index.tags.taken(rows),
        tag_values=index.tag_values[index.tags.entries_of(rows)],
        sidecar_spaces={},
        averages={},
        selection=Selection(),
    )


def _joined(parts: Sequence[ShardIndex]) -> ShardIndex:
    """Append shards to each other; clips and groups are numbered through all of them."""
    clips, groups = Numbering(), Numbering()
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in parts[0].columns}
    for part in parts:
        renumbered: Mapping[str, NDArray[Any]] = {
            **part.columns,
            "clip_number": _renumbered(part.columns["clip_number"], part.clips, clips),
            "group_number": _renumbered(part.columns["group_number"], part.groups, groups),
        }
        for name, values in renumbered.items():
            columns[name].append(values)
    return replace(
        parts[0],
        entries=[entry for part in parts for entry in part.entries],
        columns={name: np.concatenate(values) for name, values in columns.items()},
        offsets={
            name: np.concatenate([part.offsets[name] for part in parts])
            for name in parts[0].offsets
        },
        labels=ClassLists.joined([part.labels for part in parts]),
        tags=ClassLists.joined([part.tags for part in parts]),
        tag_values=np.concatenate([part.tag_values for part in parts]),
        clips=clips.names(),
        groups=groups.names(),
    )


def _renumbered(numbers: NDArray[Any], names: Any, numbering: Numbering) -> NDArray[np.int32]:
    used, back = np.unique(numbers, return_inverse=True)
    # In the order of their appearance, so that joining and reading anew number alike.
    first = np.full(len(used), len(numbers))
    np.minimum.at(first, back, np.arange(len(numbers)))
    order = np.argsort(first)
    renumbered = np.empty(len(used), np.int32)
    renumbered[order] = numbering([names[int(used[k])] for k in order])
    return renumbered[back]


def _check_same_run(files: ShardFiles, first: ShardIndex, part: ShardIndex) -> None:
    if not part.settings.fits(first.settings):
        raise InputError(
            f"{files.address(part.entries[0].name)} was mined with other settings than "
            f"{files.address(first.entries[0].name)}; keep shards of one mining run in one folder"
        )
