"""The index of a set of shards: all that training must know to draw, in one file beside them.

``index.h5`` holds of every anchor its class, clip, group, score, purity, labels and loud tags, and
where in the files its rows lie; of every shard its size, time and checksum; and the class averages
of every space. It is made of the shards alone, so that it can always be made again, and is written
under another name and renamed, so that it is whole or absent. It ends with its own checksum.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from uss.core.arrays import Float32, Indexes
from uss.core.errors import InputError
from uss.core.files import written_whole
from uss.shards.checksums import add_checksum, measured_checksum
from uss.shards.class_lists import ClassLists
from uss.shards.layout import ShardSettings
from uss.shards.names import Names
from uss.shards.selection import Selection
from uss.shards.shard_files import FileState, ShardFiles

INDEX_FILE = "index.h5"
INDEX_VERSION = 1
TAG_FLOOR = 0.05
"""Tags above it are in the index."""


@dataclass(frozen=True)
class StoredFile:
    """A file as it was when the index was made.

    Attributes:
        state: its size and time.
        checksum: of its content; empty where none was stated and none measured.
    """

    state: FileState
    checksum: str


@dataclass(frozen=True)
class ShardEntry:
    """One shard.

    Attributes:
        name: of the file.
        num_anchors: how many rows it holds.
        file: its state.
        mining: what tells its manifest from that of other shards of the set.
        sidecars: the side-car of each further space.
    """

    name: str
    num_anchors: int
    file: StoredFile
    mining: Mapping[str, Any]
    sidecars: Mapping[str, StoredFile] = field(default_factory=dict)


@dataclass(frozen=True)
class Averages:
    """Class averages of one space (eq. 9), over the anchors that the index's selection keeps.

    Attributes:
        class_indexes: (A,) ascending.
        vectors: (A, H) float32.
    """

    class_indexes: Indexes
    vectors: Float32


@dataclass(frozen=True)
class ShardIndex:
    """What is known of the N anchors of a set without opening a shard.

    Attributes:
        settings: shared by all shards.
        entries: the shards, in order.
        columns: (N,) each: ``class_index``, ``valid_samples``, ``start_seconds``, ``score``,
            ``purity``, ``clip_number``, ``group_number``.
        offsets: (N,) int64 per stored column, such as ``waveform``: at which byte of its file the
            anchor's row begins; -1 where it is packed and HDF5 has to unpack it.
        labels: all labels of each anchor's clip.
        tags: the classes that the tagger gives more than ``TAG_FLOOR``.
        tag_values: (M,) float16, how much.
        clips, groups: what the numbers stand for.
        sidecar_spaces: H, and the hash of the encoder, of the spaces that side-cars hold.
        averages: per space.
        selection: which anchors are used.
    """

    settings: ShardSettings
    entries: Sequence[ShardEntry]
    columns: Mapping[str, NDArray[Any]]
    offsets: Mapping[str, Indexes]
    labels: ClassLists
    tags: ClassLists
    tag_values: NDArray[np.float16]
    clips: Names
    groups: Names
    sidecar_spaces: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    averages: Mapping[str, Averages] = field(default_factory=dict)
    selection: Selection = field(default_factory=Selection)

    @property
    def ends(self) -> Indexes:
        """(shards + 1,) the row at which each shard begins, and N."""
        ends: Indexes = np.zeros(len(self.entries) + 1, np.int64)
        np.cumsum([entry.num_anchors for entry in self.entries], out=ends[1:])
        return ends

    @property
    def spaces(self) -> dict[str, int]:
        """H of every space that all shards have conditions in."""
        sizes = {space: int(about["size"]) for space, about in self.sidecar_spaces.items()}
        return {**self.settings.spaces, **sizes}


def save_index(files: ShardFiles, index: ShardIndex) -> None:
    """Write the index beside its shards; it appears when it is complete."""
    if files.is_local:
        with written_whole(files.address(INDEX_FILE)) as part:
            _write(part, index)
        return
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / INDEX_FILE
        _write(local, index)
        files.put(local, INDEX_FILE)


def load_index(files: ShardFiles) -> ShardIndex:
    """Read the index.

    Raises:
        OSError: if there is none.
        ValueError: if it is damaged or of another version; the message says the remedy.
    """
    address, remedy = files.address(INDEX_FILE), remedy_for(files)
    content = files.content(INDEX_FILE)
    measured, stated = measured_checksum([content])
    if measured != stated:
        raise InputError(f"{address} is damaged: its bytes give checksum {measured}, it states "
                         f"{stated or 'none'}; {remedy}")  # fmt: skip
    with h5py.File(io.BytesIO(content), "r") as file:
        version = file.attrs.get("index_version")
        if version != INDEX_VERSION:
            raise InputError(
                f"{address} is an index of version {version}, this program reads version "
                f"{INDEX_VERSION}; {remedy}"
            )
        return _read(file)


def remedy_for(files: ShardFiles) -> str:
    """Say what makes an index anew."""
    return f"uss-mine-anchors --verify {files} checks the shards and writes it anew"


def _write(path: Path, index: ShardIndex) -> None:
    num_classes = index.labels.num_classes
    with h5py.File(path, "w") as file:
        file.attrs["index_version"] = INDEX_VERSION
        file.attrs["num_classes"] = num_classes
        for name, value in {
            "settings": asdict(index.settings),
            "sidecar_spaces": {key: dict(value) for key, value in index.sidecar_spaces.items()},
            "selection": asdict(index.selection),
        }.items():
            file.attrs[name] = json.dumps(value, sort_keys=True)
        # Attributes hold 64 KiB at most, and there may be thousands of shards.
        file["shards"] = json.dumps([_plain(entry) for entry in index.entries])
        arrays: dict[str, NDArray[Any]] = {
            **{f"columns/{name}": values for name, values in index.columns.items()},
            **{f"offsets/{name}": values for name, values in index.offsets.items()},
            "labels/offsets": index.labels.offsets,
            "labels/classes": index.labels.classes,
            "tags/offsets": index.tags.offsets,
            "tags/classes": index.tags.classes,
            "tags/values": index.tag_values,
            "clips/offsets": index.clips.offsets,
            "clips/text": index.clips.text,
            "groups/offsets": index.groups.offsets,
            "groups/text": index.groups.text,
        }
        for space, averages in index.averages.items():
            arrays[f"averages/{space}/class_indexes"] = averages.class_indexes
            arrays[f"averages/{space}/vectors"] = averages.vectors
        for name, values in arrays.items():
            file.create_dataset(name, data=values)
    add_checksum(path)


def _read(file: h5py.File) -> ShardIndex:
    def lists(name: str) -> ClassLists:
        return ClassLists(
            file[f"{name}/offsets"][:], file[f"{name}/classes"][:], int(file.attrs["num_classes"])
        )

    def names(name: str) -> Names:
        return Names(file[f"{name}/offsets"][:], file[f"{name}/text"][:])

    offsets: dict[str, Indexes] = {}
    file["offsets"].visititems(
        lambda name, item: (
            offsets.update({name: item[:]}) if isinstance(item, h5py.Dataset) else None
        )
    )
    return ShardIndex(
        settings=ShardSettings(**json.loads(file.attrs["settings"])),
        entries=[_entry(value) for value in json.loads(file["shards"].asstr()[()])],
        columns={name: values[:] for name, values in file["columns"].items()},
        offsets=offsets,
        labels=lists("labels"),
        tags=lists("tags"),
        tag_values=file["tags/values"][:],
        clips=names("clips"),
        groups=names("groups"),
        sidecar_spaces=json.loads(file.attrs["sidecar_spaces"]),
        averages={
            space: Averages(group["class_indexes"][:], group["vectors"][:])
            for space, group in file.get("averages", {}).items()
        },
        selection=Selection(**json.loads(file.attrs["selection"])),
    )


def _plain(entry: ShardEntry) -> dict[str, Any]:
    return asdict(entry)


def _entry(value: Mapping[str, Any]) -> ShardEntry:
    def stored(about: Mapping[str, Any]) -> StoredFile:
        return StoredFile(FileState(*about["state"]), about["checksum"])

    return ShardEntry(
        value["name"],
        value["num_anchors"],
        stored(value["file"]),
        value["mining"],
        {space: stored(about) for space, about in value["sidecars"].items()},
    )
