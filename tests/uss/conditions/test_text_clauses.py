"""Which parts of a text are wanted, and which are not."""

import pytest

from uss.conditions.text_clauses import clauses_of, loosely_split


def parts(text: str) -> tuple[list[str], list[str]]:
    found = clauses_of(text)
    return [" ".join(each) for each in found.wanted], [" ".join(each) for each in found.unwanted]


@pytest.mark.parametrize(
    ("text", "wanted", "unwanted"),
    [
        ("a dog", ["a dog"], []),
        ("a dog and a cat", ["a dog", "a cat"], []),
        ("dog, cat & bird", ["dog", "cat", "bird"], []),
        ("dog + cat", ["dog", "cat"], []),
        ("rain as well as wind", ["rain", "wind"], []),
        ("rain without thunder", ["rain"], ["thunder"]),
        ("rain but no thunder", ["rain"], ["thunder"]),
        ("rain with no thunder or wind", ["rain"], ["thunder", "wind"]),
        ("no music", [], ["music"]),
        ("no music, only speech", ["speech"], ["music"]),
        ("everything except the wind", [], ["the wind"]),
        ("all sounds but not the wind", [], ["the wind"]),
        ("everything but the wind", [], ["the wind"]),
        ("not the cat but the dog", ["the dog"], ["the cat"]),
        ("no rain, wind or thunder", [], ["rain", "wind", "thunder"]),
        ("no rain, birds", ["birds"], ["rain"]),
        ("a fall that isn't rain", ["a fall"], ["rain"]),
        ("a fall that isn\N{RIGHT SINGLE QUOTATION MARK}t rain", ["a fall"], ["rain"]),
        ("no one talks", ["no one talks"], []),
        ("the car won't start", ["the car won't start"], []),
        ("except", [], []),
        (", . ;", [], []),
        ("", [], []),
    ],
)
def test_clauses(text: str, wanted: list[str], unwanted: list[str]) -> None:
    assert parts(text) == (wanted, unwanted)


def test_two_sounds_may_meet_at_a_preposition() -> None:
    assert loosely_split(("birds", "over", "a", "stream")) == (("birds",), ("a", "stream"))
    assert loosely_split(("cats", "in", "front", "of", "dogs")) == (("cats",), ("dogs",))
    assert loosely_split(("cats", "near", "dogs")) is None
    assert loosely_split(("over", "there")) is None
    assert loosely_split(("dog",)) is None
