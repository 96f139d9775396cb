"""Rows of shards, read when they are asked for."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from uss.core.arrays import Float32, Indexes
from uss.shards.class_lists import ClassLists
from uss.shards.shard_files import ShardFiles, Span

_MAX_UNPACKED = 16
_SAMPLE = 16_384


class Rows(Protocol):
    """(N, H) float32 of all anchors, of which those come into memory that are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """N and H."""
        ...

    def __getitem__(self, rows: Any, /) -> Any:
        """Read the rows of one anchor, or of an array of them: (..., H)."""
        ...

    def blocks(self) -> Iterator[tuple[int, Float32]]:
        """Read all rows in order, some thousands at a time, each block with its first row."""
        ...


def sample(rows: Rows) -> Float32:
    """Read some rows, evenly spread; all of them up to 16,384."""
    count = rows.shape[0]
    chosen = np.arange(count)
    if count > _SAMPLE:
        chosen = np.linspace(0, count - 1, _SAMPLE).round().astype(np.int64)
    found: Float32 = rows[chosen]
    return found


class StoredRows:
    """One column of all shards.

    Where a row lies in one piece in its file, as the index says, it is read from there without
    HDF5: no handle, no chunk of other rows, and from a URL one request. Columns that older
    releases compressed are unpacked by HDF5.

    Args:
        files: of the shards.
        column: such as ``waveform``.
        dtype: as stored.
        size: H; where the column has more, each row's first ones.
        rows: (N,) ascending rows of the whole table that this one has.
        offsets: (table,) where each lies, see ``ShardIndex``.
        names: of the files, one per shard.
        ends: (shards + 1,) rows of the table at which each begins.
    """

    def __init__(
        self,
        files: ShardFiles,
        column: str,
        dtype: str,
        size: int,
        *,
        rows: Indexes,
        offsets: Indexes,
        names: Sequence[str],
        ends: Indexes,
    ) -> None:
        self.column = column
        self.shape = (len(rows), size)
        self._files = files
        self._dtype = np.dtype(dtype)
        self._rows = rows
        self._offsets = offsets
        self._names = names
        self._ends = ends
        self._unpacked: OrderedDict[int, ExitStack] = OrderedDict()
        self._datasets: dict[int, Any] = {}

    def __len__(self) -> int:
        return self.shape[0]

    def __getstate__(self) -> dict[str, Any]:
        # HDF5 handles do not survive a change of process.
        return {**self.__dict__, "_unpacked": OrderedDict(), "_datasets": {}}

    def __getitem__(self, rows: Any) -> Float32:
        return self.stored(rows).astype(np.float32)

    def stored(self, rows: Any) -> NDArray[Any]:
        """Read rows as they are stored; equal ones once.

        Args:
            rows: an index, or any array of them.

        Returns:
            (..., H).
        """
        wanted = np.asarray(rows, np.int64)
        flat = wanted.reshape(-1)
        unique, back = np.unique(flat, return_inverse=True)
        if len(unique) < len(flat):
            repeated: NDArray[Any] = self.stored(unique)[back.reshape(wanted.shape)]
            return repeated
        found = np.empty((len(flat), self.shape[1]), self._dtype)
        table = self._rows[flat]
        shards = np.searchsorted(self._ends, table, side="right") - 1
        starts = self._offsets[table]
        plain = np.flatnonzero(starts >= 0)
        size = self.shape[1] * self._dtype.itemsize
        spans = [
            Span(self._names[shard], start, start + size)
            for shard, start in zip(shards[plain].tolist(), starts[plain].tolist(), strict=True)
        ]
        for number, piece in zip(plain, self._files.read(spans) if spans else (), strict=True):
            found[number] = np.frombuffer(piece, self._dtype)
        for number in np.flatnonzero(starts < 0):
            shard = int(shards[number])
            row = table[number] - self._ends[shard]
            found[number] = self._dataset(shard)[row, : self.shape[1]]
        return found.reshape(*wanted.shape, self.shape[1])

    def blocks(self) -> Iterator[tuple[int, Float32]]:
        """Read all rows in order; see ``Rows``."""
        firsts = np.searchsorted(self._rows, self._ends)
        for shard, (first, end) in enumerate(itertools.pairwise(firsts)):
            if first == end:
                continue
            with self._files.opened(self._names[shard]) as raw, h5py.File(raw, "r") as file:
                values = file[self.column][:, : self.shape[1]]
            taken = values[self._rows[first:end] - self._ends[shard]]
            yield int(first), taken.astype(np.float32)

    def close(self) -> None:
        """Close what HDF5 holds open."""
        for opened in self._unpacked.values():
            opened.close()
        self._unpacked.clear()
        self._datasets.clear()

    def _dataset(self, shard: int) -> Any:
        """Open a column that HDF5 has to unpack, and keep it open for a while."""
        if shard not in self._unpacked:
            stack = ExitStack()
            raw = stack.enter_context(self._files.opened(self._names[shard]))
            file = stack.enter_context(h5py.File(raw, "r"))
            self._unpacked[shard] = stack
            self._datasets[shard] = file[self.column]
            if len(self._unpacked) > _MAX_UNPACKED:
                oldest, opened = self._unpacked.popitem(last=False)
                del self._datasets[oldest]
                opened.close()
        self._unpacked.move_to_end(shard)
        return self._datasets[shard]


class LabelRows:
    """Labels as vectors of 0 and 1: the space of one-hot conditions, which nothing stores."""

    def __init__(self, labels: ClassLists) -> None:
        self.labels = labels
        self.shape = (len(labels), labels.num_classes)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Float32:
        wanted = np.asarray(rows, np.int64)
        dense = self.labels.taken(wanted.reshape(-1)).dense().astype(np.float32)
        result: Float32 = dense.reshape(*wanted.shape, self.shape[1])
        return result

    def blocks(self) -> Iterator[tuple[int, Float32]]:
        """Write all rows in order; see ``Rows``."""
        for start in range(0, len(self), _SAMPLE):
            yield start, self[np.arange(start, min(start + _SAMPLE, len(self)))]
