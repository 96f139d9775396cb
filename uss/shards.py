"""Shards: anchors in HDF5 files, the only place that knows their layout.

A shard holds the anchors of a run of manifest rows and is named after the rows; it is complete or
absent. Layout, version 1, N anchors of S samples, K classes:

    waveform            (N, S) int16, one row per chunk, zero-padded
    valid_samples       (N,) int32
    class_index         (N,) int16, the class the anchor was mined for
    clip_id, caption    (N,) UTF-8
    start_seconds       (N,) float64, where in the clip
    score               (N,) float32, mean framewise probability
    labels              (N, K) bool, all labels of the clip
    tag_probabilities   (N, K) float16
    conditions/<space>  (N, H) float16
    skipped/clip_id, skipped/reason   rows that gave no anchor
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from uss.files import written_whole
from uss.taggers import PROBABILITY_SPACE

SCHEMA_VERSION = 1
_NAME = re.compile(r"anchors-(\d{9})-(\d{9})\.h5")
_PER_ANCHOR = (
    "valid_samples",
    "class_index",
    "start_seconds",
    "score",
    "labels",
    "tag_probabilities",
)


@dataclass(frozen=True)
class Anchor:
    """One mined segment.

    Attributes:
        clip_id: of the clip it comes from.
        class_index: the class it was mined for.
        start_seconds: where it starts in the clip.
        score: mean framewise probability of the class over it.
        waveform: (T,) float32 in [-1, 1], T at most the shard's segment length.
        labels: class indexes of all labels of the clip.
        tag_probabilities: (K,).
        conditions: (H,) per condition space.
        caption: of the clip.
    """

    clip_id: str
    class_index: int
    start_seconds: float
    score: float
    waveform: NDArray[np.float32]
    labels: tuple[int, ...]
    tag_probabilities: NDArray[np.float32]
    conditions: Mapping[str, NDArray[np.float32]]
    caption: str = ""


@dataclass(frozen=True)
class ShardSettings:
    """What must be equal in all shards of a folder.

    Attributes:
        sample_rate: in Hz.
        segment_samples: S.
        num_classes: K.
        tagger: name of the mining tagger.
        tagger_hash: of its weights.
        spaces: H per condition space.
        mining: settings of the mining run.
    """

    sample_rate: int
    segment_samples: int
    num_classes: int
    tagger: str
    tagger_hash: str
    spaces: Mapping[str, int]
    mining: Mapping[str, Any]


@dataclass(frozen=True)
class SkippedClip:
    """A manifest row that gave no anchor, and why."""

    clip_id: str
    reason: str


def shard_path(folder: str | Path, first_row: int, end_row: int) -> Path:
    """Name the shard of manifest rows [first_row, end_row)."""
    return Path(folder) / f"anchors-{first_row:09d}-{end_row:09d}.h5"


def list_shards(folder: str | Path) -> list[Path]:
    """Complete shards of a folder, in manifest order."""
    return sorted(path for path in Path(folder).glob("anchors-*.h5") if _NAME.fullmatch(path.name))


def write_shard(
    path: str | Path,
    anchors: Sequence[Anchor],
    skipped: Sequence[SkippedClip],
    settings: ShardSettings,
) -> None:
    """Write a shard under a temporary name and rename it when complete."""
    num_anchors, num_samples = len(anchors), settings.segment_samples
    with written_whole(path) as part, h5py.File(part, "w") as file:
        file.attrs["schema_version"] = SCHEMA_VERSION
        file.attrs["settings"] = json.dumps(asdict(settings), sort_keys=True)
        waveform = file.create_dataset(
            "waveform",
            (num_anchors, num_samples),
            np.int16,
            chunks=(1, num_samples) if num_anchors else None,
        )
        for row, anchor in enumerate(anchors):
            waveform[row, : len(anchor.waveform)] = _to_int16(anchor.waveform)
        text = h5py.string_dtype()
        file.create_dataset("clip_id", data=[a.clip_id for a in anchors], dtype=text)
        file.create_dataset("caption", data=[a.caption for a in anchors], dtype=text)
        for name, values in _columns(anchors, settings.num_classes).items():
            file.create_dataset(
                name, data=values, compression="gzip" if values.ndim > 1 and num_anchors else None
            )
        for space, size in settings.spaces.items():
            rows = np.zeros((num_anchors, size), np.float16)
            for row, anchor in enumerate(anchors):
                rows[row] = anchor.conditions[space]
            file.create_dataset(f"conditions/{space}", data=rows)
        file.create_dataset("skipped/clip_id", data=[s.clip_id for s in skipped], dtype=text)
        file.create_dataset("skipped/reason", data=[s.reason for s in skipped], dtype=text)


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
                raise ValueError(
                    f"{path} is a shard of schema version {version}, this program "
                    f"reads version {SCHEMA_VERSION}; mine it again"
                )
            return ShardSettings(**json.loads(file.attrs["settings"]))
    except OSError as error:
        raise ValueError(
            f"{path} is not a readable shard ({error}); delete it and mine again"
        ) from error


def read_skipped(path: str | Path) -> list[SkippedClip]:
    """Read which clips of a shard's rows gave no anchor."""
    with h5py.File(path, "r") as file:
        ids, reasons = file["skipped/clip_id"].asstr()[:], file["skipped/reason"].asstr()[:]
        return [SkippedClip(*pair) for pair in zip(ids, reasons, strict=True)]


