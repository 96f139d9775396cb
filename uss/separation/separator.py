"""The separator a program uses: a recording in, stems by class out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ontology import load_ontology, with_own_classes
from uss.audio import AudioSource, Recording
from uss.checkpoints.bundle import Bundle
from uss.checkpoints.loading import weight_hash
from uss.checkpoints.published import DEFAULT_MODEL
from uss.conditions.class_queries import ClassQueries
from uss.conditions.conditioning import Conditioning
from uss.conditions.queries import AudioQuery
from uss.core.runtime import Runtime
from uss.core.spans import Span
from uss.detection.analysis import Analysis
from uss.detection.defaults import DEFAULT_LEVEL, DEFAULT_OVERLAP, Threshold
from uss.detection.detector import Detector
from uss.separation.batching import Batcher
from uss.separation.chunk_drawing import Drawing, whole_frames
from uss.separation.fitting import (
    check_blind,
    check_fit,
    hearing,
    queries_of_own,
    runtime_of,
    separating,
    shares_bins,
)
from uss.separation.plan import Plan, Wanted, make_plan
from uss.separation.presets import Preset
from uss.separation.pretrained import ModelNames, load_parts
from uss.separation.query_making import Beside, QueryMaker
from uss.separation.stems import Array, Stems, recording_of
from uss.separation.stream import StemStream
from uss.separation.unwanted import unwanted_queries
from uss.separation.wanting import want
from uss.separation.work import work_of
from uss.taggers import TaggerNetwork


class Separator(QueryMaker):
    """Finds AudioSet classes in recordings and separates them (Algorithms 3 and 4).

    It joins three things: a ``Detector`` says what is there, a ``Plan`` what is wanted, and a
    ``StemStream`` separates it.

    Args:
        bundle: the model; must hold a separator.
        tagger: detects instead of the bundle's; where that has none, also for eq. 10.
        class_queries: instead of the bundle's own.
        runtime: device, precision and batch size.
        names: noted in results.
        drawing: how a generative model draws; ``Drawing``'s own way if None.

    Attributes:
        model, tagger, encoder: the networks that separate, detect, and make conditions.
        class_queries: what classes are asked for with; None where eq. 10 takes their place.
        text_encoder: makes conditions of words in the separator's space; None where nothing does.
        detector: finds what is in recordings.

    Raises:
        ValueError: if the bundle holds no separator, or nothing hears, or asks it, as it needs.
    """

    def __init__(
        self,
        bundle: Bundle,
        tagger: TaggerNetwork | None = None,
        class_queries: ClassQueries | None = None,
        runtime: Runtime | None = None,
        names: ModelNames | None = None,
        drawing: Drawing | None = None,
    ) -> None:
        network, self.class_queries = separating(bundle, class_queries, load_ontology())
        own = queries_of_own(network.condition_space, class_queries or bundle.class_queries)
        self.ontology = with_own_classes(load_ontology(), own.own if own else (), indexed=False)
        detecting, encoder = hearing(bundle, tagger)
        self.runtime = runtime_of(network, runtime or Runtime.choose())
        self.bundle, self.text_encoder = bundle, bundle.text_encoder
        self.names = names or ModelNames()
        self.conditioning = Conditioning(
            network.condition_space, self.class_queries, own.own_vectors() if own else {}
        )
        self.model = network.for_inference(self.runtime.dtype).to(self.runtime.device)
        self.separator_hash = weight_hash(network)
        self.drawing = drawing or Drawing.of(network)
        self.encoder = encoder.to(self.runtime.device)
        self.tagger = detecting.to(self.runtime.device)
        # Thresholds were found with the model's own tagger, and hold for no other.
        is_own = detecting is bundle.tagger
        self.detector = Detector(
            self.tagger,
            self.encoder,
            self.conditioning,
            self.ontology,
            own_thresholds=bundle.thresholds if is_own else None,
            sensitivities=bundle.sensitivities if is_own else None,
            segment_seconds=self.model.segment_seconds,
            separator_rate=self.model.sample_rate,
            runtime=self.runtime,
        )
        check_fit(self.model, self.tagger, self.class_queries)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = DEFAULT_MODEL,
        *,
        separator: str | Path | None = None,
        tagger: str | Path | None = None,
        class_queries: str | Path | None = None,
        text_encoder: str | Path | None = None,
        device: str = "auto",
        precision: str = "auto",
        trust_checkpoint: bool = False,
        steps: int | None = None,
        seed: int | None = None,
        guide: bool = False,
    ) -> Separator:
        """Load models by name or file; ``default`` comes with the package.

        Args:
            model: separates and detects.
            separator: separates instead of the model, which then only detects.
            tagger: detects instead of the model.
            class_queries: where the class queries come from, instead of the separator's file.
            text_encoder: makes conditions of words, instead of the one in the separator's file.
            device: auto, cpu, cuda or mps.
            precision: auto, fp32, bf16 or fp16.
            trust_checkpoint: unpickle whatever the files hold. That can run any code.
            steps: of a generative model, see ``Drawing``; None for its default.
            seed: likewise.
            guide: likewise.

        Raises:
            FileNotFoundError, OSError, ValueError: if a file is missing, broken, cannot be
                downloaded, or is of the wrong kind; if steps are for a model that takes none.
        """
        runtime, named = Runtime.choose(device, precision), (tagger, class_queries, text_encoder)
        parts = load_parts(model, separator, *named, trust=trust_checkpoint)
        runtime = runtime_of(parts.bundle.separator, runtime, precision)
        drawing = Drawing.of(parts.bundle.separator, steps, seed, guide)
        return cls(parts.bundle, parts.tagger, parts.class_queries, runtime, parts.names, drawing)

    def analyse(self, source: AudioSource, overlap: float = DEFAULT_OVERLAP) -> Analysis:
        """Tag every segment of a recording, which is read once; see ``Detector.analyse``."""
        return self.detector.analyse(source, whole_frames(overlap, self.model))

    def plan(self, analysis: Analysis, wanted: Wanted) -> Plan:
        """Decide what is separated from an analysed recording; see ``make_plan``."""
        check_blind(self.conditioning.space, wanted.blind)
        joint = shares_bins(self.model, wanted.joint)
        return make_plan(replace(wanted, joint=joint), analysis, self.detector)

    def batcher(self) -> Batcher:
        """Make what runs the separator; recordings that are separated in turn may share it."""
        return Batcher(self.model, self.runtime, self.drawing)

    def stream(
        self,
        source: AudioSource,
        analysis: Analysis,
        plan: Plan,
        *,
        batcher: Batcher | None = None,
        progress: Callable[[int], None] = lambda done: None,
    ) -> StemStream:
        """Read a recording again, and give one stem per detection of a plan, piece by piece.

        Args:
            source: the recording.
            analysis: what was heard in it.
            plan: what is wanted of it.
            batcher: shared with other recordings; None for one of its own.
            progress: called with the number of pairs of segment and query just done.
        """
        work = work_of(plan, analysis, self.conditioning, self.ontology)
        return StemStream(source, work, batcher or self.batcher(), progress)

    def separate(
        self,
        waveform: Array,
        sample_rate: float,
        *,
        level: int = DEFAULT_LEVEL,
        classes: Sequence[str | int] = (),
        queries: Sequence[AudioQuery] = (),
        texts: str | Iterable[str] = (),
        spans: Span | str | Iterable[Span | str] = (),
        span_only: bool = False,
        preset: str | Path | Preset | None = None,
        without: Sequence[str | int | AudioQuery] = (),
        threshold: Threshold = None,
        overlap: float = DEFAULT_OVERLAP,
        consistency: bool = False,
        full_band: bool = False,
        joint: bool | None = None,
        blind: bool = False,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Stems[Array]:
        """Find what is in a waveform, and separate each stem when it is first asked for.

        Args:
            waveform: (C, T) or (T,) floating-point samples, a NumPy array or a torch tensor.
            sample_rate: in Hz.
            level: of the ontology; not used where classes, queries or a preset are given.
            classes: names, mids, indexes or aliases to separate instead; ``Dog@12-15``: in 12-15 s.
            queries: sounds by example to separate instead, see ``audio_query``.
            texts: sounds in words to separate instead, with times as classes may have; what they
                exclude is in no stem.
            spans: marked seconds that sound like what is wanted: ``Span``, or ``bell@1.2-3.5``.
            span_only: what is marked is wanted in these seconds alone.
            preset: name or file of a preset whose stems to separate instead; see ``load_preset``.
            without: classes, examples and words that must be in no stem.
            threshold: of detection, or a sensitivity by name; None for the model's own.
            overlap: of neighbouring segments; 0 is the paper's algorithm.
            consistency: stems share out the residual.
            full_band: stems follow the mask's top bins above the separator's band.
            joint: stems share the bins of a segment; None for what the model was trained for.
            blind: what the model finds of itself: ``stem1`` and on, which add up to the waveform.
            progress: called with the pairs of segment and stem done, and their number in all.

        Returns:
            A mapping from names to stems, most probable first, of the waveform's type and shape.

        Raises:
            TypeError, ValueError: if the waveform is none, or a class is unknown or inseparable.
        """
        if not isinstance(waveform, Tensor):
            waveform = np.asarray(waveform)
        recording: Recording = recording_of(waveform, sample_rate)
        asked: Beside = self.asked_beside(queries, texts, recording, spans, span_only)
        against = [*unwanted_queries(self, without), *asked.excluded]
        options: dict[str, Any] = {"threshold": threshold, "joint": joint}
        options |= {"consistency": consistency, "full_band": full_band, "blind": blind}
        wanted = want(self.ontology, level, classes, asked.queries, preset, against, **options)
        wanted.check(self.detector, self.model, overlap)
        analysis = self.analyse(recording, overlap)
        plan, separate = self.plan(analysis, wanted), partial(self.stream, recording, analysis)
        return Stems(separate, waveform, recording, analysis, plan, progress=progress)
