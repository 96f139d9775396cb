"""What mixtures are asked with: what audio is, what is said of it, or either."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from uss.conditions.class_queries import SEQUENCE_SPACES, ClassQueries, caption_space
from uss.core.arrays import Float32, Indexes
from uss.core.errors import InputError
from uss.data.class_averages import class_queries
from uss.shards import Rows, ShardReader
from uss.taggers import LABEL_SPACES


class AskedWith(NamedTuple):
    """Conditions of anchors.

    Attributes:
        conditions: (N, H), read when asked for.
        texts: (N, H) of what is said of them, which whole batches may be asked with instead; None
            where the conditions are all there is.
        queries: averages per class, of texts where any are trained with; None where vectors hold
            the tokens of a text, of which a mean says nothing.
    """

    conditions: Rows
    texts: Rows | None
    queries: ClassQueries | None


def asked_space(space: str, text_ratio: float | None) -> str:
    """Name what people will ask with: text, where any is trained with."""
    return caption_space(space, hears=bool(text_ratio))


def asked_with(reader: ShardReader, space: str, text_ratio: float | None) -> AskedWith:
    """Open the conditions that training asks with.

    Args:
        reader: the anchors.
        space: of the separator's conditions.
        text_ratio: how often a batch is asked with text; None where there is no text beside audio.

    Raises:
        ValueError: if the shards lack one of them.
    """
    asked_in = asked_space(space, text_ratio)
    queries = None if space in SEQUENCE_SPACES else class_queries(reader, asked_in)
    if not text_ratio or text_ratio == 1.0:
        return AskedWith(reader.rows_of(asked_in), None, queries)
    return AskedWith(reader.rows_of(space), reader.rows_of(asked_in), queries)


def check_text_ratio(text_ratio: float | None, is_joint: bool) -> None:
    """Refuse a ratio that is none, or that joint mixtures do not know.

    Raises:
        ValueError: if so.
    """
    if text_ratio is not None and not 0.0 <= text_ratio <= 1.0:
        raise InputError(f"text_ratio {text_ratio} is not in [0, 1]")
    if is_joint and text_ratio not in (None, 0.0, 1.0):
        raise InputError("joint mixtures are asked with text or audio; set text_ratio to 1")


def combine_conditions(conditions: Float32, num_targets: Indexes, space: str | None) -> Float32:
    """Ask for several sources at once.

    In a space whose dimensions are classes it is the union of what is in the sources, the largest
    value of each dimension, as a group of classes keeps the values of all of them (eq. 10). In a
    space of embeddings it is their mean (eq. 9).

    Args:
        conditions: (B, J, H) of every source of a mixture.
        num_targets: (B,) how many of them, from the first, are asked for; at least 1.
        space: the name of the conditions' space; None for one that knows no means.

    Returns:
        (B, H) float32.
    """
    is_target = (np.arange(conditions.shape[1]) < num_targets[:, None])[:, :, None]
    if space in LABEL_SPACES:
        combined = np.where(is_target, conditions, -np.inf).max(axis=1)
    else:
        combined = np.where(is_target, conditions, 0.0).sum(axis=1) / num_targets[:, None]
    result: Float32 = combined.astype(np.float32)
    return result
