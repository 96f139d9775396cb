"""Whether the files of a set are those that its index was made of."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from uss.core.errors import InputError
from uss.shards.checksums import measured_checksum
from uss.shards.index import INDEX_FILE, ShardIndex, StoredFile, load_index, remedy_for
from uss.shards.indexing import make_index
from uss.shards.layout import rows_of_shard, shard_names, sidecar_name
from uss.shards.shard_files import FileState, ShardFiles

logger = logging.getLogger(__name__)


def open_index(files: ShardFiles) -> ShardIndex:
    """Read the index of a set and check the set against it; one of older releases is made now.

    Raises:
        FileNotFoundError: if there are no shards.
        ValueError: if the index is damaged, of another version or not of these files, or a shard
            is missing or damaged; the message says the remedy.
    """
    states = files.states()
    if INDEX_FILE in states:
        index = load_index(files)
        check_files(files, index, states)
        return index
    index = make_index(files)
    logger.info(
        "%s has no index yet: read %d shards for one; uss-mine-anchors --verify %s writes it",
        files, len(index.entries), files,
    )  # fmt: skip
    for gap in missing_rows([entry.name for entry in index.entries]):
        logger.warning("%s: %s", files, gap)
    return index


def check_files(files: ShardFiles, index: ShardIndex, states: dict[str, FileState]) -> None:
    """Refuse a set that is not what its index says.

    Every file must be there, with its size and the checksum it states. Where the time of its last
    change is another, all of it is read and its checksum measured; so a file that was changed is
    found, and one that was only copied costs its reading, until ``--verify`` notes the new time.
    At URLs, where times are not kept, sizes and stated checksums decide.

    Raises:
        ValueError: naming the first file that is not, and the remedy.
    """
    stored = dict(stored_files(index))
    for name, expected in stored.items():
        found = states.get(name)
        address = files.address(name)
        if found is None:
            raise InputError(
                f"{address} is missing, which {INDEX_FILE} lists; bring it back, or run the same "
                f"uss-mine-anchors again, which mines its rows anew; or {remedy_for(files)} "
                "without it"
            )
        if found.size != expected.state.size:
            raise InputError(
                f"{address} has {found.size} bytes, {expected.state.size} when it was indexed; "
                f"{_remedy(files)}"
            )
    unknown = [name for name in shard_names(states) if name not in stored]
    if unknown:
        raise InputError(
            f"{files.address(INDEX_FILE)} does not know {unknown[0]}: it was made before that "
            f"shard, or mining was stopped; {remedy_for(files)}, or run the mining to its end"
        )
    stated = files.stated_checksums({name: states[name].size for name in stored})
    for name, expected in stored.items():
        if stated[name] not in (None, expected.checksum):
            raise InputError(
                f"{files.address(name)} states checksum {stated[name]}, {INDEX_FILE} says "
                f"{expected.checksum}: it is another file than was indexed; {remedy_for(files)}"
            )
    if files.is_local:
        _measure(files, {name: file for name, file in stored.items() if _changed(file, states[name])})  # fmt: skip  # noqa: E501


def stored_files(index: ShardIndex) -> Iterator[tuple[str, StoredFile]]:
    """Name all files that an index speaks of."""
    for entry in index.entries:
        yield entry.name, entry.file
        for space, file in entry.sidecars.items():
            yield sidecar_name(entry.name, space), file


def missing_rows(names: list[str]) -> list[str]:
    """Say which manifest rows no shard holds, between those that are there."""
    gaps = []
    end = 0
    for name in names:
        first, following = rows_of_shard(name)
        if first > end:
            gaps.append(
                f"no shard holds the manifest rows {end} to {first - 1}; run the same "
                "uss-mine-anchors again, which mines what is missing"
            )
        end = max(end, following)
    return gaps


def _changed(file: StoredFile, found: FileState) -> bool:
    return bool(file.checksum) and file.state.version != found.version


def _measure(files: ShardFiles, changed: dict[str, StoredFile]) -> None:
    if changed:
        total = sum(file.state.size for file in changed.values()) / 1e9
        logger.info(
            "%s: reading %d files (%.1f GB) that were written to or copied since they were "
            "indexed; uss-mine-anchors --verify %s notes that they are whole",
            files, len(changed), total, files,
        )  # fmt: skip
    for name, expected in changed.items():
        measured, _ = measured_checksum(files.blocks(name))
        if measured != expected.checksum:
            raise InputError(
                f"{files.address(name)} is damaged: its bytes give checksum {measured}, it had "
                f"{expected.checksum} when it was indexed; {_remedy(files)}"
            )


def _remedy(files: ShardFiles) -> str:
    return (
        "bring back a good copy, or delete it and run the same uss-mine-anchors again, which mines "
        f"its rows anew; uss-mine-anchors --verify {files} checks all"
    )
