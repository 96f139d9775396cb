"""Choosing which segments of a clip become anchors, by detection or by chance."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ontology import Ontology
from uss.core.arrays import Float32
from uss.mining.anchors import AnchorSpan, find_anchors, random_spans, resample_frames
from uss.mining.unheard import loudest_spans, parents_curve

if TYPE_CHECKING:
    from uss.mining.miner import MiningSettings

_FRAMES_PER_SECOND = 100


class ChosenSegment(NamedTuple):
    """Where a class's anchor lies; the score of one that chance chose is its tag probability."""

    class_index: int
    start_samples: int
    end_samples: int
    score: float | None


def clip_generator(seed: int, clip_id: str) -> np.random.Generator:
    """Return the generator for one clip, a function of (seed, clip id) alone.

    Whatever was mined before, in whichever shard, the clip's draws are the same.
    """
    digest = hashlib.sha256(clip_id.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:16], "big")])


class SegmentChooser:
    """Chooses the segments of one clip after another.

    Args:
        settings: how anchors are chosen.
        ontology: says which class is more specific.
        sample_rate: of the clips.
        frames_per_second: of the framewise probabilities.
        segment_samples: the anchors' length.
    """

    def __init__(
        self,
        settings: MiningSettings,
        ontology: Ontology,
        sample_rate: int,
        frames_per_second: float,
        segment_samples: int,
    ) -> None:
        self.settings = settings
        self.ontology = ontology
        self.hop_length = sample_rate // _FRAMES_PER_SECOND
        self.frames_per_second = frames_per_second
        self.segment_samples = segment_samples
        assert settings.anchors_per_clip is not None  # the settings filled it in
        self.anchors_per_clip = settings.anchors_per_clip

    def detected(
        self, labels: tuple[int, ...], framewise: Float32, waveform: Float32
    ) -> list[ChosenSegment]:
        """Choose where the classes are most probable (Algorithm 1, step 2).

        Classes that the tagger does not know are found as ``uss.mining.unheard`` says.

        Args:
            labels: class indexes of the clip's labels.
            framewise: (F, K) probabilities of the classes that the tagger knows.
            waveform: (T,) of the clip, not silent.
        """
        return [
            ChosenSegment(index, *span)
            for index in self._classes_to_mine(labels)
            for span in self._spans_of(index, framewise, waveform)
        ]

    def drawn(
        self, labels: tuple[int, ...], clip_id: str, clip_samples: int
    ) -> list[ChosenSegment]:
        """Choose by chance, the same segments for all classes.

        Args:
            labels: class indexes of the clip's labels.
            clip_id: with the settings' seed it determines the draw.
            clip_samples: length of the clip.
        """
        rng = clip_generator(self.settings.seed, clip_id)
        spans = random_spans(rng, clip_samples, self.segment_samples, self.anchors_per_clip)
        return [
            ChosenSegment(index, start, end, None)
            for index in self._classes_to_mine(labels)
            for start, end in spans
        ]

    def _classes_to_mine(self, labels: tuple[int, ...]) -> list[int]:
        unique = dict.fromkeys(labels)
        if self.settings.labels == "all":
            return list(unique)
        below = {
            index: set(self.ontology.class_indexes(self.ontology.classes[index])) - {index}
            for index in unique
        }
        return [index for index in unique if not below[index] & unique.keys()]

    def _spans_of(self, index: int, framewise: Float32, waveform: Float32) -> list[AnchorSpan]:
        """Find where a class is, whether the tagger knows it or not."""
        if index < framewise.shape[1]:
            return self._spans(framewise[:, index], len(waveform))
        curve = parents_curve(index, framewise, self.ontology)
        if curve is not None:
            return self._spans(curve, len(waveform))
        return loudest_spans(
            waveform,
            hop_length=self.hop_length,
            segment_samples=self.segment_samples,
            count=self.anchors_per_clip,
        )

    def _spans(self, probability: Float32, clip_samples: int) -> list[AnchorSpan]:
        curve = resample_frames(
            probability,
            self.frames_per_second,
            _FRAMES_PER_SECOND,
            max(1, clip_samples // self.hop_length),
        )
        return find_anchors(
            curve,
            hop_length=self.hop_length,
            clip_samples=clip_samples,
            segment_samples=self.segment_samples,
            count=self.anchors_per_clip,
        )
