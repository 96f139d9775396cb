"""What is wanted of a recording, and which stems belong together."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ontology import Ontology
from uss.conditions.blind_queries import blind_queries
from uss.conditions.queries import Query
from uss.core.errors import InputError
from uss.detection.analysis import Analysis
from uss.detection.defaults import Threshold
from uss.detection.detections import Detection
from uss.detection.detector import Detector
from uss.detection.sensitivity import check_threshold
from uss.models import SeparatorNetwork
from uss.separation.consistency import Combination, Family
from uss.separation.fitting import check_blind, shares_bins
from uss.separation.groups import BLIND_GROUP, NAMED_GROUP, group_of, level_of
from uss.separation.presets import Preset
from uss.separation.stem_order import check_overlap

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is wanted, whatever the recording holds.

    Attributes:
        levels: what is active at these levels of the ontology; one group of stems each.
        queries: these, active or not; one group together.
        presets: the stems of these, active or not; one group each.
        without: what must be in no stem.
        threshold: of detection, or a sensitivity; see ``uss.detection.sensitivity``.
        consistency: stems share out the residual, and children add up to their parents.
        full_band: stems follow the mask's top bins above the separator's band.
        joint: the stems of a folder share the bins of a segment; None for what the model was
            trained for.
        blind: what the model gives of itself, and nothing else; one group.
    """

    levels: Sequence[int] = ()
    queries: Sequence[Query] = ()
    presets: Sequence[Preset] = ()
    without: Sequence[Query] = ()
    threshold: Threshold = None
    consistency: bool = False
    full_band: bool = False
    joint: bool | None = None
    blind: bool = False

    def __post_init__(self) -> None:
        """Check what does not depend on a model."""
        check_threshold(self.threshold)
        if self.blind:
            self._check_nothing_else()
        for unwanted in self.without:
            gone = set(unwanted.class_indexes)
            for query in self.named:
                if gone and query.class_indexes and gone.issuperset(query.class_indexes):
                    raise InputError(
                        f"{query.name} is asked for, and {unwanted.name}, which is to be in no "
                        "stem, takes all of it away; leave out one"
                    )

    @property
    def named(self) -> tuple[Query, ...]:
        """What gets a stem whether it is active or not."""
        return (*self.queries, *(stem for preset in self.presets for stem in preset.stems))

    def check(self, detector: Detector, model: SeparatorNetwork, overlap: float) -> None:
        """See, before anything is heard, whether a separator can be asked for it.

        Raises:
            ValueError: if a level does not exist, something named cannot be separated, or segments
                must overlap and do not.
        """
        check_blind(detector.conditioning.space, self.blind)
        if self.blind:
            check_overlap(overlap)
        shares_bins(model, self.joint)
        detector.thresholds(self.threshold)
        for level in self.levels:
            detector.ontology.nodes_at_level(level)
        if self.levels and detector.conditioning.own:
            logger.info(
                "the model's own classes are not detected by themselves; ask for them by name: %s",
                ", ".join(detector.ontology.nodes[mid].name for mid in detector.conditioning.own),
            )
        for query in (*self.named, *self.without):
            query.check(detector.conditioning)

    def _check_nothing_else(self) -> None:
        """Refuse what blind separation does not know.

        Raises:
            ValueError: naming it.
        """
        others = {
            "levels": self.levels,
            "classes and queries": self.queries,
            "presets": self.presets,
            "what must be in no stem": self.without,
            "a threshold": self.threshold is not None,
            "consistency": self.consistency,
            "joint separation": self.joint,
        }
        given = [name for name, value in others.items() if value]
        if given:
            raise InputError(
                f"blind separation gives what the model finds, in stems that add up; it knows no "
                f"{given[0]}: leave out one"
            )


@dataclass(frozen=True)
class Plan:
    """What is separated from one recording.

    Attributes:
        groups: folder to detections; the stems of one folder add up with its residual.
        negatives: what must go to the residual.
        consistency, full_band, joint, blind: see ``Wanted``.
    """

    groups: Mapping[str, Sequence[Detection]]
    negatives: Sequence[Detection] = ()
    consistency: bool = False
    full_band: bool = False
    joint: bool = False
    blind: bool = False

    @property
    def depends(self) -> bool:
        """Whether no stem can be separated without the others of its group."""
        return self.consistency or self.joint or self.blind

    @property
    def detections(self) -> tuple[Detection, ...]:
        """Those of all groups, in turn; one stem each."""
        return tuple(detection for group in self.groups.values() for detection in group)

    def asking(self) -> Asking:
        """Say what the separator is asked with; see ``Asking``."""
        if self.joint:
            return _asking_together(list(self.groups.values()), self._negatives_where_asked())
        asked = {each.query.key: each for each in self.detections}
        number = {key: row for row, key in enumerate(asked)}
        against = self._negatives_where_asked()
        return Asking(
            rows=[*((each, False) for each in asked.values()), *((each, True) for each in against)],
            sources=[number[each.query.key] for each in self.detections],
            negatives=range(len(asked), len(asked) + len(against)),
        )

    def _negatives_where_asked(self) -> list[Detection]:
        """The negatives, where there is a stem that they could be in."""
        anything = np.zeros(1, bool)
        for detection in self.detections:
            anything = anything | detection.active
        return [replace(each, active=each.active & anything) for each in self.negatives]

    def combination(self, asking: Asking, ontology: Ontology) -> Combination:
        """Say how the estimates of what is asked become the stems."""
        return Combination(
            sources=tuple(asking.sources),
            families=families(self, ontology) if self.consistency else (),
            negatives=asking.negatives,
            are_shared_out=self.joint,
        )


