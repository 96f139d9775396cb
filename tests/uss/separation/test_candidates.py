from typing import Any

import numpy as np
import pytest
import torch

from tests.flowsep_files import small
from tests.uss.evaluation.conftest import (
    CAT,
    DOG,
    RATE,
    SPACE,
    BandTagger,
    make_separator,
    tone,
)
from uss.audio import Recording
from uss.checkpoints.bundle import Bundle
from uss.conditions.class_queries import ClassQueries
from uss.conditions.placed_queries import PlacedQuery
from uss.conditions.queries import AudioQuery, NodeQuery
from uss.core.errors import InputError
from uss.core.runtime import Runtime
from uss.separation.candidates import (
    asked_of,
    candidates_of,
    check_candidates,
    tell_how_to_draw,
    works_of,
)
from uss.separation.chunk_drawing import Drawing
from uss.separation.plan import Wanted
from uss.separation.pretrained import ModelNames
from uss.separation.separator import Separator


def drawing_separator(seed: int = 0, name: str = "drawn") -> Separator:
    """The smallest generative model, asked with a dog's vector or a cat's."""
    model = small(SPACE, condition_size=2)
    queries = ClassQueries(SPACE, (DOG, CAT), np.eye(2, dtype=np.float32))
    return Separator(
        Bundle(BandTagger(), model, queries),
        runtime=Runtime(torch.device("cpu"), torch.float32),
        names=ModelNames(name),
        drawing=Drawing(steps=1, seed=seed),
    )


@pytest.fixture
def recording() -> Recording:
    """A dog for a second, then both."""
    dog, cat = tone(500.0, 2.0), tone(6_000.0, 2.0)
    cat[:RATE] = 0.0
    return Recording((dog + cat)[None], RATE)


def node(separator: Separator, name: str) -> NodeQuery:
    return NodeQuery.of(separator.ontology.find(name), separator.ontology)


class TestListing:
    def test_seeds_follow_the_models_own(self) -> None:
        separator = drawing_separator(seed=5)
        found = candidates_of(separator, 3)
        assert [(each.model, each.seed) for each in found] == [("drawn", 5 + n) for n in range(3)]
        assert all(each.generates and each.separator is separator for each in found)

    def test_models_that_draw_nothing_come_once(self) -> None:
        found = candidates_of(make_separator(), 2, [drawing_separator()])
        assert [each.seed for each in found] == [None, 0, 1]
        assert [each.generates for each in found] == [False, True, True]

    def test_a_guide_generates_nothing(self) -> None:
        separator = drawing_separator()
        tell_how_to_draw([separator], None, 7, True)
        assert [(c.seed, c.generates) for c in candidates_of(separator, 1)] == [(7, False)]

    def test_seeds_without_drawing_are_refused(self) -> None:
        with pytest.raises(InputError, match="a Bands draws nothing, so 3 candidates would be"):
            candidates_of(make_separator(), 3)
        with pytest.raises(InputError, match="0 candidates leave no stem"):
            candidates_of(drawing_separator(), 0)

    def test_so_many_that_nobody_could_mean_it_are_refused(self) -> None:
        with pytest.raises(InputError, match="1001 candidates are too many; give at most 1000"):
            candidates_of(drawing_separator(), 1001)

    def test_a_model_that_is_there_already_is_refused(self) -> None:
        same = [drawing_separator(), make_separator()]
        for first, other in ((same[0], drawing_separator(name="copy")), (same[1], same[1])):
            with pytest.raises(InputError, match="is among the candidates twice"):
                candidates_of(first, 1, [other])

    def test_the_same_model_may_draw_otherwise(self) -> None:
        found = candidates_of(drawing_separator(), 1, [drawing_separator(seed=1)])
        assert [each.seed for each in found] == [0, 1]
        with pytest.raises(InputError, match="drawn is among the candidates twice"):
            candidates_of(drawing_separator(), 2, [drawing_separator(seed=1)])


