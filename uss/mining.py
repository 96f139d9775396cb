"""Anchor mining: clips with weak labels in, anchors out (section 3.3, Algorithm 1, step 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ontology import Ontology
from uss.anchors import AnchorSpan, find_anchors, resample_frames
from uss.queries import ConditionEncoder
from uss.shards import Anchor
from uss.taggers import Tagger

_FRAMES_PER_SECOND = 100
_MIN_SECONDS = 0.3


class SkippedClipError(ValueError):
    """The clip cannot give an anchor; the message is the reason."""


@dataclass(frozen=True)
class MiningSettings:
    """How anchors are chosen.

    Attributes:
        segment_seconds: the anchors' length.
        anchors_per_clip: how many that do not overlap, per clip and class.
        labels: mine for every label (``all``, as the paper), or for those only that have no more
            specific label beside them (``specific``).
    """

    segment_seconds: float = 2.0
    anchors_per_clip: int = 1
    labels: str = "all"

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0.5 <= self.segment_seconds <= 10.0:
            raise ValueError(f"segments of {self.segment_seconds} s; choose 0.5 to 10 s")
        if self.anchors_per_clip < 1:
            raise ValueError(f"{self.anchors_per_clip} anchors per clip; choose 1 or more")
        if self.labels not in ("all", "specific"):
            raise ValueError(f"labels {self.labels!r}; choose all or specific")


class AnchorMiner:
    """Finds anchors in one clip after another.

    Args:
        tagger: gives framewise probabilities and tags the anchors.
        encoders: compute the anchors' conditions.
        ontology: names the classes and says which is more specific.
        settings: how anchors are chosen.
    """

    def __init__(
        self,
        tagger: Tagger,
        encoders: Sequence[ConditionEncoder],
        ontology: Ontology,
        settings: MiningSettings,
    ) -> None:
        self.tagger = tagger
        self.encoders = encoders
        self.ontology = ontology
        self.settings = settings
        self.segment_samples = round(settings.segment_seconds * tagger.sample_rate)

    def labels(self, mids: Sequence[str]) -> tuple[int, ...]:
        """Class indexes of labels; nodes that are none of the 527 classes are left out.

        Raises:
            SkippedClipError: if a mid is unknown or no class is left.
        """
        try:
            nodes = [self.ontology.find(mid) for mid in mids]
        except ValueError as error:
            raise SkippedClipError(str(error)) from error
        indexes = tuple(node.class_index for node in nodes if node.class_index is not None)
        if not indexes:
            raise SkippedClipError("no label among the 527 classes")
        return indexes

    def mine(
        self, clip_id: str, waveform: NDArray[np.float32], labels: tuple[int, ...], caption: str
    ) -> list[Anchor]:
        """Find the anchors of one clip.

        Args:
            clip_id: its id.
            waveform: (T,) float32 at the tagger's sample rate.
            labels: class indexes of its labels.
            caption: its caption.

        Raises:
            SkippedClipError: if the clip is shorter than 0.3 s or silent.
        """
        seconds = len(waveform) / self.tagger.sample_rate
        if seconds < _MIN_SECONDS:
            raise SkippedClipError(f"shorter than {_MIN_SECONDS} s ({seconds:.3f} s)")
        if not np.any(waveform):
            raise SkippedClipError("silent")
        with torch.inference_mode():
            framewise = self.tagger(torch.from_numpy(waveform)[None]).framewise[0].numpy()
        found = [
            (index, span)
            for index in self._classes_to_mine(labels)
            for span in self._spans(framewise[:, index], len(waveform))
        ]
        # Several labels often share a span; it is encoded once.
        spans = sorted({span[:2] for _, span in found})
        batch = np.zeros((len(spans), self.segment_samples), np.float32)
        for row, (start, end) in enumerate(spans):
            batch[row, : end - start] = waveform[start:end]
        probabilities, conditions = self._encode(torch.from_numpy(batch))
        anchors = []
        for index, span in found:
            row = spans.index(span[:2])
            anchors.append(
                Anchor(
                    clip_id=clip_id,
                    class_index=index,
                    start_seconds=span.start_samples / self.tagger.sample_rate,
                    score=span.score,
                    # Not a view of the clip: a shard's worth of whole clips fills the memory.
                    waveform=batch[row, : span.end_samples - span.start_samples],
                    labels=labels,
                    tag_probabilities=probabilities[row],
                    conditions={space: rows[row] for space, rows in conditions.items()},
                    caption=caption,
                )
            )
        return anchors

    def _classes_to_mine(self, labels: tuple[int, ...]) -> list[int]:
        unique = dict.fromkeys(labels)
        if self.settings.labels == "all":
            return list(unique)
        below = {
            index: set(self.ontology.class_indexes(self.ontology.classes[index])) - {index}
            for index in unique
        }
        return [index for index in unique if not below[index] & unique.keys()]

    def _spans(self, probability: NDArray[np.float32], clip_samples: int) -> list[AnchorSpan]:
        hop_length = self.tagger.sample_rate // _FRAMES_PER_SECOND
        curve = resample_frames(
            probability,
            self.tagger.frames_per_second,
            _FRAMES_PER_SECOND,
            max(1, clip_samples // hop_length),
        )
        return find_anchors(
            curve,
            hop_length=hop_length,
            clip_samples=clip_samples,
            segment_samples=self.segment_samples,
            count=self.settings.anchors_per_clip,
        )

    def _encode(
        self, batch: torch.Tensor
    ) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
        with torch.inference_mode():
            probabilities = self.tagger(batch).clipwise.numpy()
            conditions = {encoder.space: encoder(batch).numpy() for encoder in self.encoders}
        return probabilities, conditions
