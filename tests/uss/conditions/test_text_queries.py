"""What texts become: conditions by hand, and the queries of an encoder that is known."""

from collections.abc import Sequence

import numpy as np
import pytest

from ontology import Ontology
from tests.uss.conditions.test_queries import asked_by, heard
from tests.uss.conditions.test_understanding import FakeEncoder
from uss.conditions.conditioning import Conditioning
from uss.conditions.text_queries import Asked, TextQuery, ask_in_words
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.taggers import NUM_CLASSES

DOG, BARK, CAT, SPEECH, MALE = 74, 75, 81, 0, 1


class Letters:
    """An encoder of a separator's own: how many letters and words a text has."""

    space = "letters-2"

    def encode(self, texts: Sequence[str]) -> Float32:
        return np.array([[len(text), len(text.split())] for text in texts], np.float32)


def query(**weights: float) -> TextQuery:
    indexes = {"dog": DOG, "cat": CAT}
    chosen = tuple(indexes[name] for name in weights)
    return TextQuery("mine", (), tuple(weights.values()), chosen)


def asked(texts: str | Sequence[str], ontology: Ontology) -> Asked:
    return ask_in_words([texts] if isinstance(texts, str) else texts, FakeEncoder(), ontology)


def test_conditions_are_what_is_meant_times_what_is_heard() -> None:
    # Dog is meant twice as much as cat and heard half as much: both count the same.
    conditions = query(dog=1.0, cat=0.5).conditions(
        heard({DOG: 0.2, CAT: 0.4}, {DOG: 0.5}, {SPEECH: 0.9}), asked_by(DOG, CAT)
    )
    np.testing.assert_allclose(conditions[0], [0.5, 0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(conditions[1], [1.0, 0.0, 0.0], atol=1e-6)
    # Where neither is heard, what is meant counts: 2 to 1.
    np.testing.assert_allclose(conditions[2], [2 / 3, 1 / 3, 0.0], atol=1e-6)


def test_a_class_without_a_query_does_not_hide_that_nothing_is_heard() -> None:
    conditions = query(dog=1.0, cat=0.5).conditions(heard({CAT: 0.4}), asked_by(DOG))
    np.testing.assert_allclose(conditions[0], [1.0, 0.0, 0.0], atol=1e-6)


def test_in_the_space_of_probabilities_it_is_equation_10() -> None:
    probabilities = heard({DOG: 0.2, CAT: 0.4, SPEECH: 0.9})
    conditions = query(dog=1.0, cat=0.5).conditions(probabilities, Conditioning("audioset-527"))
    np.testing.assert_array_equal(conditions, heard({DOG: 0.2, CAT: 0.4}))


def test_it_is_heard_where_one_of_its_classes_is() -> None:
    probabilities = heard({DOG: 0.2, CAT: 0.4}, {SPEECH: 0.9})
    np.testing.assert_allclose(query(dog=1.0, cat=0.5).heard_in(probabilities), [0.4, 0.0])


def test_a_separator_that_knows_none_of_its_classes_is_refused() -> None:
    query(dog=1.0, cat=0.5).check(asked_by(CAT))
    with pytest.raises(InputError, match="no query for what 'mine' means"):
        query(dog=1.0).check(asked_by(CAT))


def test_a_text_asks_with_its_classes_and_those_below_the_first(ontology: Ontology) -> None:
    (found,) = asked("doggo", ontology).queries
    assert found.name == "doggo" and found.mid is None
    assert [each.name for each in found.understood] == ["Dog", "Animal", "Bark"]
    weights = dict(zip(found.class_indexes, found.weights, strict=True))
    assert weights[DOG] == weights[BARK] == pytest.approx(0.9)
    # Animal lies above: a little; Cat does not count.
    assert weights[72] == pytest.approx(0.25 * 0.5) and CAT not in weights
    assert set(weights) == {72, *ontology.class_indexes("/m/0bt9lr")}


def test_what_is_excluded_is_not_asked_for(ontology: Ontology) -> None:
    found = asked("doggo without kitty", ontology)
    (wanted,), (unwanted,) = found.queries, found.without
    assert wanted.name == "doggo without kitty" and unwanted.name == "kitty"
    assert set(unwanted.class_indexes) == set(ontology.class_indexes(ontology.find("Cat")))
    assert CAT not in wanted.class_indexes


def test_what_is_asked_for_is_not_excluded_with_its_parent(ontology: Ontology) -> None:
    (unwanted,) = asked("dog but no animals", ontology).without
    assert DOG not in unwanted.class_indexes and CAT in unwanted.class_indexes


def test_a_text_that_only_excludes_asks_for_nothing(ontology: Ontology) -> None:
    found = asked("no kitty", ontology)
    assert found.queries == () and [each.name for each in found.without] == ["kitty"]


def test_two_sounds_are_one_query(ontology: Ontology) -> None:
    (found,) = asked("doggo and kitty", ontology).queries
    assert {DOG, CAT} <= set(found.class_indexes)


def test_the_same_words_are_the_same(ontology: Ontology) -> None:
    one, other, third = asked(["doggo", "Doggo", "kitty"], ontology).queries
    assert one.key == other.key != third.key


def test_a_separators_own_encoder_is_asked(ontology: Ontology) -> None:
    found = ask_in_words(["xyzzyx", "doggo without kitty"], FakeEncoder(), ontology, Letters())
    strange, known = found.queries
    assert strange.class_indexes == () and known.class_indexes[:1] == (72,)
    space = Conditioning("letters-2")
    strange.check(space)
    np.testing.assert_array_equal(strange.conditions(heard({}, {}), space), [[6, 1], [6, 1]])
    # What is excluded is no part of what is asked.
    np.testing.assert_array_equal(known.conditions(heard({}), space), [[5, 1]])
    np.testing.assert_array_equal(found.without[0].conditions(heard({}), space), [[5, 1]])
    np.testing.assert_array_equal(strange.heard_in(np.zeros((2, NUM_CLASSES), np.float32)), 1.0)
    with pytest.raises(InputError, match=r"encoded in 'letters-2', the separator takes 'space-3'"):
        strange.check(asked_by(DOG))


def test_its_own_encoder_needs_words_too(ontology: Ontology) -> None:
    with pytest.raises(InputError, match="no words"):
        ask_in_words([" "], FakeEncoder(), ontology, Letters())
