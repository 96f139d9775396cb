"""What the separator is to do with one recording."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ontology import Ontology
from uss.audio.segments import Segmentation
from uss.conditions.conditioning import Conditioning
from uss.core.arrays import Bools, Float32, Indexes
from uss.detection.analysis import Analysis
from uss.separation.consistency import Combination
from uss.separation.plan import Plan, classes_of

_LEAST_PRIOR = 1e-3


@dataclass(frozen=True, kw_only=True)
class Work:
    """Which conditions the separator is asked with where, and what becomes of its estimates.

    Attributes:
        num_samples: T of the recording, at its own rate.
        segmentation: at the separator's rate.
        active: (J, I) bool, which of J queries is asked in which segment.
        conditions: maps a query's number and (N,) segment numbers to (N, H) conditions.
        combination: makes stems of the separator's estimates.
        contests: queries, by their numbers, that share the bins of a segment; those in none are
            asked by themselves.
        priors: (J, I) above 0, how probable each query is in each segment, for those that share
            bins; None if all are alike.
        full_band: stems follow the mask's top bins above the separator's band.
        spans: of each stem, (start, end) in seconds outside of which it is silent; None for no
            limit.
        high_pass: what lies below hearing is kept from the separator, and so out of the stems.
        blind: nobody said which stem is which, so that segments have them in any order; and what
            the separator does not hear is shared out too.
    """

    num_samples: int
    segmentation: Segmentation
    active: Bools
    conditions: Callable[[int, Indexes], Float32]
    combination: Combination
    contests: Sequence[Sequence[int]] = ()
    priors: Float32 | None = None
    full_band: bool = False
    spans: Sequence[tuple[tuple[float, float], ...] | None] = ()
    high_pass: bool = False
    blind: bool = False

    def shares_out_the_rest(self, sample_rate: int, separator_rate: int) -> bool:
        """Whether stems also get what is lost where a recording is brought to another rate.

        Blind stems add up to the recording at any rate.

        Args:
            sample_rate: of the recording, in Hz.
            separator_rate: to which it is brought.
        """
        if self.blind:
            return sample_rate != separator_rate
        return self.full_band and sample_rate > separator_rate

    def conditions_in(self, segments: Sequence[int]) -> dict[tuple[int, int], Float32]:
        """Make the (H,) conditions of all pairs of some segments, by segment and query."""
        made: dict[tuple[int, int], Float32] = {}
        for row, active in enumerate(self.active):
            where = [index for index in segments if active[index]]
            if where:
                keys = ((index, row) for index in where)
                made.update(zip(keys, self.conditions(row, np.array(where)), strict=True))
        return made

    def prior(self, row: int, segment: int) -> float:
        """How probable a query is in a segment."""
        return 1.0 if self.priors is None else float(self.priors[row, segment])


def work_of(plan: Plan, analysis: Analysis, conditioning: Conditioning, ontology: Ontology) -> Work:
    """Carry out a plan: what is asked for, then what is asked against.

    What must be in no stem is not in the probabilities that stems are asked with. Of the stems of a
    level that share bins, the more probable one has the greater claim; what the user named has
    equal ones.

    Args:
        plan: what is separated.
        analysis: of the recording.
        conditioning: of the separator.
        ontology: says what adds up to what.
    """
    unwanted = classes_of([detection.query for detection in plan.negatives])
    heard, heard_without = analysis.for_conditions, analysis.without(unwanted).for_conditions
    asking = plan.asking()
    rows = [(each, heard if is_negative else heard_without) for each, is_negative in asking.rows]
    active = np.zeros((len(rows), analysis.segmentation.num_segments), bool)
    priors = np.ones(active.shape, np.float32)
    for row, (detection, _) in enumerate(rows):
        active[row] = detection.active
        if detection.level is not None and detection.probabilities is not None:
            priors[row] = np.maximum(detection.probabilities, _LEAST_PRIOR)

    def conditions(row: int, segments: Indexes) -> Float32:
        detection, probabilities = rows[row]
        return detection.query.conditions(probabilities[segments], conditioning)

    return Work(
        num_samples=analysis.num_samples,
        segmentation=analysis.segmentation,
        active=active,
        conditions=conditions,
        combination=plan.combination(asking, ontology),
        contests=asking.contests,
        priors=priors,
        full_band=plan.full_band,
        spans=[detection.spans for detection in plan.detections],
        high_pass=analysis.has_infrasound and not analysis.is_papers,
        blind=plan.blind,
    )
