"""What a folder of mined shards holds, in numbers and in the files beside the shards."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ontology import OwnClass
from uss.checkpoints.bundle import Bundle, save_bundle
from uss.conditions.class_queries import SEQUENCE_SPACES
from uss.core.files import written_whole
from uss.data.class_averages import class_queries
from uss.shards import (
    ShardFiles,
    ShardReader,
    SkippedClip,
    list_shards,
    read_skipped,
    update_index,
)
from uss.taggers import PROBABILITY_SPACE

SKIPPED_FILE = "skipped.csv"


@dataclass(frozen=True)
class MiningSummary:
    """What a folder holds after a run.

    Attributes:
        num_clips: rows of the manifest.
        skipped: those that gave no anchor, in manifest order.
        num_anchors: in all shards.
        anchors_of_class: class index to the number of anchors mined for it; most anchors first.
        seconds_of_audio: how much this run has decoded.
        elapsed_seconds: how long it has taken.
        own_classes: the classes from index 527 on.
        cpu_seconds: of this run per stage: decode, resample, tag, encode, write.
    """

    num_clips: int
    skipped: Sequence[SkippedClip]
    num_anchors: int
    anchors_of_class: Mapping[int, int]
    seconds_of_audio: float
    elapsed_seconds: float
    own_classes: Sequence[OwnClass] = ()
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)


def write_skipped(folder: Path) -> list[SkippedClip]:
    """Write ``skipped.csv``, which says of all shards which clips gave no anchor."""
    skipped = [entry for path in list_shards(folder) for entry in read_skipped(path)]
    with (
        written_whole(folder / SKIPPED_FILE) as part,
        part.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["clip_id", "reason"])
        writer.writerows((entry.clip_id, entry.reason) for entry in skipped)
    return skipped


def write_class_queries(
    folder: Path, min_purity: float | None = None, keep_top: int | None = None
) -> Counter[int]:
    """Write the index, and class queries of the shards' spaces, if they hold anchors.

    Vectors that hold a text's tokens have no averages.

    Args:
        folder: of the shards.
        min_purity: anchors of less are left out from now on; None leaves that as it was.
        keep_top: likewise all but so many of each class.

    Returns:
        How many anchors each class index has that are not left out.
    """
    update_index(ShardFiles(folder), min_purity, keep_top)
    with ShardReader(folder) as reader:
        counts = Counter(reader.class_index.tolist())
        spaces = [each for each in reader.spaces if each not in SEQUENCE_SPACES]
        for space in (*spaces, PROBABILITY_SPACE) if len(reader) else ():
            queries = class_queries(reader, space)
            save_bundle(folder / f"queries-{space}.safetensors", Bundle(class_queries=queries))
    return counts
