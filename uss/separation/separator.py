"""The separator a program uses: a recording in, stems by class out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from ontology import Ontology, load_ontology
from uss.audio import AudioSource
from uss.checkpoints.bundle import Bundle
from uss.checkpoints.loading import weight_hash
from uss.checkpoints.published import DEFAULT_MODEL
from uss.conditions.audio_queries import AudioEncoder, make_audio_query
from uss.conditions.class_queries import ClassQueries
from uss.conditions.conditioning import Conditioning
from uss.conditions.placed_queries import placed_queries
from uss.conditions.queries import AudioQuery, Query, named_queries
from uss.conditions.text_classes import load_text_classes
from uss.conditions.text_encoders import TextEncoder
from uss.conditions.text_queries import Asked, ask_in_words
from uss.core.errors import InputError
from uss.core.runtime import Runtime
from uss.detection.analysis import Analysis
from uss.detection.defaults import DEFAULT_LEVEL, DEFAULT_OVERLAP
from uss.detection.detections import Detection
from uss.detection.detector import Detector
from uss.models import MaskModel
from uss.separation.batching import Batcher
from uss.separation.fitting import check_fit, hearing, separating
from uss.separation.plan import Plan, Wanted, make_plan
from uss.separation.presets import Preset, load_preset
from uss.separation.pretrained import ModelNames, load_parts
from uss.separation.stems import Array, Stems, recording_of
from uss.separation.stream import StemStream
from uss.separation.work import work_of
from uss.taggers import TaggerNetwork


class Separator:
    """Finds AudioSet classes in recordings and separates them (Algorithms 3 and 4).

    It joins three things: a ``Detector`` says what is there, a ``Plan`` what is wanted, and a
    ``StemStream`` separates it.

    Args:
        bundle: the model; must hold a separator.
        tagger: detects classes instead of the bundle's own. Where the bundle has none, it also
            makes the conditions of eq. 10.
        class_queries: instead of the bundle's own.
        runtime: device, precision and batch size.
        names: noted in results.

    Attributes:
        model, tagger, encoder: the networks that separate, detect, and make conditions.
        class_queries: what classes are asked for with; None where eq. 10 takes their place.
        text_encoder: makes conditions of words in the separator's space; None where nothing does.
        detector: finds what is in recordings.

    Raises:
        ValueError: if the bundle holds no separator, there is no tagger, or none of the conditions
            the separator needs.
    """

    def __init__(
        self,
        bundle: Bundle,
        tagger: TaggerNetwork | None = None,
        class_queries: ClassQueries | None = None,
        runtime: Runtime | None = None,
        names: ModelNames | None = None,
    ) -> None:
        network, self.class_queries = separating(bundle, class_queries)
        detecting, encoder = hearing(bundle, tagger)
        self.runtime = runtime or Runtime.choose()
        self.bundle = bundle
        self.text_encoder: TextEncoder | None = None
        self.names = names or ModelNames()
        self.conditioning = Conditioning(network.condition_space, self.class_queries)
        self.model = network.for_inference(self.runtime.dtype).to(self.runtime.device)
        self.separator_hash = weight_hash(network)
        self.encoder = encoder.to(self.runtime.device)
        self.tagger = detecting.to(self.runtime.device)
        self.ontology = load_ontology()
        # Thresholds were found with the model's own tagger, and hold for no other.
        own = bundle.thresholds if detecting is bundle.tagger else None
        self.detector = Detector(
            self.tagger,
            self.encoder,
            self.conditioning,
            self.ontology,
            own_thresholds=own,
            segment_seconds=self.model.segment_seconds,
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
        parts = load_parts(model, separator, tagger, class_queries, trust_checkpoint)
        return cls(parts.bundle, parts.tagger, parts.class_queries, runtime, parts.names)

    def analyse(self, source: AudioSource, overlap: float = DEFAULT_OVERLAP) -> Analysis:
        """Tag every segment of a recording, which is read once; see ``Detector.analyse``."""
        return self.detector.analyse(source, overlap)

    def detect(
        self, analysis: Analysis, level: int, threshold: float | None = None
    ) -> list[Detection]:
        """Find what is active at a level, most probable first; see ``Detector.detect_level``."""
        return self.detector.detect_level(analysis, level, threshold)

    def class_query(self, name: str | int) -> Query:
        """Ask by name, mid, class index or alias; see ``named_queries``."""
        return named_queries(name, self.ontology)[0]

    def audio_query(self, name: str, examples: Iterable[AudioSource]) -> AudioQuery:
        """Make a query, and a stem's name, of recordings that sound like what is wanted.

        Raises:
            OSError, ValueError: if an example cannot be read or is silent, or nothing here makes
                conditions of audio in the separator's space.
        """
        seconds, encoder = self.model.segment_seconds, self.audio_encoder()
        return make_audio_query(
            name, examples, encoder, self.encoder, segment_seconds=seconds, runtime=self.runtime
        )

    def audio_encoder(self) -> AudioEncoder:
        """Return what makes conditions of audio in the separator's space; see ``AudioEncoder``."""
        space, net = self.model.condition_space, self.bundle.query_net
        return AudioEncoder.choose(space, self.encoder, net and net.to(self.runtime.device))

    def text_queries(self, texts: Sequence[str]) -> Asked:
        """Ask in words: by the separator's own encoder of texts, else by classes.

        Raises:
            OSError, ValueError: if a text cannot be understood; see ``ask_in_words``.
        """
        return ask_in_words(texts, load_text_classes(), self.ontology, self.text_encoder)

    def plan(self, analysis: Analysis, wanted: Wanted) -> Plan:
        """Decide what is separated from an analysed recording; see ``make_plan``."""
        return make_plan(replace(wanted, joint=self.is_joint(wanted)), analysis, self.detector)

    def is_joint(self, wanted: Wanted) -> bool:
        """Whether stems are to share bins: as wanted, or else as the model was trained."""
        return self.model.joint if wanted.joint is None else wanted.joint

    def check(self, wanted: Wanted) -> None:
        """See, before anything is heard, whether this model can give what is wanted.

        Raises:
            ValueError: if not.
        """
        wanted.check(self.detector)
        if wanted.joint and not isinstance(self.model, MaskModel):
            raise InputError(
                f"a {type(self.model).__name__} gives no masks, so its stems cannot share bins; "
                "leave out joint separation"
            )

    def batcher(self) -> Batcher:
        """Make what runs the separator; recordings that are separated in turn may share it."""
        return Batcher(self.model, self.runtime)

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
        texts: Sequence[str] = (),
        preset: str | Path | Preset | None = None,
        without: Sequence[str | int | AudioQuery] = (),
        threshold: float | None = None,
        overlap: float = DEFAULT_OVERLAP,
        consistency: bool = False,
        full_band: bool = False,
        joint: bool | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Stems[Array]:
        """Find what is in a waveform, and separate each stem when it is first asked for.

        Args:
            waveform: (C, T) or (T,) floating-point samples, a NumPy array or a torch tensor.
            sample_rate: in Hz.
            level: of the ontology; not used where classes, queries or a preset are given.
            classes: names, mids, indexes or aliases to separate instead; ``Dog@12-15``: in 12-15 s.
            queries: sounds by example to separate instead, see ``audio_query``.
            texts: sounds in words to separate instead; what they exclude is in no stem.
            preset: name or file of a preset whose stems to separate instead; see ``load_preset``.
            without: classes and examples that must be in no stem.
            threshold: of detection; None for the model's own.
            overlap: of neighbouring segments; 0 is the paper's algorithm.
            consistency: stems share out the residual.
            full_band: stems follow the mask's top bins above the separator's band.
            joint: stems share the bins of a segment; None for what the model was trained for.
            progress: called with the pairs of segment and stem done, and their number in all.

        Returns:
            A mapping from names to stems, most probable first, of the waveform's type and shape.

        Raises:
            TypeError, ValueError: if the waveform is none, or a class is unknown or inseparable.
        """
        if not isinstance(waveform, Tensor):
            waveform = np.asarray(waveform)
        recording = recording_of(waveform, sample_rate)
        in_words: Asked = self.text_queries([texts] if isinstance(texts, str) else texts)
        asked = [*placed_queries(classes, self.ontology), *queries, *in_words.queries]
        wanted = replace(
            _one_group(level, asked, preset, self.ontology),
            without=[*named_queries(without, self.ontology), *in_words.without],
            threshold=threshold,
            consistency=consistency,
            full_band=full_band,
            joint=joint,
        )
        self.check(wanted)
        analysis = self.analyse(recording, overlap)
        separate = partial(self.stream, recording, analysis)
        plan = self.plan(analysis, wanted)
        return Stems(separate, waveform, recording, analysis, plan, progress=progress)


def _one_group(
    level: int, asked: Sequence[Query], preset: str | Path | Preset | None, ontology: Ontology
) -> Wanted:
    """Want stems that have one residual: those of a preset, or what is named, or of a level."""
    if asked and preset is not None:
        raise InputError(
            "stems of a preset and named classes add up each for themselves; ask for them in two "
            "calls"
        )
    if preset is not None:
        return Wanted(presets=[load_preset(preset, ontology)])
    return Wanted(queries=asked) if asked else Wanted(levels=[level])
