from collections.abc import Sequence

import numpy as np
import pytest

from ontology import Ontology
from uss.conditions.class_queries import FLAN_T5_SPACE
from uss.conditions.class_words import ClassSentences, ClassWords, class_words
from uss.core.arrays import Float32
from uss.results.request import request_hash
from uss.taggers import NUM_CLASSES


class Letters:
    """A text's vector is its length and its number of capitals; texts are noted."""

    space = "letters-2"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Float32:
        self.asked += texts
        return np.array([[len(t), sum(c.isupper() for c in t)] for t in texts], np.float32)


def test_every_class_is_asked_for_by_its_name(ontology: Ontology) -> None:
    queries = class_words(Letters(), ontology)
    dog = ontology.find("Dog").class_index
    assert queries.space == "letters-2"
    assert queries.class_indexes == tuple(range(NUM_CLASSES))
    assert queries.words[dog] == "Dog"
    assert queries.vectors.shape == (NUM_CLASSES, 2)
    assert queries.vectors[dog].tolist() == [3.0, 1.0]


def test_words_are_encoded_when_they_are_asked_for_and_once(ontology: Ontology) -> None:
    encoder = Letters()
    queries = class_words(encoder, ontology, "the sound of {lower}")
    assert encoder.asked == []
    heard = np.zeros((2, NUM_CLASSES), np.float32)
    dog, bell = (ontology.find(name).class_index for name in ("Dog", "Bell"))
    queries.condition([dog], heard)
    queries.condition([dog, bell], heard)
    assert encoder.asked == ["the sound of dog", "the sound of bell"]


def test_a_group_is_weighted_by_what_is_heard(ontology: Ontology) -> None:
    queries = ClassWords(Letters(), {0: "aaaa", 1: "BB", 5: "c"})
    heard = np.zeros((2, NUM_CLASSES), np.float32)
    heard[0, [0, 1]] = 0.75, 0.25
    out = queries.condition([0, 1], heard)
    assert out is not None
    # 0.75 (4, 0) + 0.25 (2, 2); where nothing is heard, alike.
    np.testing.assert_allclose(out, [[3.5, 0.5], [3.0, 1.0]])
    assert queries.condition([2], heard) is None


def test_they_are_told_apart_by_their_words() -> None:
    encoder = Letters()
    one, same, other = (ClassWords(encoder, {0: text}) for text in ("a", "a", "b"))
    assert one == same and hash(one) == hash(same)
    assert one != other and one != ClassWords(Letters(), {0: "a"})
    assert request_hash([one.identity]) == request_hash([same.identity])
    assert one.content() == same.content() != other.content()
    assert request_hash([one.identity]) != request_hash([other.identity])
    # Telling them apart encodes nothing.
    assert encoder.asked == []


@pytest.mark.parametrize("template", ["", "a sound", "{names}"])
def test_a_template_must_name_the_class(template: str, ontology: Ontology) -> None:
    with pytest.raises(ValueError, match="does not say where the class's name goes"):
        class_words(Letters(), ontology, template)


class Tokens(Letters):
    space = FLAN_T5_SPACE


def test_where_tokens_matter_a_group_is_asked_for_in_one_text(ontology: Ontology) -> None:
    encoder = Tokens()
    queries = class_words(encoder, ontology, "{lower}")
    assert isinstance(queries, ClassSentences)
    dog, cat, rain, wind = (
        int(ontology.find(name).class_index or 0) for name in ("Dog", "Cat", "Rain", "Wind")
    )
    heard = np.zeros((3, NUM_CLASSES), np.float32)
    heard[0, [dog, cat, rain]] = 0.8, 0.5, 0.3
    heard[1, rain] = 0.9
    vectors = queries.condition([dog, cat, rain, wind], heard)
    assert encoder.asked[:2] == ["dog and cat", "rain"]
    assert vectors is not None and vectors[:, 0].tolist()[:2] == [11.0, 4.0]
    # Nothing is heard: the first three.
    assert encoder.asked[2].count(" and ") == 2
    asked = len(encoder.asked)
    queries.condition([dog, cat, rain, wind], heard)
    assert len(encoder.asked) == asked
    assert queries.condition([], heard) is None
    one = queries.condition([wind], heard[0])
    assert one is not None and one.shape == (2,) and encoder.asked[-1] == "wind"
