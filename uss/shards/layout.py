"""What shards hold and how they are named.

A shard holds the anchors of a run of manifest rows and is named after the rows; it is complete or
absent. Layout, version 1, N anchors of S samples, K classes:

    waveform            (N, S) int16, one row per chunk, zero-padded
    valid_samples       (N,) int32
    class_index         (N,) int16, the class the anchor was mined for; from 527 on one of the
                        settings' own classes, which have labels, and whose tags are 0
    clip_id, caption    (N,) UTF-8
    group               (N,) UTF-8, of the manifest, else the clip; older shards lack it
    start_seconds       (N,) float64, where in the clip
    score               (N,) float32, how probable the class is in it, see ``Anchor``
    labels              (N, K) bool, all labels of the clip
    tag_probabilities   (N, K) float16
    conditions/<space>  (N, H) float16
    skipped/clip_id, skipped/reason   rows that gave no anchor
    skipped/missing     whether that was for want of a file; shards of earlier releases lack it
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ontology import Ontology, OwnClass, load_ontology, with_own_classes
from uss.core.arrays import Float32

SCHEMA_VERSION = 1
_NAME = re.compile(r"anchors-(\d{9})-(\d{9})\.h5")


@dataclass(frozen=True)
class Anchor:
    """One mined segment.

    Attributes:
        clip_id: of the clip it comes from.
        class_index: the class it was mined for.
        start_seconds: where it starts in the clip.
        score: how probable the class is in it: the mean framewise probability where detection
            chose the anchor, the tag probability where chance did. Of a class that the tagger does
            not know it is that of the class above, or how much of the clip's energy it holds; see
            ``uss.mining.unheard``.
        waveform: (T,) float32 in [-1, 1], T at most the shard's segment length.
        labels: class indexes of all labels of the clip.
        tag_probabilities: (K,).
        conditions: (H,) per condition space.
        caption: of the clip.
        group: what the clip was recorded with: clips of one group are no independent examples.
            Without one, each clip is its own.
    """

    clip_id: str
    class_index: int
    start_seconds: float
    score: float
    waveform: Float32
    labels: tuple[int, ...]
    tag_probabilities: Float32
    conditions: Mapping[str, Float32]
    caption: str = ""
    group: str = ""


@dataclass(frozen=True)
class ShardSettings:
    """What must be equal in all shards of a folder.

    Attributes:
        sample_rate: in Hz.
        segment_samples: S.
        num_classes: K.
        tagger: name of the mining tagger.
        tagger_hash: of its weights.
        spaces: H per condition space.
        mining: settings of the mining run.
    """

    sample_rate: int
    segment_samples: int
    num_classes: int
    tagger: str
    tagger_hash: str
    spaces: Mapping[str, int]
    mining: Mapping[str, Any]

    @property
    def own_classes(self) -> tuple[OwnClass, ...]:
        """The classes from index 527 on."""
        return tuple(OwnClass(*each) for each in self.mining.get("own_classes", ()))

    @property
    def ontology(self) -> Ontology:
        """AudioSet's, with the own classes; its classes are the K of the shards."""
        return with_own_classes(load_ontology(), self.own_classes, indexed=True)


@dataclass(frozen=True)
class SkippedClip:
    """A manifest row that gave no anchor, and why.

    Attributes:
        clip_id: of the row.
        reason: in words.
        missing: whether there was no file, which may come later.
    """

    clip_id: str
    reason: str
    missing: bool = False


def shard_path(folder: str | Path, first_row: int, end_row: int) -> Path:
    """Name the shard of manifest rows [first_row, end_row)."""
    return Path(folder) / f"anchors-{first_row:09d}-{end_row:09d}.h5"


def list_shards(folder: str | Path) -> list[Path]:
    """Complete shards of a folder, in manifest order."""
    return sorted(path for path in Path(folder).glob("anchors-*.h5") if _NAME.fullmatch(path.name))
