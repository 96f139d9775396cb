"""What training refuses of the sets of shards it is given, and what it says of them."""

from __future__ import annotations

from typing import Any

from ontology import OwnClass
from uss.core.errors import InputError
from uss.shards import ShardReader


def check_format(reader: ShardReader, sample_rate: int, segment_seconds: float) -> None:
    """Refuse shards that a model of this rate and length cannot take.

    Raises:
        ValueError: if they are of another rate or length.
    """
    stored = reader.settings
    wanted = (sample_rate, segment_seconds)
    given = (stored.sample_rate, stored.segment_samples / stored.sample_rate)
    if given != wanted:
        raise InputError(
            f"the model takes {wanted[1]} s at {wanted[0]} Hz, the shards hold {given[1]} s at "
            f"{given[0]} Hz; mine shards of that length or change the model"
        )


def check_own_classes(training: tuple[OwnClass, ...], validation: ShardReader) -> None:
    """Refuse shards in which the same index is another class.

    Raises:
        ValueError: if so.
    """
    if validation.settings.own_classes != training:
        raise InputError(
            f"{validation.place} was mined with other classes of your own than the training "
            "shards; mine both with the same --own-classes"
        )


def described(reader: ShardReader) -> dict[str, Any]:
    """Say how many anchors there are, and how they were mined."""
    settings = reader.settings
    told = {"tagger": settings.tagger, "tagger_hash": settings.tagger_hash, **settings.mining}
    return {"anchors": len(reader), "shards": told}