class ShardReader:
    """All shards of a folder as one table; waveforms are read row by row when asked for.

    Attributes:
        settings: shared by all shards.
        class_index: (N,) int64, the class each anchor was mined for.
        valid_samples, start_seconds, score: (N,).
        labels: (N, K) bool.
        tag_probabilities: (N, K) float32.
        clip_id: (N,) of str.

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
                raise ValueError(
                    f"{path} was mined with other settings than {self._paths[0]}; "
                    "keep shards of one mining run in one folder"
                )
        self._files: dict[int, h5py.File] = {}
        columns: dict[str, list[NDArray[Any]]] = {name: [] for name in _PER_ANCHOR}
        clip_ids: list[str] = []
        counts = []
        for path in self._paths:
            with h5py.File(path, "r") as file:
                for name in _PER_ANCHOR:
                    columns[name].append(file[name][:])
                clip_ids.extend(file["clip_id"].asstr()[:])
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

    def waveform(self, row: int) -> NDArray[np.float32]:
        """Read one anchor: (S,) float32 in [-1, 1]."""
        shard = int(np.searchsorted(self._offsets, row, side="right")) - 1
        if shard not in self._files:
            self._files[shard] = h5py.File(self._paths[shard], "r")
        stored = self._files[shard]["waveform"][row - self._offsets[shard]]
        waveform: NDArray[np.float32] = stored.astype(np.float32) / np.float32(32767.0)
        return waveform

    def conditions(self, space: str) -> NDArray[np.float32]:
        """Read all conditions of a space; the tags themselves are the space ``audioset-527``.

        Returns:
            (N, H) float32.

        Raises:
            ValueError: if the shards do not hold that space.
        """
        if space == PROBABILITY_SPACE:
            return self.tag_probabilities
        if space not in self.settings.spaces:
            known = ", ".join(self.settings.spaces) or "none"
            raise ValueError(
                f"the shards hold no conditions in the space {space!r} (they hold "
                f"{known}); mine with the encoder of that space"
            )
        parts = []
        for path in self._paths:
            with h5py.File(path, "r") as file:
                parts.append(file[f"conditions/{space}"][:])
        return np.concatenate(parts).astype(np.float32)

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()
        self._files = {}


def _to_int16(waveform: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.round(np.clip(waveform, -1.0, 1.0) * 32767.0).astype(np.int16)


def _columns(anchors: Sequence[Anchor], num_classes: int) -> dict[str, NDArray[Any]]:
    labels = np.zeros((len(anchors), num_classes), bool)
    probabilities = np.zeros((len(anchors), num_classes), np.float16)
    for row, anchor in enumerate(anchors):
        labels[row, list(anchor.labels)] = True
        probabilities[row] = anchor.tag_probabilities
    return {
        "valid_samples": np.array([len(a.waveform) for a in anchors], np.int32),
        "class_index": np.array([a.class_index for a in anchors], np.int16),
        "start_seconds": np.array([a.start_seconds for a in anchors], np.float64),
        "score": np.array([a.score for a in anchors], np.float32),
        "labels": labels,
        "tag_probabilities": probabilities,
    }
