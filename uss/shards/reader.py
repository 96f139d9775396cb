"""Reading shards: all of a folder as one table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.shards.layout import SCHEMA_VERSION, ShardSettings, SkippedClip, list_shards
from uss.taggers import NUM_CLASSES, ONE_HOT_SPACE, PROBABILITY_SPACE

_PER_ANCHOR = (
    "valid_samples",
    "class_index",
    "start_seconds",
    "score",
    "labels",
    "tag_probabilities",
)
# How releases before the column skipped/missing said that a file was not there.
_REASONS_FOR_MISSING = ("no audio file", ": no such file; check the path")


def read_settings(path: str | Path) -> ShardSettings:
    """Read a shard's settings.

    Raises:
        ValueError: if the file is no shard or of another schema version.
    """
    path = Path(path)
    try:
        with h5py.File(path, "r") as file:
            version = file.attrs.get("schema_version")
            if version != SCHEMA_VERSION:
                raise InputError(
                    f"{path} is a shard of schema version {version}, this program "
                    f"reads version {SCHEMA_VERSION}; mine it again"
                )
            return ShardSettings(**json.loads(file.attrs["settings"]))
    except InputError:
        raise
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is not a readable shard ({error}); delete it and mine again"
        ) from error


def read_skipped(path: str | Path) -> list[SkippedClip]:
    """Read which clips of a shard's rows gave no anchor."""
    with h5py.File(path, "r") as file:
        ids, reasons = file["skipped/clip_id"].asstr()[:], file["skipped/reason"].asstr()[:]
        if "skipped/missing" in file:
            missing = file["skipped/missing"][:].tolist()
        else:
            missing = [reason.endswith(_REASONS_FOR_MISSING) for reason in reasons]
        return [SkippedClip(*entry) for entry in zip(ids, reasons, missing, strict=True)]


class StoredShard:
    """One shard as it is stored, from which ``ShardWriter.append_stored`` takes anchors unchanged.

    Attributes:
        skipped: the clips that gave no anchor, by their ids.
    """

    def __init__(self, path: str | Path) -> None:
        self.skipped = {clip.clip_id: clip for clip in read_skipped(path)}
        settings = read_settings(path)
        spaces = [f"conditions/{space}" for space in settings.spaces]
        self._columns = ("waveform", *_PER_ANCHOR, *spaces)
        self._file = h5py.File(path, "r")
        self._rows: dict[str, list[int]] = {}
        for row, clip_id in enumerate(self._file["clip_id"].asstr()[:]):
            self._rows.setdefault(clip_id, []).append(row)

    def __contains__(self, clip_id: str) -> bool:
        return clip_id in self._rows

    def __enter__(self) -> StoredShard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def anchors_of(self, clip_id: str) -> Iterator[dict[str, Any]]:
        """Read the rows of a clip's anchors, in their order."""
        captions = self._file["caption"].asstr()
        groups = self._file["group"].asstr() if "group" in self._file else None
        for row in self._rows[clip_id]:
            stored = {name: self._file[name][row] for name in self._columns}
            yield {
                **stored,
                "clip_id": clip_id,
                "caption": captions[row],
                "group": clip_id if groups is None else groups[row],
            }


class ShardReader:
    """All shards of a folder as one table; waveforms are read row by row when asked for.

    Attributes:
        settings: shared by all shards.
        class_index: (N,) int64, the class each anchor was mined for.
        valid_samples, start_seconds, score: (N,).
        labels: (N, K) bool.
        tag_probabilities: (N, K) float32.
        clip_id, group: (N,) of str.

    Raises:
        FileNotFoundError: if the folder has no shards.
        ValueError: if shards differ in their settings or are unreadable.
    """

    def __init__(self, folder: str | Path) -> None:
        self._paths = list_shards(folder)
        if not self._paths:
            raise FileNotFoundError(
                f"{folder} has no shards (anchors-*.h5); make them with "
                "uss-mine-anchors, or name another folder"
            )
        self.settings = read_settings(self._paths[0])
        for path in self._paths[1:]:
            if read_settings(path) != self.settings:
                raise InputError(
                    f"{path} was mined with other settings than {self._paths[0]}; "
                    "keep shards of one mining run in one folder"
                )
        self._files: dict[int, h5py.File] = {}
        columns: dict[str, list[NDArray[Any]]] = {name: [] for name in _PER_ANCHOR}
        clip_ids: list[str] = []
        groups: list[str] = []
        counts = []
        for path in self._paths:
            with h5py.File(path, "r") as file:
                for name in _PER_ANCHOR:
                    columns[name].append(file[name][:])
                clip_ids.extend(file["clip_id"].asstr()[:])
                groups.extend(file["group" if "group" in file else "clip_id"].asstr()[:])
                counts.append(len(file["class_index"]))
        merged = {name: np.concatenate(parts) for name, parts in columns.items()}
        self._offsets = np.concatenate([[0], np.cumsum(counts)])
        self.class_index = merged["class_index"].astype(np.int64)
        self.valid_samples = merged["valid_samples"]
        self.start_seconds = merged["start_seconds"]
        self.score = merged["score"]
        self.labels = merged["labels"]
        self.tag_probabilities = merged["tag_probabilities"].astype(np.float32)
        self.clip_id = np.array(clip_ids, dtype=object)
        self.group = np.array(groups, dtype=object)

    def __len__(self) -> int:
        return int(self._offsets[-1])

    def __enter__(self) -> ShardReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        # HDF5 handles do not survive a change of process.
        return {**self.__dict__, "_files": {}}

    def waveform(self, row: int) -> Float32:
        """Read one anchor: (S,) float32 in [-1, 1]."""
        shard = int(np.searchsorted(self._offsets, row, side="right")) - 1
        if shard not in self._files:
            self._files[shard] = h5py.File(self._paths[shard], "r")
        stored = self._files[shard]["waveform"][row - self._offsets[shard]]
        waveform: Float32 = stored.astype(np.float32) / np.float32(32767.0)
        return waveform

    def conditions(self, space: str) -> Float32:
        """Read all conditions of a space.

        The tags themselves are the space ``audioset-527``; the labels of each anchor's clip, as
        0 and 1, are the space ``audioset-527-one-hot`` (the hard condition of section 3.4.1).

        Returns:
            (N, H) float32.

        Raises:
            ValueError: if the shards do not hold that space.
        """
        if space == PROBABILITY_SPACE:
            return self.tag_probabilities[:, :NUM_CLASSES]
        if space == ONE_HOT_SPACE:
            if self.settings.own_classes:
                raise InputError(
                    f"the space {space!r} has no dimensions for classes of your own; train in a "
                    "space of embeddings"
                )
            return self.labels.astype(np.float32)
        if space not in self.settings.spaces:
            known = ", ".join(self.settings.spaces) or "none"
            raise InputError(
                f"the shards hold no conditions in the space {space!r} (they hold "
                f"{known}); mine with the encoder of that space"
            )
        conditions = np.empty((len(self), self.settings.spaces[space]), np.float32)
        for path, start, end in zip(self._paths, self._offsets, self._offsets[1:], strict=False):
            with h5py.File(path, "r") as file:
                conditions[start:end] = file[f"conditions/{space}"][:]
        return conditions

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files = {}
