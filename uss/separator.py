"""The separator a program uses: a recording in, stems by class out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ontology import Node, Ontology, load_ontology
from uss.audio import Recording, Waveform, resample
from uss.bundle import Bundle
from uss.checkpoints import (
    DEFAULT_MODEL,
    load_class_queries,
    load_model,
    load_tagger,
    weight_hash,
)
from uss.hierarchy import Detection, FloatArray, active_at_level, detect
from uss.models import SeparatorNetwork
from uss.queries import TEXT_SPACE, ClassQueries
from uss.segments import Segmentation
from uss.separation import Request, Runtime, separate, tag_segments
from uss.taggers import NUM_CLASSES, PROBABILITY_SPACE, TaggerNetwork

logger = logging.getLogger(__name__)

DEFAULT_THRESHOLD = 0.2
DEFAULT_OVERLAP = 0.25
_TAG_WINDOW_SECONDS = 4.0
_SILENCE_PEAK = 1e-4


@dataclass(frozen=True)
class Analysis:
    """What the tagger heard.

    Attributes:
        probabilities: (I, K) P(segment, class).
        segmentation: at the models' sample rate.
        starts_seconds: (I,).
        segment_seconds: length of a segment.
        tag_window_samples: what the tagger heard of each segment.
    """

    probabilities: FloatArray
    segmentation: Segmentation
    starts_seconds: tuple[float, ...]
    segment_seconds: float
    tag_window_samples: int = 0


@dataclass(frozen=True)
class Stem:
    """One separated class.

    Attributes:
        detection: what was separated, and when it is active.
        waveform: (C, T) at the recording's rate and length.
    """

    detection: Detection
    waveform: Waveform


class Separator:
    """Finds AudioSet classes in recordings and separates them (Algorithms 3 and 4).

    Args:
        bundle: the model; must hold a separator.
        tagger: detects classes instead of the bundle's own. Where the bundle has none, it also
            makes the conditions of eq. 10.
        queries: class queries instead of the bundle's own.
        runtime: device, precision and batch size.

    Raises:
        ValueError: if the bundle holds no separator, there is no tagger, or none of the conditions
            the separator needs.
    """

    def __init__(
        self,
        bundle: Bundle,
        tagger: TaggerNetwork | None = None,
        queries: ClassQueries | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        if bundle.separator is None:
            raise ValueError("the model file holds a tagger but no separator; use it as --tagger")
        space = bundle.separator.condition_space
        self.queries = _fitting_queries(space, queries, bundle.queries)
        detector, encoder = tagger or bundle.tagger, bundle.tagger or tagger
        if detector is None or encoder is None:
            raise ValueError(
                "the model file holds a separator but no tagger to find classes with; name one "
                "with --tagger, such as cnn14 for the published separators"
            )
        self.runtime = runtime or Runtime.choose()
        self.bundle = bundle
        self.model: SeparatorNetwork = bundle.separator.for_inference(self.runtime.dtype).to(
            self.runtime.device
        )
        self.separator_hash = weight_hash(bundle.separator)
        self.encoder: TaggerNetwork = encoder.to(self.runtime.device)
        self.tagger: TaggerNetwork = detector.to(self.runtime.device)
        self.ontology: Ontology = load_ontology()
        size = self.model.hyperparameters["condition_size"]
        if self.queries is not None and self.queries.vectors.shape[1] != size:
            raise ValueError(
                f"the class queries hold {self.queries.vectors.shape[1]} numbers per class, the "
                f"separator takes {size}; make them with the encoder of its space "
                f"{self.model.condition_space!r}"
            )
        if self.tagger.sample_rate != self.model.sample_rate:
            raise ValueError(
                f"the tagger hears {self.tagger.sample_rate} Hz, the separator "
                f"{self.model.sample_rate} Hz; use models of one rate"
            )

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = DEFAULT_MODEL,
        *,
        separator: str | Path | None = None,
        tagger: str | Path | None = None,
        class_queries: str | Path | None = None,
        device: str = "auto",
        precision: str = "auto",
        trust_checkpoint: bool = False,
    ) -> Separator:
        """Load models by name or file; ``default`` comes with the package.

        Args:
            model: separates and detects.
            separator: separates instead of the model, which then only detects.
            tagger: detects instead of the model.
            class_queries: where the class queries come from, instead of the separator's file.
            device: auto, cpu, cuda or mps.
            precision: auto, fp32, bf16 or fp16.
            trust_checkpoint: unpickle whatever the files hold. That can run any code.

        Raises:
            FileNotFoundError, OSError, ValueError: if a file is missing, broken, cannot be
                downloaded, or is of the wrong kind.
        """
        runtime = Runtime.choose(device, precision)
        trust = trust_checkpoint
        if separator is not None and tagger is not None and str(model) != DEFAULT_MODEL:
            raise ValueError(
                f"the model {model} would do nothing beside a separator and a tagger; leave it out"
            )
        bundle = load_model(model if separator is None else separator, trust_checkpoint=trust)
        detector = None
        if tagger is not None:
            detector = load_tagger(tagger, trust_checkpoint=trust)
        elif separator is not None:
            detector = load_tagger(model, trust_checkpoint=trust)
        queries = None
        if class_queries is not None:
            queries = load_class_queries(class_queries, trust_checkpoint=trust)
        return cls(bundle, detector, queries, runtime)

    def thresholds(self, threshold: float | None) -> FloatArray:
        """(K,) the given threshold for all classes, else the model's own, else 0.2.

        The model's own were found with its own tagger, and hold for no other.
        """
        own = self.bundle.thresholds if self.tagger is self.bundle.tagger else None
        if threshold is None and own is not None:
            return own
        value = DEFAULT_THRESHOLD if threshold is None else threshold
        return np.full(NUM_CLASSES, value, np.float32)

    def analyse(self, recording: Recording, overlap: float = DEFAULT_OVERLAP) -> Analysis:
        """Tag every segment of a recording.

        With overlap 0 the tagger hears exactly the segment, as in the paper; else at least the four
        seconds around it. Segments that never exceed -80 dBFS hold nothing to separate; their
        probabilities are 0 (taggers know a class "Silence").
        """
        rate = self.model.sample_rate
        mono = resample(recording.waveform.mean(axis=0), recording.sample_rate, rate)
        segment_samples = round(self.model.segment_seconds * rate)
        segmentation = Segmentation.of(max(1, len(mono)), segment_samples, overlap)
        window = segment_samples
        if overlap > 0.0:
            window = max(window, round(_TAG_WINDOW_SECONDS * rate))
        probabilities = tag_segments(self.tagger, mono, segmentation, window, self.runtime)
        for index in range(segmentation.num_segments):
            if np.abs(segmentation.cut(mono, index)).max() < _SILENCE_PEAK:
                probabilities[index] = 0.0
        return Analysis(
            probabilities,
            segmentation,
            tuple((segmentation.starts / rate).tolist()),
            self.model.segment_seconds,
            window,
        )

    def detect(
        self, analysis: Analysis, level: int, threshold: float | None = None
    ) -> list[Detection]:
        """Find the active nodes of a level that the model can separate, most probable first."""
        found = active_at_level(
            analysis.probabilities, level, self.ontology, self.thresholds(threshold)
        )
        separable = []
        for detection in found:
            if self._can_separate(detection.node):
                separable.append(detection)
            else:
                logger.warning(
                    "%s was detected, but the model has no query for it; it stays in the residual",
                    detection.node.name,
                )
        return separable

    def detect_named(
        self, analysis: Analysis, nodes: Sequence[Node], threshold: float | None = None
    ) -> list[Detection]:
        """Look for named nodes, most probable first; each is returned, active or not.

        Raises:
            ValueError: if the model cannot separate one of them.
        """
        for node in nodes:
            if not self._can_separate(node):
                raise ValueError(
                    f"the model has no query for {node.name!r}, nor for anything below it; "
                    "its training clips held none; choose another class or model"
                )
        found = detect(analysis.probabilities, nodes, self.ontology, self.thresholds(threshold))
        return sorted(found, key=lambda detection: -detection.probability)

    def separate(
        self,
        recording: Recording,
        analysis: Analysis,
        detections: Sequence[Detection],
        progress: Callable[[int], None] = lambda done: None,
    ) -> list[Stem]:
        """Separate detections; the same node is separated once, however often it is listed.

        Returns:
            One stem per detection, at the recording's rate, channels and length.
        """
        rate = self.model.sample_rate
        waveform = resample(recording.waveform, recording.sample_rate, rate)
        unique = {detection.node.mid: detection for detection in detections}
        probabilities = self._condition_probabilities(recording, analysis)
        requests = [
            Request(self._conditions(detection.node, probabilities), detection.active)
            for detection in unique.values()
        ]
        outputs = separate(
            self.model, waveform, requests, analysis.segmentation, self.runtime, progress
        )
        stems = {
            mid: _fit(resample(output, rate, recording.sample_rate), recording.num_samples)
            for mid, output in zip(unique, outputs, strict=True)
        }
        return [Stem(detection, stems[detection.node.mid]) for detection in detections]

    def _condition_probabilities(self, recording: Recording, analysis: Analysis) -> FloatArray:
        """P(i, k) that conditions are made from.

        Eq. 10 wants what the separator was trained with: its own tagger, on the segment alone.
        """
        segment_samples = analysis.segmentation.segment_samples
        heard_alone = analysis.tag_window_samples == segment_samples
        if self.queries is not None or (self.tagger is self.encoder and heard_alone):
            return analysis.probabilities
        rate = self.model.sample_rate
        mono = resample(recording.waveform.mean(axis=0), recording.sample_rate, rate)
        return tag_segments(
            self.encoder,
            mono,
            analysis.segmentation,
            segment_samples,
            self.runtime,
        )

    def _conditions(self, node: Node, probabilities: FloatArray) -> FloatArray:
        """(I, H): the class queries of the node's subtree, or eq. 10."""
        indexes = list(self.ontology.class_indexes(node))
        if self.queries is not None:
            conditions = self.queries.condition(indexes, probabilities)
            assert conditions is not None, "detections are checked for queries"
            return conditions
        masked = np.zeros_like(probabilities)
        masked[:, indexes] = probabilities[:, indexes]
        return masked

    def _can_separate(self, node: Node) -> bool:
        indexes = set(self.ontology.class_indexes(node))
        if self.queries is None:
            return bool(indexes)
        return not indexes.isdisjoint(self.queries.class_indexes)


