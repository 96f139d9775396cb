"""Class queries from shards (eq. 9)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from uss.conditions.class_queries import CAPTION_SUFFIX, ClassQueries, average_by_class
from uss.core.arrays import Float32
from uss.shards import ShardReader
from uss.taggers import ONE_HOT_SPACE


def class_queries(
    reader: ShardReader, space: str, conditions: Float32 | None = None
) -> ClassQueries:
    """Average the conditions of all anchors with a class's label (eq. 9).

    In the space of one-hot conditions a class is asked for with its own one-hot vector, without
    the labels that clips of it carry besides (section 3.7).

    Averages of texts that lie beside audio are queries in the space of both.

    Args:
        reader: the anchors.
        space: of the conditions.
        conditions: (N, H), where the caller has read them already.

    Raises:
        ValueError: if the shards do not hold that space, or no anchors.
    """
    if space == ONE_HOT_SPACE:
        present = np.flatnonzero(reader.labels.any(axis=0))
        one_hot = np.eye(reader.labels.shape[1], dtype=np.float32)
        return ClassQueries(space, tuple(present.tolist()), one_hot[present])
    if conditions is None:
        conditions = reader.conditions(space)
    labels = [np.flatnonzero(row).tolist() for row in reader.labels]
    queries = average_by_class(space.removesuffix(CAPTION_SUFFIX), conditions, labels)
    return replace(queries, own=reader.settings.own_classes)
