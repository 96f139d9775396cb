"""What texts become: conditions by hand, and the queries of an encoder that is known."""

from collections.abc import Sequence

import numpy as np
import pytest

from ontology import Ontology
from tests.uss.conditions.test_queries import asked_by, heard
from tests.uss.conditions.test_understanding import FakeEncoder
from uss.conditions.asking_in_words import Asked, ask_in_words, listed_texts
from uss.conditions.conditioning import Conditioning
from uss.conditions.text_queries import TextQuery
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
    (found,) = asked("barky", ontology).queries
    assert found.name == "barky" and found.mid is None
    assert [each.name for each in found.understood] == ["Dog", "Bark"]
    weights = dict(zip(found.class_indexes, found.weights, strict=True))
    # What lies below counts as much; what lies above, and what comes along, does not at all.
    assert weights[DOG] == weights[BARK] == pytest.approx(0.9)
    assert set(weights) == {*ontology.class_indexes("/m/0bt9lr")}


def test_what_is_excluded_is_not_asked_for(ontology: Ontology) -> None:
    found = asked("barky without catty", ontology)
    (wanted,), (unwanted,) = found.queries, found.without
    assert wanted.name == "barky without catty" and unwanted.name == "catty"
    assert set(unwanted.class_indexes) == set(ontology.class_indexes(ontology.find("Cat")))
    assert CAT not in wanted.class_indexes


def test_what_is_asked_for_is_not_excluded_with_its_parent(ontology: Ontology) -> None:
    (unwanted,) = asked("dog but no animals", ontology).without
    assert DOG not in unwanted.class_indexes and CAT in unwanted.class_indexes


def test_what_is_asked_for_is_not_excluded_by_a_word_for_it(ontology: Ontology) -> None:
    found = asked("a dog that is not barky", ontology)
    (wanted,), (unwanted,) = found.queries, found.without
    assert [each.name for each in unwanted.understood] == ["Bark"]
    assert DOG in wanted.class_indexes and BARK not in wanted.class_indexes
    assert not set(wanted.class_indexes) & set(unwanted.class_indexes)


@pytest.mark.parametrize("text", ["the catty without catty", "a catty, but no animals, no catty"])
def test_what_is_asked_for_and_excluded_is_refused(ontology: Ontology, text: str) -> None:
    with pytest.raises(InputError, match=r"asks for Cat, and excludes it; leave out one"):
        asked(text, ontology)


def test_a_name_above_the_classes_takes_all_of_them(ontology: Ontology) -> None:
    (found,) = asked("human voice", ontology).queries
    assert found.class_indexes == ontology.class_indexes(ontology.find("Human voice"))
    (meant,) = found.understood
    assert (meant.name, meant.class_index, meant.weight) == ("Human voice", None, 1.0)
    (several,) = asked("roadworks", ontology).queries
    nodes = ontology.look_up("roadworks")
    assert set(several.class_indexes) == {i for n in nodes for i in ontology.class_indexes(n)}


def test_what_comes_along_does_not_make_it_heard(ontology: Ontology) -> None:
    """Speech beside laughter says nothing of a gentleman who chortles."""
    (found,) = asked("a gentleman chortles", ontology).queries
    said = found.heard_in(heard({SPEECH: 0.8, 16: 0.002}))
    assert said is not None and said == pytest.approx(0.002)


def test_a_text_that_only_excludes_asks_for_nothing(ontology: Ontology) -> None:
    found = asked("no catty", ontology)
    assert found.queries == () and [each.name for each in found.without] == ["catty"]


def test_two_sounds_are_one_query(ontology: Ontology) -> None:
    (found,) = asked("barky and catty", ontology).queries
    assert {DOG, CAT} <= set(found.class_indexes)


def test_the_same_words_are_the_same(ontology: Ontology) -> None:
    one, other, third = asked(["barky", "Barky", "catty"], ontology).queries
    assert one.key == other.key != third.key


def test_a_separators_own_encoder_is_asked(ontology: Ontology) -> None:
    found = ask_in_words(["xyzzyx", "barky without catty"], FakeEncoder(), ontology, Letters())
    strange, known = found.queries
    assert strange.class_indexes == () and known.class_indexes[:1] == (DOG,)
    space = Conditioning("letters-2")
    strange.check(space)
    np.testing.assert_array_equal(strange.conditions(heard({}, {}), space), [[6, 1], [6, 1]])
    # What is excluded is no part of what is asked.
    np.testing.assert_array_equal(known.conditions(heard({}), space), [[5, 1]])
    np.testing.assert_array_equal(found.without[0].conditions(heard({}), space), [[5, 1]])
    # Nothing says how probable it is.
    assert strange.heard_in(np.zeros((2, NUM_CLASSES), np.float32)) is None
    with pytest.raises(InputError, match=r"encoded in 'letters-2', the separator takes 'space-3'"):
        strange.check(asked_by(DOG))


@pytest.mark.parametrize("text", [" ", "the of and", "without", "everything", "!?"])
def test_its_own_encoder_needs_words_too(ontology: Ontology, text: str) -> None:
    with pytest.raises(InputError, match=r"no words|names no sound"):
        ask_in_words([text], FakeEncoder(), ontology, Letters())


@pytest.mark.parametrize(
    "texts", [None, 5, True, b"dog", [None], [1], [b"dog"], [["dog"]], {"a": 1}]
)
def test_what_is_no_text_is_refused(texts: object) -> None:
    with pytest.raises(InputError, match="is no text"):
        listed_texts(texts)


def test_one_text_is_not_its_letters() -> None:
    assert listed_texts("a dog") == ["a dog"]
    assert listed_texts(iter(["a dog", "a cat"])) == ["a dog", "a cat"]


def test_what_nobody_sees_is_no_part_of_a_name(ontology: Ontology) -> None:
    unseen = "\N{RIGHT-TO-LEFT OVERRIDE}the\x1b[0m bar\N{ZERO WIDTH SPACE}ky"
    (found,) = asked(unseen, ontology).queries
    assert found.name == "the [0m barky"
    apart = "a barky e\N{COMBINING ACUTE ACCENT}"
    together = "a barky \N{LATIN SMALL LETTER E WITH ACUTE}"
    one, other = asked([apart, together], ontology).queries
    assert one.key == other.key
