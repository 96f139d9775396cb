"""Class queries from shards (eq. 9)."""

from __future__ import annotations

import numpy as np

from uss.conditions.class_queries import CAPTION_SUFFIX, ClassQueries
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.shards import ShardReader
from uss.taggers import ONE_HOT_SPACE


def class_queries(reader: ShardReader, space: str) -> ClassQueries:
    """Average the conditions of all anchors with a class's label (eq. 9).

    In the space of one-hot conditions a class is asked for with its own one-hot vector, without
    the labels that clips of it carry besides (section 3.7).

    Averages of texts that lie beside audio are queries in the space of both.

    Args:
        reader: the anchors.
        space: of the conditions.

    Raises:
        ValueError: if the shards do not hold that space, or no anchors.
    """
    if space == ONE_HOT_SPACE:
        present = reader.label_lists.present()
        one_hot = np.eye(reader.settings.num_classes, dtype=np.float32)
        return ClassQueries(space, tuple(present), one_hot[present])
    averages = reader.averages(space)
    if not len(averages.class_indexes):
        raise InputError("no anchor has a label, so there are no class queries")
    return ClassQueries(
        space.removesuffix(CAPTION_SUFFIX),
        tuple(averages.class_indexes.tolist()),
        averages.vectors,
        own=reader.settings.own_classes,
    )


def averages_by_index(reader: ShardReader, queries: ClassQueries) -> Float32:
    """(K, H): the average of each class; zeros for classes without one."""
    averages = np.zeros((reader.settings.num_classes, queries.vectors.shape[1]), np.float32)
    averages[list(queries.class_indexes)] = queries.vectors
    return averages
