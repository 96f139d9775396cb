"""Where in a file the rows of a column lie."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from uss.core.arrays import Indexes


def row_offsets(dataset: h5py.Dataset) -> Indexes:
    """Find where in the file each row of (N, H) begins; -1 where a row is not there as it is."""
    count, size = dataset.shape
    offsets: Indexes = np.full(count, -1, np.int64)
    row_bytes = size * dataset.dtype.itemsize
    plain = dataset.id.get_create_plist().get_nfilters() == 0
    if not plain or not count or dataset.dtype.newbyteorder("<") != dataset.dtype:
        return offsets
    if dataset.chunks is None:
        base = dataset.id.get_offset()
        return offsets if base is None else base + row_bytes * np.arange(count)
    rows_per_chunk, width = dataset.chunks
    if width == size:

        def note(chunk: Any) -> None:
            first = chunk.chunk_offset[0]
            some = offsets[first : first + rows_per_chunk]
            some[:] = chunk.byte_offset + row_bytes * np.arange(len(some))

        dataset.id.chunk_iter(note)
    return offsets
