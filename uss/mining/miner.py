"""Anchor mining: clips with weak labels in, anchors out (section 3.3, Algorithm 1, step 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import nn

from ontology import Ontology
from uss.conditions.embedding import ConditionEncoder, EmbeddingEncoder
from uss.conditions.text_encoders import TextEncoder
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.data.manifest import Clip
from uss.mining.anchors import AnchorSpan, find_anchors, random_spans, resample_frames
from uss.mining.unheard import loudest_spans, parents_curve
from uss.shards import Anchor
from uss.taggers import Tagger

Strategy = Literal["sed", "in-clip-random", "out-clip-random"]

_FRAMES_PER_SECOND = 100
_MIN_SECONDS = 0.3


class SkippedClipError(InputError):
    """The clip cannot give an anchor; the message is the reason."""


@dataclass(frozen=True)
class MiningSettings:
    """How anchors are chosen (sections 3.3, 4.6.5).

    Attributes:
        segment_seconds: the anchors' length.
        anchors_per_clip: how many that do not overlap, per clip and class; None stands for 2 with
            ``in-clip-random`` and for 1 otherwise.
        labels: mine for every label (``all``, as the paper), or for those only that have no more
            specific label beside them (``specific``).
        strategy: ``sed`` takes the segments where detection hears the class; ``out-clip-random``
            draws them anywhere in the clip; ``in-clip-random`` as well, but at least two, which
            training mixes with each other.
        seed: of the random strategies.
    """

    segment_seconds: float = 2.0
    anchors_per_clip: int | None = None
    labels: str = "all"
    strategy: Strategy = "sed"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0.5 <= self.segment_seconds <= 10.0:
            raise InputError(f"segments of {self.segment_seconds} s; choose 0.5 to 10 s")
        if self.strategy not in get_args(Strategy):
            raise InputError(
                f"strategy {self.strategy!r}; choose one of {', '.join(get_args(Strategy))}"
            )
        at_least = 2 if self.strategy == "in-clip-random" else 1
        if self.anchors_per_clip is None:
            object.__setattr__(self, "anchors_per_clip", at_least)
        elif not isinstance(self.anchors_per_clip, int):
            raise InputError(f"{self.anchors_per_clip!r} anchors per clip; choose a whole number")
        elif self.anchors_per_clip < at_least:
            raise InputError(
                f"{self.anchors_per_clip} anchors per clip with the strategy {self.strategy}; "
                f"choose {at_least} or more"
            )
        if self.labels not in ("all", "specific"):
            raise InputError(f"labels {self.labels!r}; choose all or specific")
        if self.seed < 0:
            raise InputError(f"seed {self.seed}; choose 0 or more")

    def attributes(self) -> dict[str, Any]:
        """Name what the anchors depend on; detection draws nothing, so it has no seed."""
        values = asdict(self)
        if self.strategy == "sed":
            del values["seed"]
        return values


def clip_generator(seed: int, clip_id: str) -> np.random.Generator:
    """Return the generator for one clip, a function of (seed, clip id) alone.

    Whatever was mined before, in whichever shard, the clip's draws are the same.
    """
    digest = hashlib.sha256(clip_id.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:16], "big")])


class _ChosenSegment(NamedTuple):
    """Where a class's anchor lies; the score of one that chance chose is its tag probability."""

    class_index: int
    start_samples: int
    end_samples: int
    score: float | None


