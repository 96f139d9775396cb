"""Several ways to separate one recording, of which the best stems are kept.

What a generative model draws depends on its seed, and models differ. A candidate is one separator
with one seed; all separate what one plan says, which the first of them has made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from uss.audio import AudioSource
from uss.checkpoints.loading import weight_hash
from uss.conditions.placed_queries import PlacedQuery
from uss.conditions.queries import AudioQuery, Query
from uss.conditions.text_queries import TextQuery
from uss.core.arrays import Bools
from uss.core.errors import InputError
from uss.core.hashes import short_hash
from uss.detection.analysis import Analysis
from uss.detection.detections import Detection
from uss.detection.events import intervals_of
from uss.models import GenerativeModel
from uss.separation.batching import Batcher
from uss.separation.chunk_drawing import Drawing
from uss.separation.fitting import check_blind, shares_bins
from uss.separation.plan import Plan, Wanted
from uss.separation.separator import Separator
from uss.separation.work import Work, work_of

MAX_CANDIDATES = 1000
"""Of one model; a result lists them all."""


@dataclass(frozen=True)
class Candidate:
    """One way to separate.

    Attributes:
        separator: what separates.
        drawing: how it draws; None if it draws nothing.
    """

    separator: Separator
    drawing: Drawing | None

    @property
    def model(self) -> str | None:
        """What the separator was called where it was loaded."""
        return self.separator.names.model

    @property
    def seed(self) -> int | None:
        """Of what it draws."""
        return None if self.drawing is None else self.drawing.seed

    @property
    def generates(self) -> bool:
        """Whether the samples of its stems are no part of the recording."""
        return self.drawing is not None and not self.drawing.guide

    def batcher(self) -> Batcher:
        """Make what runs it."""
        return Batcher(self.separator.model, self.separator.runtime, self.drawing)


def candidates_of(
    separator: Separator, num_seeds: int, others: Sequence[Separator] = ()
) -> list[Candidate]:
    """List candidates: each model that draws with ``num_seeds`` seeds in turn, others once.

    Args:
        separator: comes first.
        num_seeds: its own seed and those after it; 1 or more.
        others: separate the same.

    Raises:
        InputError: if there would be no other seed, as nothing draws, or two candidates would be
            the same.
    """
    models = [separator, *others]
    if num_seeds < 1:
        raise InputError(f"{num_seeds} candidates leave no stem; give 1 or more")
    if num_seeds > MAX_CANDIDATES:
        raise InputError(f"{num_seeds} candidates are too many; give at most {MAX_CANDIDATES}")
    if num_seeds > 1 and all(each.drawing is None for each in models):
        raise InputError(
            f"a {type(separator.model).__name__} draws nothing, so {num_seeds} candidates would be "
            "the same; leave candidates out, name other models for them, or choose a generative "
            "one, such as flowsep-hive"
        )
    found: list[Candidate] = []
    for each in models:
        if each.drawing is None:
            found.append(Candidate(each, None))
            continue
        seeds = range(each.drawing.seed, each.drawing.seed + num_seeds)
        found += [Candidate(each, replace(each.drawing, seed=seed)) for seed in seeds]
    if others:
        _check_different(found)
    return found


def tell_how_to_draw(
    separators: Sequence[Separator], steps: int | None, seed: int | None, guide: bool
) -> None:
    """Tell several separators how to draw, those that do.

    Raises:
        InputError: if something is said and none of them draws.
    """
    drawing = [each for each in separators if isinstance(each.model, GenerativeModel)]
    for each in drawing or separators[:1]:
        each.drawing = Drawing.of(each.model, steps, seed, guide)


def check_candidates(candidates: Sequence[Candidate], wanted: Wanted) -> None:
    """See, before anything is heard, whether all candidates can be asked for the same.

    Raises:
        InputError: if not, or stems depend on each other, so that none can be chosen by itself.
    """
    if len(candidates) < 2:
        return
    if wanted.consistency or wanted.blind:
        what = "consistency" if wanted.consistency else "blind separation"
        raise InputError(
            f"with {what} stems depend on each other, so that none can be chosen among candidates; "
            "leave out one"
        )
    for other in _others(candidates):
        check_blind(other.conditioning.space, is_wanted=False)
        shares_bins(other.model, wanted.joint)
        for query in (*wanted.named, *wanted.without):
            asked_of(query, other).check(other.conditioning)


def works_of(
    candidates: Sequence[Candidate],
    source: AudioSource,
    analysis: Analysis,
    plan: Plan,
    overlap: float,
    joint: bool | None = None,
) -> list[Work]:
    """Say what each candidate is to do.

    As separators have segments of their own, each hears the recording again, and separates a stem
    in all segments that touch those of the plan. A stem of a level that it cannot be asked for is
    silent.

    Args:
        candidates: the first one's separator made the plan.
        source: the recording.
        analysis: what that one heard.
        plan: what is wanted.
        overlap: of neighbouring segments.
        joint: see ``Wanted``.

    Raises:
        OSError, ValueError: if the recording cannot be read, or one cannot be asked.
    """
    first = candidates[0].separator
    known = {id(first): work_of(plan, analysis, first.conditioning, first.ontology)}
    for other in _others(candidates):
        heard = other.analyse(source, overlap)
        same = _plan_for(other, plan, analysis, heard, joint)
        known[id(other)] = work_of(same, heard, other.conditioning, other.ontology)
    return [known[id(each.separator)] for each in candidates]


def asked_of(query: Query, separator: Separator) -> Query:
    """Ask another separator for the same.

    Raises:
        OSError, ValueError: if it does not understand it, or it is asked for by a vector.
    """
    if isinstance(query, PlacedQuery):
        return PlacedQuery.of(asked_of(query.query, separator), query.spans)
    if isinstance(query, TextQuery):
        return separator.text_queries([query.name]).queries[0]
    if isinstance(query, AudioQuery):
        raise InputError(
            f"{query.name} is asked for by sound, in the space of one model; other models cannot "
            "be asked for it: leave out one"
        )
    return query


def _check_different(candidates: Sequence[Candidate]) -> None:
    """Refuse what would separate the same twice."""
    identities = {id(each.separator): _identity(each.separator) for each in candidates}
    seen: set[object] = set()
    for each in candidates:
        key = identities[id(each.separator)], each.drawing
        if key in seen:
            raise InputError(
                f"{each.model or 'a model'} is among the candidates twice, and would give the same "
                "stems; leave it out there, or name another model"
            )
        seen.add(key)


def _identity(separator: Separator) -> tuple[str | None, ...]:
    """What a separator's stems depend on, beside how it draws."""
    queries = separator.class_queries
    return (
        separator.separator_hash,
        weight_hash(separator.encoder),
        None if queries is None else short_hash(queries.content()),
        separator.names.text_encoder,
    )


