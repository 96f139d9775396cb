"""What is said as conditions: by the classes that are meant, and by an encoder."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ontology import load_ontology
from uss.conditions.class_queries import ClassQueries
from uss.conditions.meant_conditions import ByEncoder, ByMeaning, Remembered, Worded
from uss.taggers import NUM_CLASSES

ONTOLOGY = load_ontology()


def index(name: str) -> int:
    found = ONTOLOGY.find(name).class_index
    assert found is not None
    return found


@pytest.fixture(scope="module")
def queries() -> ClassQueries:
    """A class's query is its number; the classes below "Rain" have none."""
    known = tuple(sorted(index(name) for name in ("Dog", "Bark", "Rain", "Chink, clink")))
    return ClassQueries("numbers", known, np.array([[k, 1.0] for k in known], np.float32))


def test_a_class_is_asked_with_the_queries_at_and_below_it(queries: ClassQueries) -> None:
    made = ByMeaning(queries).words(["Dog", "dog", "Rain", "Chink, clink"])
    assert made.is_understood.all()
    both = (index("Dog") + index("Bark")) / 2
    expected = [both, both, index("Rain"), index("Chink, clink")]
    np.testing.assert_allclose(made.conditions[:, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(made.conditions[:, 1], 1.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Dog", "Inside, small room"),
        ("Scratching (performance technique)", "Funk"),
        ("Rock and roll", "Drum and bass"),
        ("Chopping (food)", "Oink"),
    ],
)
def test_names_with_and_between_them_are_all_meant(first: str, second: str) -> None:
    """As clips with labels alone are spoken of."""
    wording = ByMeaning(None)
    together, *each = wording.words([f"{first} and {second}", first, second]).conditions
    np.testing.assert_array_equal(together, np.maximum(*each))


def test_a_sentence_is_asked_with_what_it_means(queries: ClassQueries) -> None:
    made = ByMeaning(queries).words(["A dog barks", "Rain falls and a dog barks"])
    assert made.is_understood.all()
    bark, rain = index("Bark"), index("Rain")
    np.testing.assert_allclose(made.conditions[:, 0], [bark, (bark + rain) / 2], rtol=1e-6)


@pytest.mark.parametrize(
    "text", ["", "xyzzy", "Ein Hund bellt und es regnet", "A violin plays", "dog " * 2_000]
)
def test_what_means_nothing_here_is_not_understood(text: str, queries: ClassQueries) -> None:
    """Empty, unknown, of another language, of a class without a query, of 2,000 words."""
    made = ByMeaning(queries).words([text, "Dog"])
    assert made.is_understood.tolist() == [False, True]
    assert not made.conditions[0].any()


def test_without_queries_what_is_meant_is_the_condition() -> None:
    wording = ByMeaning(None)
    assert (wording.space, wording.size) == ("audioset-527", NUM_CLASSES)
    made = wording.words(["Rain"])
    below = ONTOLOGY.class_indexes(ONTOLOGY.find("Rain"))
    assert np.flatnonzero(made.conditions[0]).tolist() == sorted(below)


class Counting:
    """Counts the texts that it is asked for."""

    space, size = "letters", 2

    def __init__(self) -> None:
        self.asked: list[str] = []

    def words(self, texts: Sequence[str]) -> Worded:
        self.asked += texts
        lengths = np.array([[len(text), 1.0] for text in texts], np.float32)
        return Worded(lengths, np.array([bool(text) for text in texts]))

    def encode(self, texts: Sequence[str]) -> Any:
        return self.words(texts).conditions


def test_each_text_is_read_once_until_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uss.conditions.meant_conditions._MAX_REMEMBERED_BYTES", 3 * 4 * 2)
    counting = Counting()
    remembered = Remembered(counting)
    made = remembered.words(["a", "bb", "a"])
    assert made.conditions[:, 0].tolist() == [1.0, 2.0, 1.0]
    assert remembered.words(["bb", ""]).is_understood.tolist() == [True, False]
    assert counting.asked == ["a", "bb", ""]
    # More than it holds: it forgets, and goes on.
    assert remembered.words(["a", "dddd", "eeeee", "ffffff"]).conditions[:, 0].tolist() == [
        1.0,
        4.0,
        5.0,
        6.0,
    ]
    assert counting.asked[3:] == ["a", "dddd", "eeeee", "ffffff"]


def test_an_encoder_understands_all_that_has_a_word() -> None:
    made = ByEncoder(Counting(), 2).words(["Ein Hund", " "])
    assert made.is_understood.tolist() == [True, False]
    assert made.conditions[0, 0] == 8.0
