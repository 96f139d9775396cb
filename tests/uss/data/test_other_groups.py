"""Averages without the recording that is asked for."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ontology import Ontology
from uss.data.other_groups import OtherGroupAverages
from uss.shards import ClassLists

THE_CAT = 5


class HeldRows:
    """Conditions that come in blocks of three."""

    def __init__(self, values: NDArray[np.float32]) -> None:
        self.values = values
        self.shape = values.shape

    def __getitem__(self, rows: Any) -> Any:
        return self.values[rows]

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        for first in range(0, len(self.values), 3):
            yield first, self.values[first : first + 3]


def indexes(ontology: Ontology, *names: str) -> list[int]:
    return [ontology.find(name).class_index for name in names]  # type: ignore[misc]


@pytest.fixture
def averages(ontology: Ontology) -> OtherGroupAverages:
    """Dogs of five yards, four anchors each; one cat; all of them are animals."""
    dog, cat, animal = indexes(ontology, "Dog", "Cat", "Animal")
    conditions: list[list[float]] = []
    labels: list[set[int]] = []
    groups: list[int] = []
    for yard in range(5):
        for _ in range(4):
            conditions.append([float(yard), 0.0])
            labels.append({dog, animal})
            groups.append(yard)
    conditions.append([0.0, 10.0])
    labels.append({cat, animal})
    groups.append(THE_CAT)
    matrix = np.zeros((len(labels), 527), bool)
    for row, own in enumerate(labels):
        matrix[row, list(own)] = True
    return OtherGroupAverages(
        HeldRows(np.array(conditions, np.float32)),
        ClassLists.of(matrix),
        np.array(groups, np.int32),
        ontology,
    )


def test_the_group_asked_for_is_never_in_it(
    averages: OtherGroupAverages, ontology: Ontology, rng: np.random.Generator
) -> None:
    """Yards 1 to 4, and so never less than the mean of 1 and 2."""
    (dog,) = indexes(ontology, "Dog")
    drawn = np.stack([averages.draw(dog, 0, rng) for _ in range(200)])
    assert drawn.dtype == np.float32
    assert drawn[:, 0].min() >= 1.5 and drawn[:, 0].max() <= 3.5
    assert not drawn[:, 1].any()
    assert len(np.unique(drawn[:, 0])) > 5


def test_without_a_group_all_may_be_in_it(
    averages: OtherGroupAverages, ontology: Ontology, rng: np.random.Generator
) -> None:
    (dog,) = indexes(ontology, "Dog")
    drawn = np.stack([averages.draw(dog, None, rng) for _ in range(300)])
    assert drawn[:, 0].min() == 1.0 and drawn[:, 0].max() == 3.0


def test_a_class_of_one_group_leans_on_the_one_above(
    averages: OtherGroupAverages, ontology: Ontology, rng: np.random.Generator
) -> None:
    """The cat's own 10 shrinks towards the dogs' 0; nothing else is known of cats."""
    (cat,) = indexes(ontology, "Cat")
    drawn = np.stack([averages.draw(cat, THE_CAT, rng) for _ in range(300)])
    assert 5.0 < drawn[:, 1].mean() < 8.0
    assert 0.5 < drawn[:, 0].mean() < 1.5


def test_it_knows_what_lies_above_and_below(
    averages: OtherGroupAverages, ontology: Ontology
) -> None:
    dog, cat, animal = indexes(ontology, "Dog", "Cat", "Animal")
    assert averages.class_indexes == sorted([dog, cat, animal])
    assert averages.above[dog] == [animal] and averages.above[animal] == []
    assert sorted(averages.at_or_below[animal]) == sorted([dog, cat, animal])
    assert averages.at_or_below[cat] == [cat]