def _others(candidates: Sequence[Candidate]) -> list[Separator]:
    """Each separator once, without the first."""
    unique = {id(each.separator): each.separator for each in candidates}
    return list(unique.values())[1:]


def _plan_for(
    other: Separator, plan: Plan, analysis: Analysis, heard: Analysis, joint: bool | None
) -> Plan:
    def same(detection: Detection) -> Detection:
        query = asked_of(detection.query, other)
        active = _touching(intervals_of(detection, analysis), heard)
        try:
            query.check(other.conditioning)
        except InputError:
            # What the user named was checked before; what was detected may be beyond this model.
            if detection.level is None:
                raise
            active[:] = False
        probabilities = query.heard_in(heard.probabilities)
        return replace(detection, query=query, probabilities=probabilities, active=active)

    return replace(
        plan,
        groups={name: [same(each) for each in group] for name, group in plan.groups.items()},
        negatives=[same(each) for each in plan.negatives],
        joint=shares_bins(other.model, joint),
    )


def _touching(intervals: Sequence[tuple[float, float]], analysis: Analysis) -> Bools:
    """(I,) the segments that share time with intervals, where there is any sound."""
    starts = np.array(analysis.starts_seconds)
    active = np.zeros(len(starts), bool)
    for start, end in intervals:
        active |= (starts < end) & (starts + analysis.segment_seconds > start)
    touching: Bools = active & analysis.sounding
    return touching
