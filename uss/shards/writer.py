"""Writing shards row by row; a shard is complete or absent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from uss.core.arrays import Float32
from uss.core.files import written_whole
from uss.shards.checksums import add_checksum
from uss.shards.layout import SCHEMA_VERSION, Anchor, ShardSettings, SkippedClip

_ROWS_PER_BLOCK = 64


class ShardWriter:
    """Writes one shard under a temporary name; it is renamed when the ``with`` block ends well.

    Anchors go to the file in small blocks, so that a shard's worth of waveforms never lies in
    memory.

    Args:
        path: of the shard, from ``shard_path``.
        settings: of the mining run.
    """

    def __init__(self, path: str | Path, settings: ShardSettings) -> None:
        self.path = Path(path)
        self.settings = settings
        self._pending: dict[str, list[Any]] = {}

    def __enter__(self) -> ShardWriter:
        with ExitStack() as stack:
            part = stack.enter_context(written_whole(self.path))
            stack.push(lambda kind, *_: self._seal(part, kind))
            self._file = stack.enter_context(h5py.File(part, "w"))
            self._file.attrs["schema_version"] = SCHEMA_VERSION
            self._file.attrs["settings"] = json.dumps(asdict(self.settings), sort_keys=True)
            self._create_columns()
            # Leaving flushes, closes, adds the checksum and renames, in this order; a failing flush
            # removes the file.
            stack.push(self._finish)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def append(self, anchor: Anchor) -> None:
        """Write one anchor.

        Raises:
            KeyError: if the anchor lacks a condition of the settings' spaces.
        """
        num_classes = self.settings.num_classes
        waveform = np.zeros(self.settings.segment_samples, np.int16)
        waveform[: len(anchor.waveform)] = _to_int16(anchor.waveform)
        labels = np.zeros(num_classes, bool)
        labels[list(anchor.labels)] = True
        row = {
            "waveform": waveform,
            "valid_samples": len(anchor.waveform),
            "class_index": anchor.class_index,
            "clip_id": anchor.clip_id,
            "caption": anchor.caption,
            "group": anchor.group or anchor.clip_id,
            "start_seconds": anchor.start_seconds,
            "score": anchor.score,
            "labels": labels,
            "tag_probabilities": anchor.tag_probabilities,
            **{f"conditions/{space}": anchor.conditions[space] for space in self.settings.spaces},
        }
        self._append(row)

    def skip(self, clip: SkippedClip) -> None:
        """Note a manifest row that gives no anchor."""
        self._append(
            {
                "skipped/clip_id": clip.clip_id,
                "skipped/reason": clip.reason,
                "skipped/missing": clip.missing,
            }
        )

    def append_stored(self, row: Mapping[str, Any]) -> None:
        """Write an anchor as another shard of these settings holds it, see ``StoredShard``."""
        self._append(row)

    def _finish(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._flush()

    def _seal(self, part: Path, kind: type[BaseException] | None) -> None:
        if kind is None:
            add_checksum(part)

    def _append(self, row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            self._pending.setdefault(name, []).append(value)
        if any(len(values) >= _ROWS_PER_BLOCK for values in self._pending.values()):
            self._flush()

    def _flush(self) -> None:
        for name, values in self._pending.items():
            column = self._file[name]
            first = len(column)
            column.resize(first + len(values), axis=0)
            column[first:] = values
        self._pending = {}

    def _create_columns(self) -> None:
        text = h5py.string_dtype()
        num_classes = self.settings.num_classes
        for name, dtype in {
            "valid_samples": np.int32,
            "class_index": np.int16,
            "clip_id": text,
            "caption": text,
            "group": text,
            "start_seconds": np.float64,
            "score": np.float32,
            "skipped/clip_id": text,
            "skipped/reason": text,
            "skipped/missing": bool,
        }.items():
            self._file.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(1024,))
        num_samples = self.settings.segment_samples
        self._create_rows("waveform", num_samples, np.int16, chunks=(1, num_samples))
        self._create_rows("labels", num_classes, bool, compression="gzip")
        self._create_rows("tag_probabilities", num_classes, np.float16)
        for space, size in self.settings.spaces.items():
            self._create_rows(f"conditions/{space}", size, np.float16)

    def _create_rows(self, name: str, size: int, dtype: Any, **options: Any) -> None:
        options = {"chunks": (_ROWS_PER_BLOCK, size)} | options
        self._file.create_dataset(name, (0, size), dtype, maxshape=(None, size), **options)


def write_shard(
    path: str | Path,
    anchors: Sequence[Anchor],
    skipped: Sequence[SkippedClip],
    settings: ShardSettings,
) -> None:
    """Write a shard whose anchors are all there already; see ``ShardWriter``."""
    with ShardWriter(path, settings) as writer:
        for anchor in anchors:
            writer.append(anchor)
        for clip in skipped:
            writer.skip(clip)


def _to_int16(waveform: Float32) -> NDArray[np.int16]:
    return np.round(np.clip(waveform, -1.0, 1.0) * 32767.0).astype(np.int16)
