"""What a folder of mined shards holds, in numbers and in the files beside the shards."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from uss.checkpoints.bundle import Bundle, save_bundle
from uss.core.files import written_whole
from uss.data.class_averages import class_queries
from uss.shards import ShardReader, SkippedClip, list_shards, read_skipped
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
        cpu_seconds: of this run per stage: decode, resample, tag, encode, write.
    """

    num_clips: int
    skipped: Sequence[SkippedClip]
    num_anchors: int
    anchors_of_class: Mapping[int, int]
    seconds_of_audio: float
    elapsed_seconds: float
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


def write_class_queries(folder: Path) -> Counter[int]:
    """Write class queries of every space of the shards, if they hold anchors.

    Returns:
        How many anchors each class index has.
    """
    with ShardReader(folder) as reader:
        counts = Counter(reader.class_index.tolist())
        for space in (*reader.settings.spaces, PROBABILITY_SPACE) if len(reader) else ():
            queries = class_queries(reader, space)
            save_bundle(folder / f"queries-{space}.safetensors", Bundle(class_queries=queries))
    return counts
