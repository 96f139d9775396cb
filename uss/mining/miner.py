"""Anchor mining: clips with weak labels in, anchors out (section 3.3, Algorithm 1, step 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from ontology import Ontology
from uss.conditions.embedding import ConditionEncoder
from uss.conditions.text_encoders import TextEncoder
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.core.runtime import Runtime
from uss.core.stage_clock import StageClock
from uss.data.manifest import Clip
from uss.mining.choosing import ChosenSegment, SegmentChooser
from uss.mining.network_batches import NetworkBatches
from uss.shards import Anchor
from uss.taggers import Tagger

Strategy = Literal["sed", "in-clip-random", "out-clip-random"]

SEGMENT_SECONDS = (0.5, 10.24)
"""The shortest and the longest anchors; FlowSep's are the longest of all recipes."""
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
        shortest, longest = SEGMENT_SECONDS
        if not shortest <= self.segment_seconds <= longest:
            raise InputError(
                f"segments of {self.segment_seconds} s; choose {shortest} to {longest} s"
            )
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


class LabelledWaveform(NamedTuple):
    """A clip that has been decoded.

    Attributes:
        clip: its row of the manifest.
        waveform: (T,) float32 at the tagger's sample rate.
        labels: class indexes of its labels.
    """

    clip: Clip
    waveform: Float32
    labels: tuple[int, ...]


class AnchorMiner:
    """Finds anchors in clips, in several at once where that is faster.

    Args:
        tagger: gives framewise probabilities.
        encoders: compute the anchors' conditions.
        ontology: names the classes and says which is more specific; classes that are not among
            the tagger's are found as ``uss.mining.unheard`` says.
        settings: how anchors are chosen.
        anchor_tagger: tags the anchors; None takes the tagger.
        readers: text encoder per space; they read captions, or the names of a clip's labels where
            it has no caption.
        runtime: how the networks run; None for as they are.
    """

    def __init__(
        self,
        tagger: Tagger,
        encoders: Sequence[ConditionEncoder],
        ontology: Ontology,
        settings: MiningSettings,
        anchor_tagger: Tagger | None = None,
        readers: Mapping[str, TextEncoder] | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self.tagger = tagger
        self.anchor_tagger = anchor_tagger or tagger
        self.ontology = ontology
        self.settings = settings
        self.networks = NetworkBatches(tagger, self.anchor_tagger, encoders, readers or {}, runtime)
        self.segment_samples = round(settings.segment_seconds * tagger.sample_rate)
        self.chooser = SegmentChooser(
            settings, ontology, tagger.sample_rate, tagger.frames_per_second, self.segment_samples
        )

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
        """Find the anchors of one clip; see ``mine_together``.

        Raises:
            SkippedClipError: if it can give none.
        """
        (found,) = self.mine_together([LabelledWaveform(clip, waveform, labels)])
        if isinstance(found, SkippedClipError):
            raise found
        return found

    def mine_together(
        self, clips: Sequence[LabelledWaveform], clock: StageClock | None = None
    ) -> list[list[Anchor] | SkippedClipError]:
        """Find the anchors of several clips, whose waveforms share the networks' batches.

        Args:
            clips: any number.
            clock: is told the stages ``tag`` and ``encode``.

        Returns:
            For each clip its anchors; or why it can give none: it is shorter than 0.3 s or silent,
            or with ``in-clip-random`` too short for two segments.
        """
        clock = clock or StageClock()
        found: list[list[Anchor] | SkippedClipError] = [self._flaw(each) or [] for each in clips]
        good = [row for row, flaw in enumerate(found) if not isinstance(flaw, SkippedClipError)]
        with clock("tag"):
            chosen = self._chosen([clips[row] for row in good])
        with clock("encode"):
            for row, anchors in zip(
                good, self._anchors([clips[row] for row in good], chosen), strict=True
            ):
                found[row] = anchors
        return found

    def _flaw(self, heard: LabelledWaveform) -> SkippedClipError | None:
        """Say why a clip can give no anchor, if so."""
        num_samples = len(heard.waveform)
        seconds = num_samples / self.tagger.sample_rate
        if seconds < _MIN_SECONDS:
            return SkippedClipError(f"shorter than {_MIN_SECONDS} s ({seconds:.3f} s)")
        if not np.any(heard.waveform):
            return SkippedClipError("silent")
        if self.settings.strategy == "in-clip-random" and num_samples < 2 * self.segment_samples:
            return SkippedClipError(
                f"too short ({seconds:.3f} s) for two segments of "
                f"{self.settings.segment_seconds:g} s to mix with each other"
            )
        return None

    def _anchors(
        self, clips: Sequence[LabelledWaveform], chosen: Sequence[list[ChosenSegment]]
    ) -> list[list[Anchor]]:
        """Tag and encode the segments that were chosen in each clip."""
        # Several labels often share a span; it is encoded once.
        spans_of = [
            sorted({(each.start_samples, each.end_samples) for each in segments})
            for segments in chosen
        ]
        first_rows = np.cumsum([0, *map(len, spans_of)]).tolist()
        if not first_rows[-1]:
            return [[] for _ in clips]
        batch = np.zeros((first_rows[-1], self.segment_samples), np.float32)
        for heard, spans, first in zip(clips, spans_of, first_rows, strict=False):
            for row, (start, end) in enumerate(spans, first):
                batch[row, : end - start] = heard.waveform[start:end]
        tags, conditions = self.networks.encode(batch)
        # Of classes that the tagger does not know, it hears nothing.
        probabilities = np.zeros((len(tags), len(self.ontology.classes)), np.float32)
        probabilities[:, : tags.shape[1]] = tags
        all_anchors = []
        for (clip, _, labels), segments, spans, first in zip(
            clips, chosen, spans_of, first_rows, strict=False
        ):
            read = self.networks.read(self._words(clip, labels))
            anchors = []
            for index, start, end, score in segments:
                row = first + spans.index((start, end))
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
            all_anchors.append(anchors)
        return all_anchors

    def _words(self, clip: Clip, labels: tuple[int, ...]) -> str:
        """Return what is said of a clip; AudioSep's data say the names of AudioSet's labels."""
        names = (self.ontology.classes[index].name for index in dict.fromkeys(labels))
        return clip.caption.strip() or ", ".join(names)

    def _chosen(self, clips: Sequence[LabelledWaveform]) -> list[list[ChosenSegment]]:
        """Choose the segments of each clip: where its classes are most probable, or by chance."""
        if self.settings.strategy != "sed":
            return [
                self.chooser.drawn(each.labels, each.clip.clip_id, len(each.waveform))
                for each in clips
            ]
        framewise = self.networks.framewise([each.waveform for each in clips])
        return [
            self.chooser.detected(each.labels, probabilities, each.waveform)
            for each, probabilities in zip(clips, framewise, strict=True)
        ]
