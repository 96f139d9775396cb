import numpy as np
import pytest

from ontology import Ontology
from uss.conditions.queries import AudioQuery, NodeQuery, Query
from uss.detection.detections import Detection
from uss.separation.consistency import Family
from uss.separation.groups import NAMED_GROUP
from uss.separation.plan import Plan, families

LEVEL_1 = ("Animal", "Music")
LEVEL_2 = ("Domestic animals, pets", "Musical instrument")
LEVEL_3 = ("Dog", "Plucked string instrument", "Cat")


def detection(asked: Query) -> Detection:
    return Detection(asked, None, np.ones(1, np.float32), np.ones(1, bool))


def query(name: str) -> AudioQuery:
    return AudioQuery(name, "a-1", np.zeros(1, np.float32), np.zeros(1, np.float32))


@pytest.fixture
def groups(ontology: Ontology) -> dict[str, list[Detection]]:
    names = {"level1": LEVEL_1, "level2": LEVEL_2, "level3": LEVEL_3}
    return {
        group: [detection(NodeQuery.of(ontology.find(name), ontology)) for name in members]
        for group, members in names.items()
    }


def test_detections_are_those_of_all_groups_in_turn(groups: dict[str, list[Detection]]) -> None:
    names = [each.query.name for each in Plan(groups).detections]
    assert names == [*LEVEL_1, *LEVEL_2, *LEVEL_3]
    assert Plan({}).detections == ()


def test_nodes_are_the_same_by_mid_and_queries_by_identity(ontology: Ontology) -> None:
    dog = NodeQuery.of(ontology.find("Dog"), ontology)
    again = NodeQuery("Hund", dog.mid, ())
    assert dog.key == again.key
    first, second = query("mine"), query("mine")
    assert first.key == first.key
    assert first.key != second.key
    assert first.key != dog.key


def test_one_level_adds_up_to_the_mixture(
    groups: dict[str, list[Detection]], ontology: Ontology
) -> None:
    for name in ("level1", "level2", "level3"):
        rows = tuple(range(len(groups[name])))
        assert families(Plan({name: groups[name]}), ontology) == [Family(None, rows)]


def test_level_2_adds_up_to_level_1(groups: dict[str, list[Detection]], ontology: Ontology) -> None:
    plan = Plan({name: groups[name] for name in ("level1", "level2")})
    assert families(plan, ontology) == [
        Family(None, (0, 1)),
        Family(0, (2,)),
        Family(1, (3,)),
    ]


def test_level_3_adds_up_to_level_1_where_level_2_is_left_out(
    groups: dict[str, list[Detection]], ontology: Ontology
) -> None:
    plan = Plan({name: groups[name] for name in ("level1", "level3")})
    assert families(plan, ontology) == [
        Family(None, (0, 1)),
        Family(0, (2, 4)),
        Family(1, (3,)),
    ]


def test_each_level_adds_up_to_the_one_above(
    groups: dict[str, list[Detection]], ontology: Ontology
) -> None:
    assert families(Plan(groups), ontology) == [
        Family(None, (0, 1)),
        Family(0, (2,)),
        Family(1, (3,)),
        Family(2, (4, 6)),
        Family(3, (5,)),
    ]


def test_a_stem_whose_parent_was_not_separated_is_in_no_family(
    groups: dict[str, list[Detection]], ontology: Ontology
) -> None:
    plan = Plan({"level1": groups["level1"][1:], "level3": groups["level3"]})
    assert families(plan, ontology) == [Family(None, (0,)), Family(0, (2,))]


def test_named_ones_add_up_to_the_mixture_beside_the_levels(
    groups: dict[str, list[Detection]], ontology: Ontology
) -> None:
    """Also where one of them lies below another, or is no node at all."""
    named = [
        detection(NodeQuery.of(ontology.find("Cat"), ontology)),
        detection(query("mine")),
        groups["level1"][0],
    ]
    plan = Plan({"level1": groups["level1"], "level2": groups["level2"], NAMED_GROUP: named})
    assert families(plan, ontology) == [
        Family(None, (0, 1)),
        Family(0, (2,)),
        Family(1, (3,)),
        Family(None, (4, 5, 6)),
    ]
    assert families(Plan({NAMED_GROUP: named}), ontology) == [Family(None, (0, 1, 2))]


def test_named_ones_are_no_parents(groups: dict[str, list[Detection]], ontology: Ontology) -> None:
    plan = Plan({NAMED_GROUP: groups["level1"], "level2": groups["level2"]})
    assert families(plan, ontology) == [Family(None, (0, 1)), Family(None, (2, 3))]


def test_a_plan_without_stems_has_no_family_that_does_anything(ontology: Ontology) -> None:
    assert families(Plan({}), ontology) == []
    assert families(Plan({"level1": []}), ontology) == [Family(None, ())]
    (first,) = families(Plan({"level1": [], "level2": []}), ontology)
    assert first == Family(None, ())


def test_independent_stems_are_asked_once_however_often_listed(
    groups: dict[str, list[Detection]],
) -> None:
    named = [groups["level1"][0], groups["level2"][0]]
    against = [detection(query("unwanted"))]
    plan = Plan({"level1": groups["level1"], NAMED_GROUP: named}, negatives=against)
    asking = plan.asking()
    num_queries = len(groups["level1"]) + 1
    assert len(asking.rows) == num_queries + 1
    assert list(asking.sources) == [*range(len(groups["level1"])), 0, num_queries - 1]
    assert list(asking.negatives) == [num_queries]
    assert [is_negative for _, is_negative in asking.rows] == [False] * num_queries + [True]
    assert not asking.contests


def test_joint_stems_compete_within_their_folder_and_with_the_negatives(
    groups: dict[str, list[Detection]],
) -> None:
    """A query in two folders meets other rivals in each, so it is asked in both."""
    named = [groups["level1"][0], groups["level1"][0], groups["level2"][0]]
    against = [detection(query("unwanted"))]
    first = groups["level1"][:2]
    plan = Plan({"level1": first, NAMED_GROUP: named}, negatives=against, joint=True)
    asking = plan.asking()
    names = [each.query.name for each, _ in asking.rows]
    level1, level2 = first[0].query.name, groups["level2"][0].query.name
    assert names == [level1, first[1].query.name, "unwanted", level1, level2, "unwanted"]
    assert list(asking.sources) == [0, 1, 3, 3, 4]
    assert [list(contest) for contest in asking.contests] == [[0, 1, 2], [3, 4, 5]]
    assert list(asking.negatives) == [2]


def test_what_has_been_shared_out_is_not_taken_from_again(
    groups: dict[str, list[Detection]], ontology: Ontology
) -> None:
    against = [detection(query("unwanted"))]
    for joint in (False, True):
        plan = Plan({"level1": groups["level1"]}, negatives=against, joint=joint)
        assert plan.combination(plan.asking(), ontology).is_plain is joint
