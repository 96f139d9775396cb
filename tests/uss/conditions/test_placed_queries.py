"""What is asked for at some times only."""

import numpy as np
import pytest

from ontology import Ontology, OntologyError
from uss.conditions.placed_queries import (
    PlacedQuery,
    placed_after,
    placed_queries,
)
from uss.conditions.queries import AudioQuery, NodeQuery
from uss.core.spans import Spans, split_place

INFINITY = float("inf")


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("12-15", ((12.0, 15.0),)),
        ("12-15,20-22", ((12.0, 15.0), (20.0, 22.0))),
        ("20-22,12-15", ((12.0, 15.0), (20.0, 22.0))),
        ("1:02:03.5-1:02:40", ((3723.5, 3760.0),)),
        ("12-", ((12.0, INFINITY),)),
        ("12-15,14-20,20-21", ((12.0, 21.0),)),
        ("0-1, 2-3", ((0.0, 1.0), (2.0, 3.0))),
    ],
)
def test_times_are_taken_from_the_name(ontology: Ontology, text: str, spans: Spans) -> None:
    (query,) = placed_queries(f"Dog@{text}", ontology)
    assert isinstance(query, PlacedQuery)
    assert query.spans == spans
    dog = NodeQuery.of(ontology.find("Dog"), ontology)
    assert query.query == dog
    assert (query.name, query.mid, query.class_indexes) == (dog.name, dog.mid, dog.class_indexes)
    heard = np.random.default_rng(0).random((3, 527)).astype(np.float32)
    np.testing.assert_array_equal(query.heard_in(heard), dog.heard_in(heard))


@pytest.mark.parametrize("name", ["Dog", "/m/0bt9lr", "74"])
def test_whatever_it_is_named_by(ontology: Ontology, name: str) -> None:
    (query,) = placed_queries([f"{name}@1-2"], ontology)
    (plain,) = placed_queries([name], ontology)
    assert query.name == plain.name and isinstance(plain, NodeQuery)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Dog@", "'' is no span of time; give START-END"),
        ("Dog@15", "'15' is no span of time"),
        ("Dog@12-15,", "'' is no span of time"),
        ("Dog@15-12", "'15-12' ends before it starts"),
        ("Dog@12-12", "'12-12' ends before it starts"),
        ("Dog@noon-one", "'noon' is no time"),
        ("Dog@-12", "'' is no time"),
        ("@1-2", "names no times"),
    ],
)
def test_times_that_make_no_sense(ontology: Ontology, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        placed_queries([text], ontology)


def test_an_unknown_class_at_a_time(ontology: Ontology) -> None:
    with pytest.raises(OntologyError, match="Dgo"):
        placed_queries(["Dgo@1-2"], ontology)


def test_names_are_split_at_the_last_mark() -> None:
    assert split_place("a@b.wav@1-2") == ("a@b.wav", ((1.0, 2.0),))


def test_several_times_of_a_class_are_one_query(ontology: Ontology) -> None:
    first, second = placed_queries(["Dog@20-22", "Cat", "/m/0bt9lr@12-15"], ontology)
    assert isinstance(first, PlacedQuery)
    assert (first.name, first.spans) == ("Dog", ((12.0, 15.0), (20.0, 22.0)))
    assert second.name == "Cat"


def test_everywhere_and_at_some_times_is_a_contradiction(ontology: Ontology) -> None:
    with pytest.raises(ValueError, match="Dog is asked for everywhere and at some times; leave"):
        placed_queries(["Dog@1-2", "Dog"], ontology)


def test_the_same_at_other_times_is_another_query(ontology: Ontology) -> None:
    (dog,) = placed_queries("Dog", ontology)
    (early,) = placed_queries("Dog@1-2", ontology)
    (late,) = placed_queries("Dog@3-4", ontology)
    assert len({dog.key, early.key, late.key}) == 3
    assert early.key == placed_queries("Dog@1-2", ontology)[0].key


def test_times_of_an_excerpt(ontology: Ontology) -> None:
    queries = placed_queries(["Dog@12-15,20-", "Cat"], ontology)
    moved, cat = placed_after(queries, 10.0)
    assert isinstance(moved, PlacedQuery) and moved.spans == ((2.0, 5.0), (10.0, INFINITY))
    assert cat == queries[1]
    with pytest.raises(ValueError, match=r"from 0:00:12 on, before the excerpt.*at 0:00:13"):
        placed_after(queries, 13.0)


def test_examples_keep_what_they_are() -> None:
    vector = np.ones(4, np.float32)
    example = AudioQuery("bell", "space-4", vector, np.ones(527, np.float32))
    placed = PlacedQuery.of(example, ((1.0, 2.0),))
    assert (placed.name, placed.mid, placed.class_indexes) == ("bell", None, ())
    assert placed.key == (example, ((1.0, 2.0),))
