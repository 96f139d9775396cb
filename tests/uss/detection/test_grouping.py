from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ontology import Node, Ontology, load_ontology
from uss.conditions.queries import NodeQuery
from uss.detection.detections import Detection, active_intervals
from uss.detection.grouping import active_at_level, detect, group_probabilities
from uss.taggers import NUM_CLASSES

HUMAN_SOUNDS, MUSIC, DOG = "/m/0dgw9r", "/m/04rlf", "/m/0bt9lr"


def asked(nodes: Sequence[Node], ontology: Ontology) -> list[NodeQuery]:
    return [NodeQuery.of(node, ontology) for node in nodes]


def uniform(threshold: float) -> NDArray[np.float32]:
    return np.full(NUM_CLASSES, threshold, np.float32)


def quiet(num_segments: int = 3) -> NDArray[np.float32]:
    return np.full((num_segments, NUM_CLASSES), 0.01, np.float32)


def classes_below(mid: str, ontology: Ontology) -> set[int]:
    """children(j) of Algorithm 4 by plain recursion."""
    node = ontology.nodes[mid]
    own = set() if node.class_index is None else {node.class_index}
    return own.union(*(classes_below(child, ontology) for child in node.children))


@pytest.mark.parametrize("reading", ["tree", "graph"])
def test_grouping_equals_the_maximum_by_brute_force(reading: str, rng: np.random.Generator) -> None:
    ontology = load_ontology(reading)  # type: ignore[arg-type]
    probabilities = rng.random((4, NUM_CLASSES)).astype(np.float32)
    nodes = [node for node in ontology.nodes.values() if ontology.class_indexes(node)]
    grouped = group_probabilities(probabilities, nodes, ontology)
    assert grouped.shape == (4, len(nodes))
    assert grouped.dtype == np.float32
    for column, node in enumerate(nodes):
        indexes = classes_below(node.mid, ontology)
        for segment in range(4):
            expected = max(probabilities[segment, index] for index in indexes)
            assert grouped[segment, column] == expected


def test_a_class_with_several_parents_counts_under_one_in_the_tree_and_all_in_the_graph() -> None:
    tree, graph = load_ontology(), load_ontology("graph")
    node = next(n for n in graph.classes if len(n.parents) > 1)
    probabilities = np.zeros((1, NUM_CLASSES), np.float32)
    probabilities[0, node.class_index] = 0.9
    for ontology, num_parents in ((tree, 1), (graph, len(node.parents))):
        parents = [ontology.nodes[mid] for mid in node.parents]
        grouped = group_probabilities(probabilities, parents, ontology)
        assert int((grouped == np.float32(0.9)).sum()) == num_parents


def test_no_nodes_and_no_segments(ontology: Ontology) -> None:
    assert group_probabilities(quiet(), [], ontology).shape == (3, 0)
    dog = ontology.find("Dog")
    assert group_probabilities(quiet(0), [dog], ontology).shape == (0, 1)
    (detection,) = detect(quiet(0), asked([dog], ontology), uniform(0.2))
    assert detection.probability == 0.0
    assert active_at_level(quiet(0), 1, ontology, uniform(0.2)) == []


def test_a_segment_is_active_from_the_threshold_on(ontology: Ontology) -> None:
    probabilities = quiet()
    dog = ontology.find("Dog").class_index
    probabilities[:, dog] = [0.25, 0.2499, 0.3]
    animal = asked([ontology.find("Animal")], ontology)
    (detection,) = detect(probabilities, animal, uniform(0.25), 1)
    assert detection.active.tolist() == [True, False, True]
    assert detection.level == 1
    assert detection.probabilities.tolist() == probabilities[:, dog].tolist()
    assert detection.probability == pytest.approx(0.3)


def test_a_node_is_active_only_above_the_threshold(ontology: Ontology) -> None:
    probabilities = quiet()
    dog = ontology.find("Dog").class_index
    probabilities[1, dog] = 0.25
    assert active_at_level(probabilities, 1, ontology, uniform(0.25)) == []
    probabilities[1, dog] = 0.2501
    (detection,) = active_at_level(probabilities, 1, ontology, uniform(0.25))
    assert detection.query.mid == ontology.find("Animal").mid
    assert detection.active.tolist() == [False, True, False]