def _fit(waveform: Waveform, num_samples: int) -> Waveform:
    """Cut or zero-pad to the recording's length; resampling may be a sample off."""
    missing = max(0, num_samples - waveform.shape[-1])
    return np.pad(waveform, ((0, 0), (0, missing)))[:, :num_samples]


def _fitting_queries(
    space: str, given: ClassQueries | None, own: ClassQueries | None
) -> ClassQueries | None:
    """Choose class queries that can steer a separator; None where eq. 10 takes their place.

    A separator of class probabilities is asked by eq. 10 unless queries are given.

    Raises:
        ValueError: if there are none in the separator's condition space, and it needs them.
    """
    if given is not None and given.space != space:
        raise ValueError(
            f"the class queries are of {given.space!r}, the separator takes {space!r}; make them "
            "with the encoder of that space"
        )
    if given is not None:
        return given
    if space == PROBABILITY_SPACE:
        return None
    if own is not None and own.space == space:
        return own
    if space == TEXT_SPACE:
        raise ValueError(
            f"the separator is steered by text embeddings ({space}), so text queries are needed, "
            "which this program does not make; give ones made elsewhere with --class-queries"
        )
    raise ValueError(
        f"the model has no class queries in its condition space {space!r}; make them from clips "
        "with uss-mine-anchors and an --encoder of that space, and give them with --class-queries"
    )