class AnchorMiner:
    """Finds anchors in one clip after another.

    Args:
        tagger: gives framewise probabilities.
        encoders: compute the anchors' conditions.
        ontology: names the classes and says which is more specific; classes that are not among
            the tagger's are found as ``uss.mining.unheard`` says.
        settings: how anchors are chosen.
        anchor_tagger: tags the anchors; None takes the tagger.
        readers: text encoder per space; they read captions, or the names of a clip's labels where
            it has no caption.
    """

    def __init__(
        self,
        tagger: Tagger,
        encoders: Sequence[ConditionEncoder],
        ontology: Ontology,
        settings: MiningSettings,
        anchor_tagger: Tagger | None = None,
        readers: Mapping[str, TextEncoder] | None = None,
    ) -> None:
        self.tagger = tagger
        self.anchor_tagger = anchor_tagger or tagger
        self.encoders = encoders
        self.readers = readers or {}
        self.ontology = ontology
        self.settings = settings
        # Where the tagger's weights are, if it has any.
        weights = tagger.parameters() if isinstance(tagger, nn.Module) else ()
        self.device = next((weight.device for weight in weights), torch.device("cpu"))
        self.segment_samples = round(settings.segment_seconds * tagger.sample_rate)
        assert settings.anchors_per_clip is not None  # the settings filled it in
        self.anchors_per_clip = settings.anchors_per_clip

    def labels(self, mids: Sequence[str]) -> tuple[int, ...]:
        """Class indexes of labels; nodes that are none of the 527 classes are left out.

        Raises:
            SkippedClipError: if a mid is unknown or no class is left.
        """
        try:
            nodes = [self.ontology.find(mid, aliases=False) for mid in mids]
        except ValueError as error:
            raise SkippedClipError(str(error)) from error
        indexes = tuple(node.class_index for node in nodes if node.class_index is not None)
        if not indexes:
            raise SkippedClipError("no label among the 527 classes")
        return indexes

    def mine(self, clip: Clip, waveform: Float32, labels: tuple[int, ...]) -> list[Anchor]:
        """Find the anchors of one clip.

        Args:
            clip: its row of the manifest.
            waveform: (T,) float32 at the tagger's sample rate.
            labels: class indexes of its labels.

        Raises:
            SkippedClipError: if the clip is shorter than 0.3 s or silent, or with
                ``in-clip-random`` too short for two segments.
        """
        seconds = len(waveform) / self.tagger.sample_rate
        if seconds < _MIN_SECONDS:
            raise SkippedClipError(f"shorter than {_MIN_SECONDS} s ({seconds:.3f} s)")
        if not np.any(waveform):
            raise SkippedClipError("silent")
        if self.settings.strategy == "sed":
            found = self._detected(waveform, labels)
        else:
            found = self._drawn(clip.clip_id, len(waveform), labels)
        # Several labels often share a span; it is encoded once.
        spans = sorted({(choice.start_samples, choice.end_samples) for choice in found})
        batch = np.zeros((len(spans), self.segment_samples), np.float32)
        for row, (start, end) in enumerate(spans):
            batch[row, : end - start] = waveform[start:end]
        probabilities, conditions = self._encode(torch.from_numpy(batch))
        words = self._words(clip, labels)
        read = {space: reader.encode([words])[0] for space, reader in self.readers.items()}
        anchors = []
        for index, start, end, score in found:
            row = spans.index((start, end))
            anchors.append(
                Anchor(
                    clip_id=clip.clip_id,
                    class_index=index,
                    start_seconds=start / self.tagger.sample_rate,
                    score=float(probabilities[row, index]) if score is None else score,
                    # Not a view of the clip, which would keep all of it in memory.
                    waveform=batch[row, : end - start],
                    labels=labels,
                    tag_probabilities=probabilities[row],
                    conditions={space: rows[row] for space, rows in conditions.items()} | read,
                    caption=clip.caption,
                    group=clip.group,
                )
            )
        return anchors

    def _words(self, clip: Clip, labels: tuple[int, ...]) -> str:
        """Return what is said of a clip; AudioSep's data say the names of AudioSet's labels."""
        names = (self.ontology.classes[index].name for index in dict.fromkeys(labels))
        return clip.caption.strip() or ", ".join(names)

    def _detected(self, waveform: Float32, labels: tuple[int, ...]) -> list[_ChosenSegment]:
        """Choose where the classes are most probable (Algorithm 1, step 2)."""
        with torch.inference_mode():
            heard = torch.from_numpy(waveform)[None].to(self.device)
            framewise = self.tagger(heard).framewise[0].cpu().numpy()
        return [
            _ChosenSegment(index, *span)
            for index in self._classes_to_mine(labels)
            for span in self._spans_of(index, framewise, waveform)
        ]

    def _drawn(
        self, clip_id: str, clip_samples: int, labels: tuple[int, ...]
    ) -> list[_ChosenSegment]:
        """Choose by chance, the same segments for all classes."""
        rng = clip_generator(self.settings.seed, clip_id)
        spans = random_spans(rng, clip_samples, self.segment_samples, self.anchors_per_clip)
        if self.settings.strategy == "in-clip-random" and len(spans) < 2:
            seconds = clip_samples / self.tagger.sample_rate
            raise SkippedClipError(
                f"too short ({seconds:.3f} s) for two segments of "
                f"{self.settings.segment_seconds:g} s to mix with each other"
            )
        return [
            _ChosenSegment(index, start, end, None)
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
            hop_length=self.tagger.sample_rate // _FRAMES_PER_SECOND,
            segment_samples=self.segment_samples,
            count=self.anchors_per_clip,
        )

    def _spans(self, probability: Float32, clip_samples: int) -> list[AnchorSpan]:
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
            count=self.anchors_per_clip,
        )

    def _encode(self, batch: torch.Tensor) -> tuple[Float32, dict[str, Float32]]:
        with torch.inference_mode():
            batch = batch.to(self.device)
            tagged = self.anchor_tagger(batch)
            conditions = {}
            for encoder in self.encoders:
                # The same network need not hear the anchors twice.
                same = isinstance(encoder, EmbeddingEncoder) and (
                    encoder.network is self.anchor_tagger
                )
                made = tagged.embedding if same else encoder(batch)
                conditions[encoder.space] = made.cpu().numpy()
        # Of classes that the tagger does not know, it hears nothing.
        heard = tagged.clipwise.cpu().numpy()
        probabilities = np.zeros((len(heard), len(self.ontology.classes)), np.float32)
        probabilities[:, : heard.shape[1]] = heard
        return probabilities, conditions
