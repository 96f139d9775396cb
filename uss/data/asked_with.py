"""What mixtures are asked with: what audio is, what is said of it, or either."""

from __future__ import annotations

from typing import NamedTuple

from uss.conditions.class_queries import ClassQueries, caption_space
from uss.core.errors import InputError
from uss.data.class_averages import class_queries
from uss.shards import Rows, ShardReader


class AskedWith(NamedTuple):
    """Conditions of anchors.

    Attributes:
        conditions: (N, H), read when asked for.
        texts: (N, H) of what is said of them, which whole batches may be asked with instead; None
            where the conditions are all there is.
        queries: averages per class, of texts where any are trained with.
    """

    conditions: Rows
    texts: Rows | None
    queries: ClassQueries


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
    queries = class_queries(reader, asked_in)
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