@dataclass(frozen=True)
class Asking:
    """What a separator is asked with for a plan, by numbers.

    Attributes:
        rows: what is asked, and whether against it.
        sources: the row of each of the plan's detections.
        negatives: the rows whose sound must be in no stem; those of the first group, if each has
            its own.
        contests: rows that share bins; empty if all are asked by themselves.
    """

    rows: Sequence[tuple[Detection, bool]]
    sources: Sequence[int]
    negatives: Sequence[int] = ()
    contests: Sequence[Sequence[int]] = ()


def _asking_together(
    groups: Sequence[Sequence[Detection]], negatives: Sequence[Detection]
) -> Asking:
    """Let each group compete, with the negatives; a query in two groups is asked in both."""
    rows: list[tuple[Detection, bool]] = []
    sources: list[int] = []
    contests: list[range] = []
    first_negatives: range | None = None
    for group in groups:
        start = len(rows)
        number: dict[object, int] = {}
        for each in group:
            if each.query.key not in number:
                number[each.query.key] = len(rows)
                rows.append((each, False))
            sources.append(number[each.query.key])
        against = range(len(rows), len(rows) + len(negatives))
        first_negatives = first_negatives or against
        rows += [(each, True) for each in negatives]
        contests.append(range(start, len(rows)))
    return Asking(rows, sources, first_negatives or (), contests)


def make_plan(wanted: Wanted, analysis: Analysis, detector: Detector) -> Plan:
    """Decide what is separated from an analysed recording.

    Raises:
        ValueError: if a level does not exist, or something named cannot be separated.
    """
    negatives = detector.detect_queries(analysis, wanted.without, wanted.threshold)
    heard = analysis.without(classes_of(wanted.without))
    groups = {
        group_of(level): detector.detect_level(heard, level, wanted.threshold)
        for level in sorted(set(wanted.levels))
    }
    if wanted.queries:
        groups[NAMED_GROUP] = detector.detect_queries(heard, wanted.queries, wanted.threshold)
    for preset in wanted.presets:
        found = detector.detect_queries(heard, preset.stems, wanted.threshold)
        groups[preset.name] = [replace(each, preset=preset.name) for each in found]
    if wanted.blind:
        stems = detector.detect_queries(analysis, blind_queries(detector.conditioning.space))
        groups[BLIND_GROUP] = [replace(each, preset=BLIND_GROUP) for each in stems]
    return Plan(
        groups,
        negatives,
        wanted.consistency,
        wanted.full_band,
        bool(wanted.joint),
        wanted.blind,
    )


def classes_of(queries: Sequence[Query]) -> list[int]:
    """All classes that some queries stand for, ascending."""
    return sorted({index for query in queries for index in query.class_indexes})


def families(plan: Plan, ontology: Ontology) -> list[Family]:
    """Stems that shall add up: the coarsest level to the mixture, finer ones to their parents.

    Named classes and queries, and the stems of a preset, add up to the mixture. Where a stem's
    parent was not separated it stays as it is.
    """
    families: list[Family] = []
    start = 0
    parents: dict[str, int] | None = None
    for group, detections in plan.groups.items():
        rows = range(start, start + len(detections))
        start += len(detections)
        is_level = level_of(group) is not None
        if parents is None or not is_level:
            families.append(Family(None, tuple(rows)))
        else:
            families += _families_below(parents, rows, detections, ontology)
        if is_level:
            parents = {str(d.query.mid): row for row, d in zip(rows, detections, strict=True)}
    return families


def _families_below(
    parents: Mapping[str, int],
    rows: Sequence[int],
    detections: Sequence[Detection],
    ontology: Ontology,
) -> list[Family]:
    """Gather the stems of a level by the stem of the coarser level that they lie below."""
    by_parent: dict[int, list[int]] = {}
    for row, detection in zip(rows, detections, strict=True):
        above = [node.mid for node in ontology.ancestors(str(detection.query.mid))]
        parent = next((parents[mid] for mid in above if mid in parents), None)
        if parent is not None:
            by_parent.setdefault(parent, []).append(row)
    return [Family(parent, tuple(members)) for parent, members in by_parent.items()]
