"""The separator a program uses: a recording in, stems by class out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ontology import Ontology, load_ontology
from uss.audio import AudioSource
from uss.checkpoints.bundle import Bundle
from uss.checkpoints.loading import (
    load_class_queries,
    load_model,
    load_tagger,
    weight_hash,
)
from uss.checkpoints.published import DEFAULT_MODEL
from uss.conditions.audio_queries import AudioEncoder, make_audio_query
from uss.conditions.class_queries import ClassQueries, fitting_queries
from uss.conditions.conditioning import Conditioning
from uss.conditions.queries import AudioQuery, NodeQuery, Query
from uss.core.arrays import Float32, Indexes
from uss.core.errors import InputError
from uss.core.runtime import Runtime
from uss.detection.analysis import Analysis
from uss.detection.defaults import DEFAULT_LEVEL, DEFAULT_OVERLAP
from uss.detection.detections import Detection
from uss.detection.detector import Detector
from uss.models import SeparatorNetwork
from uss.separation.batching import Batcher
from uss.separation.plan import Plan, Wanted, classes_of, make_plan
from uss.separation.stems import Array, Stems, recording_of
from uss.separation.stream import StemStream, Work
from uss.taggers import TaggerNetwork


@dataclass(frozen=True)
class ModelNames:
    """What the parts of a separator were called where they were loaded; None if they were not."""

    model: str | None = None
    class_queries: str | None = None


class Separator:
    """Finds AudioSet classes in recordings and separates them (Algorithms 3 and 4).

    It joins three things: a ``Detector`` says what is there, a ``Plan`` what is wanted, and a
    ``StemStream`` separates it.

    Args:
        bundle: the model; must hold a separator.
        tagger: detects classes instead of the bundle's own. Where the bundle has none, it also
            makes the conditions of eq. 10.
        queries: class queries instead of the bundle's own.
        runtime: device, precision and batch size.
        names: noted in results.

    Attributes:
        model: the network that separates.
        encoder: the tagger that conditions come from.
        detector: finds what is in recordings.
        conditioning: turns classes into conditions.

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
        names: ModelNames | None = None,
    ) -> None:
        if bundle.separator is None:
            raise InputError("the model file holds a tagger but no separator; use it as --tagger")
        space = bundle.separator.condition_space
        self.conditioning = Conditioning(space, fitting_queries(space, queries, bundle.queries))
        detecting, encoder = tagger or bundle.tagger, bundle.tagger or tagger
        if detecting is None or encoder is None:
            raise InputError(
                "the model file holds a separator but no tagger to find classes with; name one "
                "with --tagger, such as cnn14 for the published separators"
            )
        self.runtime = runtime or Runtime.choose()
        self.bundle = bundle
        self.names = names or ModelNames()
        self.model: SeparatorNetwork = bundle.separator.for_inference(self.runtime.dtype).to(
            self.runtime.device
        )
        self.separator_hash = weight_hash(bundle.separator)
        self.encoder: TaggerNetwork = encoder.to(self.runtime.device)
        self.detector = Detector(
            detecting.to(self.runtime.device),
            self.encoder,
            self.conditioning,
            load_ontology(),
            # They were found with the model's own tagger, and hold for no other.
            own_thresholds=bundle.thresholds if detecting is bundle.tagger else None,
            segment_seconds=self.model.segment_seconds,
            runtime=self.runtime,
        )
        _check_fit(self.model, self.detector.tagger, self.conditioning.class_queries)

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
        name = model if separator is None else separator
        bundle = load_model(name, trust_checkpoint=trust)
        detecting = None
        if tagger is not None:
            detecting = load_tagger(tagger, trust_checkpoint=trust)
        elif separator is not None:
            detecting = load_tagger(model, trust_checkpoint=trust)
        queries = None
        if class_queries is not None:
            queries = load_class_queries(class_queries, trust_checkpoint=trust)
        names = ModelNames(str(name), None if class_queries is None else str(class_queries))
        return cls(bundle, detecting, queries, runtime, names)

    @property
    def ontology(self) -> Ontology:
        """Names and groups the classes."""
        return self.detector.ontology

    @property
    def tagger(self) -> TaggerNetwork:
        """The network that detects."""
        return self.detector.tagger

    @property
    def queries(self) -> ClassQueries | None:
        """What classes are asked for with; None where eq. 10 takes their place."""
        return self.conditioning.class_queries

    def analyse(self, source: AudioSource, overlap: float = DEFAULT_OVERLAP) -> Analysis:
        """Tag every segment of a recording, which is read once; see ``Detector.analyse``."""
        return self.detector.analyse(source, overlap)

    def detect(
        self, analysis: Analysis, level: int, threshold: float | None = None
    ) -> list[Detection]:
        """Find what is active at a level, most probable first; see ``Detector.detect_level``."""
        return self.detector.detect_level(analysis, level, threshold)

    def class_query(self, name: str | int) -> NodeQuery:
        """Ask for a class, or another node of the ontology, by AudioSet name, mid or class index.

        Raises:
            ValueError: if there is none.
        """
        return NodeQuery.of(self.ontology.find(name), self.ontology)

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

    def plan(self, analysis: Analysis, wanted: Wanted) -> Plan:
        """Decide what is separated from an analysed recording; see ``make_plan``."""
        return make_plan(wanted, analysis, self.detector)

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
            plan: what is separated. The same query is asked once, however often it is listed.
            batcher: shared with other recordings; None for one of its own.
            progress: called with the number of pairs of segment and query just done.

        Returns:
            A stream whose pieces hold one stem per detection of the plan, in that order.
        """
        asked, against = plan.asked, plan.asked_against
        unwanted = classes_of([detection.query for detection in plan.negatives])
        heard, heard_without = analysis.for_conditions, analysis.without(unwanted).for_conditions
        rows = [(each, heard_without) for each in asked] + [(each, heard) for each in against]

        def conditions(row: int, segments: Indexes) -> Float32:
            detection, probabilities = rows[row]
            return detection.query.conditions(probabilities[segments], self.conditioning)

        active = np.zeros((len(rows), analysis.segmentation.num_segments), bool)
        for row, (detection, _) in enumerate(rows):
            active[row] = detection.active
        work = Work(
            analysis.num_samples,
            analysis.segmentation,
            active,
            conditions,
            plan.combination(self.ontology),
            plan.full_band,
        )
        return StemStream(source, work, batcher or self.batcher(), progress)

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
        wanted = Wanted(
            levels=() if classes or queries else (level,),
            queries=[*self._queries_of(classes), *queries],
            without=self._queries_of(without),
            threshold=threshold,
            consistency=consistency,
            full_band=full_band,
        )
        analysis = self.analyse(recording, overlap)

        def separate(plan: Plan, advance: Callable[[int], None]) -> StemStream:
            return self.stream(recording, analysis, plan, progress=advance)

        return Stems(
            separate,
            waveform,
            recording,
            analysis=analysis,
            plan=self.plan(analysis, wanted),
            progress=progress,
        )

    def _queries_of(self, named: Any) -> list[Query]:
        """Look up names; a single one stands for a list of one, not of its letters."""
        listed = [named] if isinstance(named, str) else named
        return [each if isinstance(each, Query) else self.class_query(each) for each in listed]


def _check_fit(
    model: SeparatorNetwork, tagger: TaggerNetwork, queries: ClassQueries | None
) -> None:
    """Refuse parts that do not fit together."""
    size = model.hyperparameters["condition_size"]
    if queries is not None and queries.vectors.shape[1] != size:
        raise InputError(
            f"the class queries hold {queries.vectors.shape[1]} numbers per class, the "
            f"separator takes {size}; make them with the encoder of its space "
            f"{model.condition_space!r}"
        )
    if tagger.sample_rate != model.sample_rate:
        raise InputError(
            f"the tagger hears {tagger.sample_rate} Hz, the separator "
            f"{model.sample_rate} Hz; use models of one rate"
        )