class TestTellingHowToDraw:
    def test_those_that_draw_are_told(self) -> None:
        masking, drawn = make_separator(), drawing_separator()
        tell_how_to_draw([masking, drawn], 4, 2, False)
        assert masking.drawing is None and drawn.drawing == Drawing(steps=4, seed=2)

    def test_where_nothing_draws_it_is_refused(self) -> None:
        with pytest.raises(InputError, match="draws nothing; leave out seed"):
            tell_how_to_draw([make_separator(), make_separator()], None, 2, False)
        tell_how_to_draw([make_separator()], None, None, False)


class TestChecks:
    def test_stems_that_depend_on_each_other_are_refused(self) -> None:
        candidates = candidates_of(drawing_separator(), 2)
        with pytest.raises(InputError, match="with consistency stems depend on each other"):
            check_candidates(candidates, Wanted(levels=[2], consistency=True))
        check_candidates(candidates, Wanted(levels=[2]))
        check_candidates(candidates[:1], Wanted(levels=[2], consistency=True))

    def test_what_another_model_cannot_be_asked_for_is_refused(self) -> None:
        separator = make_separator(DOG, CAT)
        candidates = candidates_of(separator, 1, [make_separator(CAT)])
        check_candidates(candidates, Wanted(queries=[node(separator, "Cat")]))
        with pytest.raises(InputError, match="no query for 'Dog'"):
            check_candidates(candidates, Wanted(queries=[node(separator, "Dog")]))

    def test_sounds_by_example_are_of_one_model(self) -> None:
        separator = make_separator()
        query = separator.audio_query("woof", [Recording(tone(500.0)[None], RATE)])
        candidates = candidates_of(separator, 1, [make_separator()])
        with pytest.raises(InputError, match="woof is asked for by sound, in the space of one"):
            check_candidates(candidates, Wanted(queries=[query]))
        check_candidates(candidates_of(drawing_separator(), 2), Wanted(queries=[query]))


class TestAskingOthers:
    def test_texts_are_read_again(self) -> None:
        separator, other = make_separator(), make_separator(CAT)
        (query,) = separator.text_queries(["a dog barking"]).queries
        same: Any = asked_of(query, other)
        assert same.name == query.name and same is not query
        placed = PlacedQuery.of(query, ((0.0, 1.0),))
        again = asked_of(placed, other)
        assert isinstance(again, PlacedQuery) and again.spans == placed.spans

    def test_classes_stay_as_they_are(self) -> None:
        separator = make_separator()
        query = node(separator, "Dog")
        assert asked_of(query, make_separator()) is query
        assert not isinstance(query, AudioQuery)


class TestWork:
    def test_another_model_separates_where_the_first_one_heard(self, recording: Recording) -> None:
        """Its segments are of another length; those that touch the detection's count."""
        first, other = make_separator(), drawing_separator()
        analysis = first.analyse(recording)
        plan = first.plan(analysis, Wanted(levels=[3]))
        names = [each.query.name for each in plan.detections]
        works = works_of(candidates_of(first, 1, [other]), recording, analysis, plan, 0.25)
        assert sorted(names) == ["Cat", "Dog"] and len(works) == 2
        own = other.analyse(recording)
        starts = np.array(own.starts_seconds)
        cat = names.index("Cat")
        begin = np.array(analysis.starts_seconds)[plan.detections[cat].active].min()
        expected = starts + own.segment_seconds > begin
        np.testing.assert_array_equal(works[1].active[cat], expected)
        assert works[1].active[names.index("Dog")].all()
        assert works[1].segmentation.num_segments != works[0].segmentation.num_segments

    def test_seeds_share_their_work(self, recording: Recording) -> None:
        separator = drawing_separator()
        analysis = separator.analyse(recording)
        plan = separator.plan(analysis, Wanted(levels=[3]))
        one, other = works_of(candidates_of(separator, 2), recording, analysis, plan, 0.25)
        assert one is other

    def test_a_detection_beyond_another_model_is_silent_there(self, recording: Recording) -> None:
        first, other = make_separator(), make_separator(CAT)
        analysis = first.analyse(recording)
        plan = first.plan(analysis, Wanted(levels=[3]))
        _, work = works_of(candidates_of(first, 1, [other]), recording, analysis, plan, 0.25)
        active = {d.query.name: rows for d, rows in zip(plan.detections, work.active, strict=True)}
        assert active["Cat"].any() and not active["Dog"].any()
