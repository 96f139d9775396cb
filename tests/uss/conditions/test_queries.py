"""What can be separated: nodes and examples behind one type."""

from dataclasses import replace

import numpy as np
import pytest

from ontology import Ontology, OwnClass, with_own_classes
from uss.conditions.class_queries import ClassQueries
from uss.conditions.conditioning import Conditioning
from uss.conditions.queries import AudioQuery, NodeQuery, OwnClassQuery, named_queries
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.taggers import NUM_CLASSES

DOG, CAT, SPEECH = 74, 81, 0


def heard(*rows: dict[int, float]) -> Float32:
    probabilities = np.zeros((len(rows), NUM_CLASSES), np.float32)
    for row, values in zip(probabilities, rows, strict=True):
        for index, value in values.items():
            row[index] = value
    return probabilities


def asked_by(*class_indexes: int) -> Conditioning:
    vectors = np.eye(len(class_indexes), 3, dtype=np.float32)
    return Conditioning("space-3", ClassQueries("space-3", class_indexes, vectors))


EQ_10 = Conditioning("audioset-527")


@pytest.fixture
def animal(ontology: Ontology) -> NodeQuery:
    return NodeQuery.of(ontology.find("Animal"), ontology)


def example(space: str = "space-3") -> AudioQuery:
    vector = np.array([0.5, 0.25, 0.0], np.float32)
    return AudioQuery("mine", space, vector, heard({DOG: 0.6, CAT: 0.8})[0])


def test_a_node_stands_for_the_classes_at_and_below_it(
    animal: NodeQuery, ontology: Ontology
) -> None:
    assert (animal.name, animal.mid) == ("Animal", ontology.find("Animal").mid)
    assert animal.class_indexes == ontology.class_indexes("/m/0jbk")
    assert {DOG, CAT} < set(animal.class_indexes) and SPEECH not in animal.class_indexes


def test_a_node_is_as_probable_as_its_most_probable_class(animal: NodeQuery) -> None:
    probabilities = heard({DOG: 0.25, CAT: 0.5, SPEECH: 1.0}, {SPEECH: 0.75}, {DOG: 0.125})
    assert animal.heard_in(probabilities).tolist() == [0.5, 0.0, 0.125]
    assert animal.heard_in(heard()).shape == (0,)


def test_a_node_is_asked_for_by_class_queries_or_equation_10(animal: NodeQuery) -> None:
    probabilities = heard({DOG: 0.25, CAT: 0.75, SPEECH: 1.0})
    by_queries = animal.conditions(probabilities, asked_by(DOG, CAT, SPEECH))
    np.testing.assert_allclose(by_queries, [[0.25, 0.75, 0.0]])
    np.testing.assert_array_equal(
        animal.conditions(probabilities, EQ_10), heard({DOG: 0.25, CAT: 0.75})
    )


def test_a_node_needs_a_query_for_one_of_its_classes(animal: NodeQuery) -> None:
    animal.check(EQ_10)
    animal.check(asked_by(CAT))
    with pytest.raises(InputError, match="no query for 'Animal', nor for anything below it"):
        animal.check(asked_by(SPEECH))
    with pytest.raises(InputError, match="no query for the classes"):
        animal.conditions(heard({DOG: 1.0}), asked_by(SPEECH))


def test_an_example_is_as_probable_as_it_is_alike() -> None:
    probabilities = heard({DOG: 0.3, CAT: 0.4}, {SPEECH: 1.0}, {}, {CAT: 1.0})
    np.testing.assert_allclose(example().heard_in(probabilities), [1.0, 0.0, 0.0, 0.8], atol=1e-6)


def test_an_example_is_asked_for_with_its_vector_whatever_is_heard() -> None:
    conditions = example().conditions(heard({DOG: 1.0}, {}), asked_by(SPEECH))
    np.testing.assert_array_equal(conditions, [[0.5, 0.25, 0.0]] * 2)


def test_an_example_must_be_of_the_separators_space() -> None:
    example().check(asked_by(SPEECH))
    with pytest.raises(InputError, match="query 'mine' is of 'other-3', the separator takes"):
        example("other-3").check(asked_by(SPEECH))


def test_only_what_stands_for_classes_can_be_asked_for_by_them(animal: NodeQuery) -> None:
    separable = asked_by(DOG, SPEECH).separable
    assert np.flatnonzero(separable).tolist() == [SPEECH, DOG]
    assert EQ_10.separable.all() and len(EQ_10.separable) == NUM_CLASSES


@pytest.mark.parametrize("named", ["Dog", 74, "/m/0bt9lr", "74", ["dog"], ("Dog",)])
def test_a_class_may_be_called_in_many_ways(named: object, ontology: Ontology) -> None:
    (query,) = named_queries(named, ontology)
    assert query == NodeQuery.of(ontology.find("Dog"), ontology)


def test_what_is_a_query_already_stays_as_it_is(ontology: Ontology) -> None:
    own = example()
    assert named_queries(own, ontology) == [own]
    assert [query.name for query in named_queries(["Dog", own], ontology)] == ["Dog", "mine"]


def test_a_class_of_ones_own_is_asked_for_with_its_own_query_wherever_there_is_sound(
    ontology: Ontology,
) -> None:
    own = OwnClass("/own/machine", "My machine", ontology.find("Engine").mid)
    extended = with_own_classes(ontology, [own], indexed=False)
    (query,) = named_queries("MY machine", extended)
    (other,) = named_queries("my machines", extended)
    assert (other.name, other.key) == ("my machines", query.key)
    assert query == OwnClassQuery("My machine", "/own/machine")
    assert (query.key, query.class_indexes) == ("/own/machine", ())
    vector = np.array([0.5, 0.25, 0.0], np.float32)
    probabilities = heard({DOG: 0.25}, {})
    for conditioning in (asked_by(DOG), EQ_10):
        knowing = replace(conditioning, own={"/own/machine": vector})
        query.check(knowing)
        np.testing.assert_array_equal(query.conditions(probabilities, knowing), [vector, vector])
        with pytest.raises(InputError, match="no query for 'My machine'; its training clips held"):
            query.check(conditioning)
    assert query.heard_in(probabilities).tolist() == [1.0, 1.0]
    # What is above it does not ask for it.
    assert named_queries("Engine", extended) == named_queries("Engine", ontology)
