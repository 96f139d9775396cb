"""The separator a program uses: a recording in, stems by class out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ontology import Node, Ontology, load_ontology
from uss.audio import AudioSource
from uss.checkpoints.bundle import Bundle
from uss.checkpoints.loading import (
    DEFAULT_MODEL,
    load_class_queries,
    load_model,
    load_tagger,
    weight_hash,
)
from uss.conditions.audio_queries import AudioEncoder, make_audio_query
from uss.conditions.queries import AudioQuery, ClassQueries, fitting_queries
from uss.core.errors import InputError
from uss.core.runtime import Runtime
from uss.detection.analysis import Analysis, analyse
from uss.detection.hierarchy import Detection, FloatArray, Target, active_at_level, detect
from uss.detection.tagging import Listener
from uss.models import SeparatorNetwork
from uss.separation.batching import Batcher
from uss.separation.consistency import Combination
from uss.separation.plan import NAMED_GROUP, Plan, families, target_key
from uss.separation.stems import Array, Stems, recording_of
from uss.separation.stream import Layout, Request, StemStream
from uss.taggers import NUM_CLASSES, TaggerNetwork

logger = logging.getLogger(__name__)

DEFAULT_THRESHOLD = 0.2
DEFAULT_OVERLAP = 0.25
DEFAULT_LEVEL = 2
_TAG_WINDOW_SECONDS = 4.0


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
            raise InputError("the model file holds a tagger but no separator; use it as --tagger")
        space = bundle.separator.condition_space
        self.queries = fitting_queries(space, queries, bundle.queries)
        detector, encoder = tagger or bundle.tagger, bundle.tagger or tagger
        if detector is None or encoder is None:
            raise InputError(
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
            raise InputError(
                f"the class queries hold {self.queries.vectors.shape[1]} numbers per class, the "
                f"separator takes {size}; make them with the encoder of its space "
                f"{self.model.condition_space!r}"
            )
        if self.tagger.sample_rate != self.model.sample_rate:
            raise InputError(
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
            raise InputError(
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

    def analyse(self, source: AudioSource, overlap: float = DEFAULT_OVERLAP) -> Analysis:
        """Tag every segment of a recording, which is read once.

        With overlap 0 the tagger hears exactly the segment, as in the paper; else at least the four
        seconds around it.

        Raises:
            OSError, ValueError: if the recording cannot be read.
        """
        rate = self.model.sample_rate
        segment_samples = round(self.model.segment_seconds * rate)
        window = segment_samples
        if overlap > 0.0:
            window = max(window, round(_TAG_WINDOW_SECONDS * rate))
        # Eq. 10 wants what the separator was trained with: its own tagger, on the segment alone.
        needs_own = self.queries is None and (
            self.tagger is not self.encoder or window != segment_samples
        )
        return analyse(
            source,
            Listener(self.tagger, window),
            Listener(self.encoder, segment_samples) if needs_own else None,
            segment_seconds=self.model.segment_seconds,
            sample_rate=rate,
            overlap=overlap,
            runtime=self.runtime,
        )

    def separable_probabilities(self, analysis: Analysis) -> FloatArray:
        """(I, K) what was heard of the classes that the model has queries for, else 0.

        Where another class was heard, the queries of its neighbours in the ontology would ask for
        something else.
        """
        if self.queries is None:
            return analysis.probabilities
        known = list(self.queries.class_indexes)
        probabilities = np.zeros_like(analysis.probabilities)
        probabilities[:, known] = analysis.probabilities[:, known]
        return probabilities

    def detect(
        self, analysis: Analysis, level: int, threshold: float | None = None
    ) -> list[Detection]:
        """Find the active nodes of a level that the model can separate, most probable first."""

        def active(probabilities: FloatArray) -> list[Detection]:
            thresholds = self.thresholds(threshold)
            return active_at_level(
                probabilities, level, self.ontology, thresholds, analysis.release
            )

        found = active(self.separable_probabilities(analysis))
        separable = {detection.target.mid for detection in found}
        for detection in active(analysis.probabilities):
            if detection.target.mid not in separable:
                logger.warning(
                    "%s was detected, but the model has no query for the class that was heard; it "
                    "stays in the residual",
                    detection.target.name,
                )
        return found

    def detect_named(
        self, analysis: Analysis, nodes: Sequence[Node], threshold: float | None = None
    ) -> list[Detection]:
        """Look for named nodes, most probable first; each is returned, active or not.

        Raises:
            ValueError: if the model cannot separate one of them.
        """
        for node in nodes:
            if not self._can_separate(node):
                raise InputError(
                    f"the model has no query for {node.name!r}, nor for anything below it; "
                    "its training clips held none; choose another class or model"
                )
        found = detect(
            self.separable_probabilities(analysis),
            nodes,
            self.ontology,
            self.thresholds(threshold),
            release=analysis.release,
        )
        return sorted(found, key=lambda detection: -detection.probability)

    def detect_audio(self, analysis: Analysis, query: AudioQuery) -> Detection:
        """Look for what sounds like a query: wherever there is any sound, the mask decides.

        Raises:
            ValueError: if the query is of another condition space.
        """
        if query.space != self.model.condition_space:
            raise InputError(
                f"the query {query.name!r} is of {query.space!r}, the separator takes "
                f"{self.model.condition_space!r}; make the query with this separator"
            )
        similarity = query.similarity(analysis.probabilities)
        return Detection(query, None, similarity, analysis.sounding.copy())

    def audio_query(self, name: str, examples: Iterable[AudioSource]) -> AudioQuery:
        """Make a query of recordings that sound like what is wanted.

        Args:
            name: what its stem is called.
            examples: each counts alike, whatever its length.

        Raises:
            OSError, ValueError: if an example cannot be read or is silent, or nothing here makes
                conditions of audio in the separator's space.
        """
        return make_audio_query(
            name,
            examples,
            self.audio_encoder(),
            self.encoder,
            segment_seconds=self.model.segment_seconds,
            runtime=self.runtime,
        )

    def audio_encoder(self) -> AudioEncoder:
        """Return what makes conditions of audio in the separator's space.

        Raises:
            ValueError: if nothing here does.
        """
        net = self.bundle.query_net
        return AudioEncoder.choose(
            self.model.condition_space,
            self.encoder,
            None if net is None else net.to(self.runtime.device),
        )

    def batcher(self) -> Batcher:
        """Make what runs the separator; recordings that are separated in turn may share it."""
        runtime = self.runtime
        if runtime.device.type == "cpu":
            size = min(runtime.batch_size, self.model.cpu_batch_size)
            runtime = replace(runtime, batch_size=size)
        return Batcher(self.model, runtime)

    def stream(
        self,
        source: AudioSource,
        analysis: Analysis,
        plan: Plan,
        *,
        batcher: Batcher | None = None,
        progress: Callable[[int], None] = lambda done: None,
    ) -> StemStream:
        """Separate a recording piece by piece, which reads it for a second time.

        Args:
            source: the recording.
            analysis: of it.
            plan: what is separated. The same target is asked for once, however often it is listed.
            batcher: shared with other recordings; None for one of its own.
            progress: called with the number of pairs of segment and target just done.

        Returns:
            A stream whose pieces hold one stem per detection of the plan, in that order.
        """
        unwanted = self._class_indexes([detection.target for detection in plan.negatives])
        probabilities = analysis.without(unwanted).for_conditions
        unique = {target_key(detection.target): detection for detection in plan.detections}
        rows = {key: row for row, key in enumerate(unique)}
        requests = [self._request(each, probabilities) for each in unique.values()]
        negatives = [self._request(each, analysis.for_conditions) for each in plan.negatives]
        # Nothing has to be kept out where there is no stem.
        anything = np.zeros(analysis.segmentation.num_segments, bool)
        for request in requests:
            anything |= request.active
        negatives = [replace(each, active=each.active & anything) for each in negatives]
        combination = Combination(
            sources=tuple(rows[target_key(detection.target)] for detection in plan.detections),
            families=families(plan, self.ontology) if plan.consistency else (),
            negatives=range(len(requests), len(requests) + len(negatives)),
        )
        layout = Layout(analysis.num_samples, analysis.segmentation, self.model.sample_rate)
        return StemStream(
            source,
            layout,
            requests + negatives,
            combination,
            batcher or self.batcher(),
            full_band=plan.full_band,
            progress=progress,
        )

    def separate(
        self,
        waveform: Array,
        sample_rate: int,
        *,
        level: int = DEFAULT_LEVEL,
        classes: Sequence[str | int] = (),
        queries: Sequence[AudioQuery] = (),
        without: Sequence[str | int | AudioQuery] = (),
        threshold: float | None = None,
        overlap: float = DEFAULT_OVERLAP,
        consistency: bool = False,
        full_band: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Stems[Array]:
        """Find what is in a waveform, and separate each stem when it is first asked for.

        Args:
            waveform: (C, T) or (T,) floating-point samples, a NumPy array or a torch tensor.
            sample_rate: in Hz.
            level: of the ontology; not used where classes or queries are given.
            classes: AudioSet names, mids or class indexes to separate instead.
            queries: sounds by example to separate instead, see ``audio_query``.
            without: classes and examples that must be in no stem.
            threshold: of detection; None for the model's own.
            overlap: of neighbouring segments; 0 is the paper's algorithm.
            consistency: stems share out the residual.
            full_band: stems follow the mask's top bins above the separator's band.
            progress: called with the pairs of segment and stem done, and their number in all.

        Returns:
            A mapping from names to stems, most probable first, of the waveform's type and shape.

        Raises:
            TypeError, ValueError: if the waveform is not what is asked for, a class is unknown or
                cannot be separated.
        """
        if not isinstance(waveform, Tensor):
            waveform = np.asarray(waveform)
        recording = recording_of(waveform, sample_rate)
        analysis = self.analyse(recording, overlap)
        plan = self.plan(
            analysis,
            levels=() if classes or queries else (level,),
            nodes=[self.ontology.find(name) for name in _listed(classes)],
            queries=queries,
            without=[
                each if isinstance(each, AudioQuery) else self.ontology.find(each)
                for each in _listed(without)
            ],
            threshold=threshold,
            consistency=consistency,
            full_band=full_band,
        )
        return Stems(self, waveform, recording, analysis, plan, progress)

    def plan(
        self,
        analysis: Analysis,
        *,
        levels: Sequence[int] = (),
        nodes: Sequence[Node] = (),
        queries: Sequence[AudioQuery] = (),
        without: Sequence[Node | AudioQuery] = (),
        threshold: float | None = None,
        consistency: bool = False,
        full_band: bool = False,
    ) -> Plan:
        """Decide what is separated from an analysed recording.

        Args:
            analysis: of the recording.
            levels: find what is active at these levels; one group each.
            nodes: separate these, active or not.
            queries: and these; one group together with ``nodes``.
            without: what must be in no stem.
            threshold: of detection; None for the model's own.
            consistency: see ``Plan``.
            full_band: see ``Plan``.

        Raises:
            ValueError: if a level does not exist, or something named cannot be separated.
        """
        negatives = self._detect_all(analysis, without, threshold)
        heard = analysis.without(self._class_indexes(without))
        groups = {
            f"level{level}": self.detect(heard, level, threshold) for level in sorted(set(levels))
        }
        if nodes or queries:
            groups[NAMED_GROUP] = self._detect_all(heard, [*nodes, *queries], threshold)
        return Plan(groups, negatives, consistency, full_band)

    def _detect_all(
        self, analysis: Analysis, targets: Sequence[Node | AudioQuery], threshold: float | None
    ) -> list[Detection]:
        nodes = [target for target in targets if isinstance(target, Node)]
        queries = [target for target in targets if isinstance(target, AudioQuery)]
        named = self.detect_named(analysis, list(dict.fromkeys(nodes)), threshold)
        return named + [self.detect_audio(analysis, query) for query in dict.fromkeys(queries)]

    def _class_indexes(self, targets: Iterable[object]) -> list[int]:
        """All classes of the nodes among some targets."""
        nodes = [target for target in targets if isinstance(target, Node)]
        return sorted({index for node in nodes for index in self.ontology.class_indexes(node)})

    def _request(self, detection: Detection, probabilities: FloatArray) -> Request:
        target = detection.target
        if isinstance(target, AudioQuery):
            vector = target.vector[None]
            return Request(lambda rows: np.repeat(vector, len(rows), axis=0), detection.active)
        assert isinstance(target, Node)
        node = target
        indexes = self.ontology.class_indexes(node)
        return Request(
            lambda rows: self.class_conditions(indexes, probabilities[rows]), detection.active
        )

    def class_conditions(
        self, class_indexes: Sequence[int], probabilities: FloatArray
    ) -> FloatArray:
        """Ask for a group of classes: their queries, weighted by probability, or eq. 10.

        Args:
            class_indexes: the group, such as the classes below a node.
            probabilities: (N, K) of the segments, as the separator's own tagger hears them.

        Returns:
            (N, H).

        Raises:
            ValueError: if the model has a query for none of the classes.
        """
        indexes = list(class_indexes)
        if self.queries is None:
            masked = np.zeros_like(probabilities)
            masked[:, indexes] = probabilities[:, indexes]
            return masked
        conditions = self.queries.condition(indexes, probabilities)
        if conditions is None:
            raise InputError(f"the model has no query for the classes {indexes}; choose others")
        return conditions

    def _can_separate(self, target: Target) -> bool:
        assert isinstance(target, Node)
        indexes = set(self.ontology.class_indexes(target))
        if self.queries is None:
            return bool(indexes)
        return not indexes.isdisjoint(self.queries.class_indexes)


def _listed(names: Any) -> Sequence[Any]:
    """Take a single name for a list of one, not of its letters."""
    return [names] if isinstance(names, str) else names