def test_each_class_has_its_own_threshold(ontology: Ontology) -> None:
    """Animal is active where the dog reaches 0.1, not where the cat stays under 0.9."""
    dog, cat = (ontology.find(name).class_index for name in ("Dog", "Cat"))
    probabilities = quiet()
    probabilities[0, cat] = 0.8
    probabilities[2, dog] = 0.15
    thresholds = uniform(0.9)
    thresholds[dog] = 0.1
    (detection,) = active_at_level(probabilities, 1, ontology, thresholds)
    assert detection.active.tolist() == [False, False, True]
    assert detection.probabilities.tolist() == pytest.approx([0.8, 0.01, 0.15])


def test_active_nodes_come_most_probable_first(ontology: Ontology) -> None:
    probabilities = quiet()
    for name, segment, value in (("Speech", 0, 0.5), ("Dog", 1, 0.9), ("Guitar", 2, 0.7)):
        probabilities[segment, ontology.find(name).class_index] = value
    found = active_at_level(probabilities, 1, ontology, uniform(0.2))
    assert [d.query.name for d in found] == ["Animal", "Music", "Human sounds"]
    assert all(d.level == 1 for d in found)


def test_named_nodes_keep_their_order_and_come_back_inactive_too(ontology: Ontology) -> None:
    nodes = [ontology.find(name) for name in ("Speech", "Dog")]
    found = detect(quiet(), asked(nodes, ontology), uniform(0.2))
    assert [detection.query for detection in found] == asked(nodes, ontology)
    assert not any(detection.active.any() for detection in found)
    assert all(detection.level is None for detection in found)


def test_threshold_0_makes_everything_that_is_possible_active(ontology: Ontology) -> None:
    assert len(active_at_level(quiet(), 2, ontology, uniform(0.0))) == 41


def test_a_level_that_does_not_exist(ontology: Ontology) -> None:
    with pytest.raises(ValueError, match="level 7 does not exist"):
        active_at_level(quiet(), 7, ontology, uniform(0.2))


@pytest.mark.parametrize(
    ("dog", "expected"),
    [
        ([0.5, 0.3, 0.3, 0.1], [1, 1, 1, 0]),
        ([0.3, 0.3, 0.5, 0.1], [1, 1, 1, 0]),
        ([0.3, 0.3, 0.3, 0.3], [0, 0, 0, 0]),
        ([0.5, 0.1, 0.3, 0.3], [1, 0, 0, 0]),
        ([0.5, 0.3, 0.1, 0.3, 0.5], [1, 1, 0, 1, 1]),
        ([0.3, 0.1, 0.5, 0.1, 0.3], [0, 0, 1, 0, 0]),
        ([0.2, 0.4, 0.2], [1, 1, 1]),
        ([0.1999, 0.4, 0.1999], [0, 1, 0]),
        ([0.4, 0.2, 0.4], [1, 1, 1]),
        ([0.5], [1]),
        ([0.3], [0]),
    ],
)
def test_a_node_is_held_from_where_it_is_half_there(
    ontology: Ontology, dog: list[float], expected: list[int]
) -> None:
    """Runs that reach 0.2 are active if they reach 0.4 somewhere."""
    probabilities = quiet(len(dog))
    probabilities[:, ontology.find("Dog").class_index] = dog
    node = ontology.find("Dog")
    (held,) = detect(probabilities, asked([node], ontology), uniform(0.4), release=0.5)
    assert held.active.dtype == np.bool_
    assert held.active.tolist() == [bool(each) for each in expected]
    (plain,) = detect(probabilities, asked([node], ontology), uniform(0.4))
    reached = probabilities[:, ontology.find("Dog").class_index] >= np.float32(0.4)
    assert plain.active.tolist() == reached.tolist()
    np.testing.assert_array_equal(held.probabilities, plain.probabilities)


