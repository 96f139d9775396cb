"""What is there: from a recording to its analysis, from that to detections."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ontology import Ontology
from uss.audio import AudioSource
from uss.conditions.conditioning import Conditioning
from uss.conditions.placed_queries import PlacedQuery
from uss.conditions.queries import Query
from uss.core.arrays import Float32
from uss.core.runtime import Runtime
from uss.detection.analysis import Analysis, analyse
from uss.detection.defaults import ASKED_SENSITIVITY, DEFAULT_OVERLAP, Threshold
from uss.detection.detections import Detection
from uss.detection.grouping import GRAB_BAGS, active_at_level, detect, most_probable_first
from uss.detection.placed_detections import only_there
from uss.detection.sensitivity import choose_thresholds, shifted
from uss.detection.tagging import Listener
from uss.taggers import TaggerNetwork

logger = logging.getLogger(__name__)

TAG_WINDOW_SECONDS = 4.0
"""What a tagger hears around a segment, at the least, where segments overlap."""


class Detector:
    """Hears what is in recordings, and when, for one separator.

    Args:
        tagger: decides what is there.
        encoder: the separator's own tagger, whose probabilities eq. 10 takes.
        conditioning: what the separator can be asked for.
        ontology: names and groups the classes.
        own_thresholds: (K,) found with this tagger; None for one of 0.2.
        sensitivities: others by name, see ``uss.detection.sensitivity``.
        segment_seconds: of the separator.
        separator_rate: its sample rate in Hz, which divides the taggers'; None for theirs.
        runtime: where taggers run.
    """

    def __init__(
        self,
        tagger: TaggerNetwork,
        encoder: TaggerNetwork,
        conditioning: Conditioning,
        ontology: Ontology,
        *,
        own_thresholds: Float32 | None,
        sensitivities: Mapping[str, Float32] | None = None,
        segment_seconds: float,
        runtime: Runtime,
        separator_rate: int | None = None,
    ) -> None:
        self.tagger = tagger
        self.encoder = encoder
        self.conditioning = conditioning
        self.ontology = ontology
        self.own_thresholds = own_thresholds
        self.sensitivities = sensitivities or {}
        self.segment_seconds = segment_seconds
        self.runtime = runtime
        self.separator_rate = separator_rate

    def thresholds(self, threshold: Threshold) -> Float32:
        """(K,) of all classes; see ``choose_thresholds``."""
        return choose_thresholds(threshold, self.own_thresholds, self.sensitivities)

    def as_asked(self, threshold: Threshold) -> Threshold:
        """What holds for what somebody names: medium sensitivity, unless told otherwise.

        It is likelier to be there than one of all classes, which low sensitivity is made for.
        """
        is_known = ASKED_SENSITIVITY in self.sensitivities
        return ASKED_SENSITIVITY if threshold is None and is_known else threshold

    def analyse(self, source: AudioSource, overlap: float = DEFAULT_OVERLAP) -> Analysis:
        """Tag every segment of a recording, which is read once.

        With overlap 0 the tagger hears exactly the segment, as in the paper; else at least the four
        seconds around it.

        Raises:
            OSError, ValueError: if the recording cannot be read.
        """
        rate = self.tagger.sample_rate
        step = rate // (self.separator_rate or rate)
        segment_samples = step * round(self.segment_seconds * rate / step)
        window = segment_samples
        if overlap > 0.0:
            window = max(window, round(TAG_WINDOW_SECONDS * rate))
        # Eq. 10 wants what the separator was trained with: its own tagger, on the segment alone.
        is_asked_so = self.conditioning.class_queries is None and not self.conditioning.is_blind
        needs_own = is_asked_so and (self.tagger is not self.encoder or window != segment_samples)
        analysis = analyse(
            source,
            Listener(self.tagger, window),
            Listener(self.encoder, segment_samples) if needs_own else None,
            segment_seconds=self.segment_seconds,
            sample_rate=rate,
            overlap=overlap,
            runtime=self.runtime,
            separator_rate=self.separator_rate,
        )
        return replace(analysis, usual_thresholds=self.thresholds(self.as_asked(None)))

    def separable_probabilities(self, analysis: Analysis) -> Float32:
        """(I, K) what was heard of the classes that can be asked for, else 0.

        Where another class was heard, the queries of its neighbours in the ontology would ask for
        something else.
        """
        separable = self.conditioning.separable
        if separable.all():
            return analysis.probabilities
        return np.where(separable, analysis.probabilities, np.float32(0.0))

    def detect_level(
        self,
        analysis: Analysis,
        level: int,
        threshold: Threshold = None,
        *,
        shift_logits: float = 0.0,
    ) -> list[Detection]:
        """Find the active nodes of a level that can be separated, most probable first.

        With the model's own thresholds, nodes that gather unlike sounds need more than one weak
        class; see ``GRAB_BAGS``.

        Args:
            analysis: of the recording.
            level: of the ontology.
            threshold: of detection, see ``thresholds``.
            shift_logits: all thresholds move by so much; see ``shifted``.

        Raises:
            ValueError: if the ontology has no such level.
        """

        def active(probabilities: Float32) -> list[Detection]:
            thresholds = self.thresholds(threshold)
            if shift_logits:
                thresholds = shifted(thresholds, shift_logits)
            is_named = threshold is None or isinstance(threshold, str)
            is_own = is_named and self.own_thresholds is not None
            return active_at_level(
                probabilities,
                level,
                self.ontology,
                thresholds,
                analysis.release,
                doubted=GRAB_BAGS if is_own and not analysis.is_papers else (),
            )

        found = active(self.separable_probabilities(analysis))
        separable = {detection.query.key for detection in found}
        for detection in active(analysis.probabilities):
            if detection.query.key not in separable:
                logger.warning(
                    "%s was detected, but the model has no query for the class that was heard; it "
                    "stays in the residual",
                    detection.query.name,
                )
        return found

    def detect_queries(
        self, analysis: Analysis, queries: Sequence[Query], threshold: Threshold = None
    ) -> list[Detection]:
        """Look for what the user named; each comes back once, active or not.

        Their threshold is as ``as_asked`` has it.

        Those that stand for classes come first, most probable first. The others are active wherever
        there is any sound: there the mask decides. Those for some times are active then, and never
        else.

        Raises:
            ValueError: if the separator cannot be asked for one of them, or a time is one that the
                recording does not have.
        """
        first: dict[object, Query] = {}
        for query in queries:
            first.setdefault(query.key, query)
        unique = list(first.values())
        for query in unique:
            query.check(self.conditioning)
        of_classes = detect(
            self.separable_probabilities(analysis),
            [query for query in unique if query.class_indexes],
            self.thresholds(self.as_asked(threshold)),
            release=analysis.release,
        )
        of_others = [
            Detection(query, None, query.heard_in(analysis.probabilities), analysis.sounding.copy())
            for query in unique
            if not query.class_indexes
        ]
        found = most_probable_first(of_classes) + of_others
        return [
            only_there(each, each.query.spans, analysis)
            if isinstance(each.query, PlacedQuery)
            else each
            for each in found
        ]
