"""Which parts of a text are wanted, and which are not."""

import pytest

from uss.conditions.text_clauses import clauses_of
from uss.conditions.text_phrases import loosely_split
from uss.core.errors import InputError


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
        ("dog/cat", ["dog", "cat"], []),
        ("rain as well as wind", ["rain", "wind"], []),
        ("rain without thunder", ["rain"], ["thunder"]),
        ("rain but no thunder", ["rain"], ["thunder"]),
        ("rain, but please no thunder", ["rain"], ["thunder"]),
        ("rain with no thunder or wind", ["rain"], ["thunder", "wind"]),
        ("no music", [], ["music"]),
        ("no music, only speech", ["speech"], ["music"]),
        ("everything except the wind", [], ["the wind"]),
        ("all sounds but not the wind", [], ["the wind"]),
        ("everything but the wind", [], ["the wind"]),
        ("everything but not the wind", [], ["the wind"]),
        ("not the cat but the dog", ["the dog"], ["the cat"]),
        ("nothing but rain", ["rain"], []),
        ("a fall that isn't rain", ["a fall"], ["rain"]),
        ("a fall that isn\N{RIGHT SINGLE QUOTATION MARK}t rain", ["a fall"], ["rain"]),
        ("the car won't start", ["the car won't start"], []),
        ("no, the dog", ["the dog"], []),
        ("except", [], []),
        (", . ;", [], []),
        ("", [], []),
    ],
)
def test_clauses(text: str, wanted: list[str], unwanted: list[str]) -> None:
    assert parts(text) == (wanted, unwanted)


@pytest.mark.parametrize(
    ("text", "wanted", "unwanted"),
    [
        ("no rain, wind or thunder", [], ["rain", "wind", "thunder"]),
        ("everything except rain, wind and thunder", [], ["rain", "wind", "thunder"]),
        ("without rain, wind and thunder", [], ["rain", "wind", "thunder"]),
        ("no music, speech and traffic", [], ["music", "speech", "traffic"]),
        ("birds without wind, traffic and people", ["birds"], ["wind", "traffic", "people"]),
        ("dogs but no cats, cows and sheep", ["dogs"], ["cats", "cows", "sheep"]),
        ("without speech, music", [], ["speech", "music"]),
        ("no rain, no wind", [], ["rain", "wind"]),
        ("no rain no wind", [], ["rain", "wind"]),
        ("neither rain nor thunder", [], ["rain", "thunder"]),
        ("rain without wind and thunder", ["rain"], ["wind", "thunder"]),
        # What ends a list.
        ("rain (without wind) and thunder", ["rain", "thunder"], ["wind"]),
        ("rain without wind; thunder", ["rain", "thunder"], ["wind"]),
        ("rain without thunder, with wind", ["rain", "wind"], ["thunder"]),
        ("music without vocals and with drums", ["music", "drums"], ["vocals"]),
        ("steps without talk while a dog barks", ["steps", "a dog barks"], ["talk"]),
        ("a dog, not a cat, and a cow", ["a dog", "a cow"], ["a cat"]),
    ],
)
def test_exclusions_are_lists(text: str, wanted: list[str], unwanted: list[str]) -> None:
    assert parts(text) == (wanted, unwanted)


@pytest.mark.parametrize(
    ("text", "wanted", "unwanted"),
    [
        ("rain w/o thunder", ["rain"], ["thunder"]),
        ("rain sans thunder", ["rain"], ["thunder"]),
        ("rain -thunder", ["rain"], ["thunder"]),
        ("!dog", [], ["dog"]),
        ("music-free", [], ["music"]),
        ("a music-free recording", [], ["music"]),
        ("non-speech", [], ["speech"]),
        ("a non-barking dog", ["a dog"], ["barking"]),
        ("avoid music", [], ["music"]),
        ("I don't want to hear any traffic", [], ["traffic"]),
        ("dogs, with the music taken out", ["dogs"], ["the music"]),
        ("speech with the music off", ["speech"], ["music"]),
        ("suppress the traffic", [], ["the traffic"]),
        ("mute the dog", [], ["the dog"]),
        ("take out the vocals", [], ["the vocals"]),
        ("take the vocals out", [], ["the vocals"]),
        ("vocals off", [], ["vocals"]),
        ("wind noise removed", [], ["wind noise"]),
        ("nobody speaking", [], ["speaking"]),
        ("no one talks", [], ["talks"]),
        ("no longer raining", [], ["raining"]),
        ("a dog that is not barking", ["a dog"], ["barking"]),
    ],
)
def test_many_words_exclude(text: str, wanted: list[str], unwanted: list[str]) -> None:
    assert parts(text) == (wanted, unwanted)


@pytest.mark.parametrize(
    "text",
    [
        "a mute swan",
        "the alarm goes off",
        "a phone going off",
        "a jet taking off",
        "cutting wood",
        "a lid being removed",
        "nonstop talk",
        "hands-free call",
    ],
)
def test_what_only_looks_like_an_exclusion(text: str) -> None:
    assert parts(text) == ([text.replace("-", " ")], [])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("not loud music", ["music"]),
        ("not quiet speech", ["speech"]),
        ("music that is not loud", ["music"]),
        ("not only rain but also wind", ["rain", "wind"]),
    ],
)
def test_what_is_not_loud_is_there(text: str, wanted: list[str]) -> None:
    assert parts(text) == (wanted, [])


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("don't remove the dog", 'excludes twice ("don\'t remove")'),
        ("rain without no thunder", 'excludes twice ("without no")'),
        ("everything except no music", 'excludes twice ("except no")'),
        ("people not talking without wind", "excludes twice"),
        ("speech, drop the music", "not clear"),
        ("kill the hum", 'say that with "without"'),
        ("strip the music", "not clear"),
        ("turn the music off", "not clear"),
        ("birds and wind removed", "not clear"),
        ("less traffic", "not clear"),
        ("no rain, birds", 'asks for "birds" or excludes it'),
    ],
)
def test_what_is_not_clear_is_refused_with_the_remedy(text: str, complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        clauses_of(text)
    assert complaint in str(caught.value) and "without" in str(caught.value)


def test_two_sounds_may_meet_at_a_preposition() -> None:
    assert loosely_split(("birds", "over", "a", "stream")) == (("birds",), ("a", "stream"))
    assert loosely_split(("cats", "in", "front", "of", "dogs")) == (("cats",), ("dogs",))
    assert loosely_split(("cats", "near", "dogs")) is None
    assert loosely_split(("over", "there")) is None
    assert loosely_split(("dog",)) is None