def test_one_class_may_hold_a_node_that_another_made_active(ontology: Ontology) -> None:
    """Each by its own threshold: the dog reaches 0.4, then the cat half of 0.8."""
    dog, cat = (ontology.find(name).class_index for name in ("Dog", "Cat"))
    probabilities = quiet(4)
    probabilities[:, dog] = [0.4, 0.0, 0.0, 0.0]
    probabilities[:, cat] = [0.0, 0.4, 0.4, 0.39]
    thresholds = uniform(0.4)
    thresholds[cat] = 0.8
    nodes = [ontology.find(name) for name in ("Animal", "Cat")]
    animal, only_cat = detect(probabilities, asked(nodes, ontology), thresholds, release=0.5)
    assert animal.active.tolist() == [True, True, True, False]
    assert not only_cat.active.any()


def test_hysteresis_finds_no_further_nodes(ontology: Ontology) -> None:
    probabilities = quiet()
    probabilities[:, ontology.find("Dog").class_index] = [0.3, 0.5, 0.3]
    probabilities[:, ontology.find("Speech").class_index] = [0.39, 0.39, 0.4]
    (found,) = active_at_level(probabilities, 1, ontology, uniform(0.4), release=0.5)
    assert found.query.name == "Animal"
    assert found.active.all()


def test_hysteresis_without_segments(ontology: Ontology) -> None:
    (found,) = detect(quiet(0), asked([ontology.find("Dog")], ontology), uniform(0.4), release=0.5)
    assert found.active.shape == (0,)


def published(shared: Path, ontology: Ontology, threshold: float) -> list[Detection]:
    probabilities = np.load(shared / "parity" / "hierarchy.npz")["probabilities"]
    nodes: list[Node] = [ontology.nodes[mid] for mid in (HUMAN_SOUNDS, MUSIC, DOG)]
    return detect(probabilities, asked(nodes, ontology), uniform(threshold))


def test_published_probabilities_at_threshold_0_2(shared: Path, ontology: Ontology) -> None:
    for detection in published(shared, ontology, 0.2):
        assert detection.active.tolist() == [True, True, True]


def test_published_probabilities_at_threshold_0_75(shared: Path, ontology: Ontology) -> None:
    found = published(shared, ontology, 0.75)
    first = [round(float(detection.probabilities[0]), 3) for detection in found]
    assert first == [0.707, 0.723, 0.678]
    for detection in found:
        assert detection.active.tolist() == [False, True, True]
        assert detection.probabilities[1:].min() >= 0.769


@pytest.mark.parametrize(
    ("active", "starts", "end", "expected"),
    [
        ([1, 1, 0, 1], [0, 2, 4, 6], 8.0, [(0, 4), (6, 8)]),
        ([1, 0, 1], [0.0, 1.5, 3.0], 5.0, [(0.0, 2.0), (3.0, 5.0)]),
        ([1, 1, 1], [0.0, 1.5, 3.0], 5.0, [(0.0, 5.0)]),
        ([0, 0, 0], [0, 2, 4], 6.0, []),
        ([0, 0, 1], [0, 2, 4], 4.5, [(4, 4.5)]),
        ([1], [0], 0.25, [(0, 0.25)]),
        ([], [], 0.0, []),
    ],
    ids=["touching", "gap", "overlapping", "none", "cut at the end", "short", "empty"],
)
def test_intervals(
    active: list[int], starts: list[float], end: float, expected: list[tuple[float, float]]
) -> None:
    assert active_intervals(np.array(active, bool), starts, 2.0, end) == expected


def test_intervals_join_although_seconds_are_rounded() -> None:
    """0.7 + 0.7 + 0.7 is less than 2.1 in floating point."""
    starts = (np.arange(4) * 22_400 / 32_000).tolist()
    intervals = active_intervals(np.ones(4, bool), starts, 0.7, 2.8)
    assert intervals == [(0.0, pytest.approx(2.8))]
