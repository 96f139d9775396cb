"""Averages of conditions per class, block by block (eq. 9)."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from uss.core.arrays import Float64
from uss.shards.class_lists import ClassLists
from uss.shards.index import Averages
from uss.shards.rows import Rows


def averages_of(rows: Rows, labels: ClassLists) -> Averages:
    """Average over all anchors that carry a class's label; of classes without one there is none.

    Args:
        rows: (N, H).
        labels: of the N anchors.
    """
    sums: Float64 = np.zeros((labels.num_classes, rows.shape[1]), np.float64)
    for first, block in rows.blocks():
        some = labels.taken(np.arange(first, first + len(block)))
        of_class = scipy.sparse.csr_array(
            (np.ones(len(some.classes)), some.classes, some.offsets),
            shape=(len(some), labels.num_classes),
        )
        sums += of_class.T @ block.astype(np.float64)
    present = np.array(labels.present(), np.int64)
    counts = np.bincount(labels.classes, minlength=labels.num_classes)[present]
    return Averages(present, (sums[present] / counts[:, None]).astype(np.float32))
