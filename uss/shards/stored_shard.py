"""One shard as it is stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.shards.indexing import settings_of
from uss.shards.layout import ShardSettings, SkippedClip

_PER_ANCHOR = (
    "valid_samples",
    "class_index",
    "start_seconds",
    "score",
    "labels",
    "tag_probabilities",
)
FULL_SCALE = np.float32(32767.0)
"""What 1 is stored as."""
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
            return settings_of(file, str(path))
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

    def waveforms(self, first: int, end: int) -> Float32:
        """Read anchors [first, end): (n, S) float32 in [-1, 1]."""
        stored = self._file["waveform"][first:end]
        waveforms: Float32 = stored.astype(np.float32) / FULL_SCALE
        return waveforms

    def said(self, first: int, end: int) -> list[tuple[str, list[int]]]:
        """Read the captions of anchors [first, end), and the labels of their clips, ascending."""
        captions = self._file["caption"].asstr()[first:end]
        labels = self._file["labels"][first:end]
        return [
            (caption, np.flatnonzero(row).tolist())
            for caption, row in zip(captions, labels, strict=True)
        ]
