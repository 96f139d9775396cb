"""What texts mean, with an encoder whose answers are known."""

from collections.abc import Iterable

import numpy as np
import pytest

from ontology import Ontology
from uss.conditions.text_checks import MAX_LETTERS
from uss.conditions.text_classes import TextClasses, load_text_classes
from uss.conditions.text_words import ENGLISH, OF_SOUNDS, Lexicon
from uss.conditions.understanding import Understood, understand
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.taggers import NUM_CLASSES

DOG, BARK, CAT, BIRD, STREAM, ANIMAL, MUSIC = 74, 75, 81, 111, 292, 72, 137
SAID = {
    "doggo": {DOG: 0.9, BARK: 0.4, ANIMAL: 0.5, CAT: 0.1},
    "kitty": {CAT: 0.8},
    "feathered": {BIRD: 0.7},
    "brook": {STREAM: 0.9},
    "thing": {MUSIC: 0.2},
}
OTHERS = "the black white a over by dog but no without animals"


class FakeEncoder(TextClasses):
    """Says of a text what its words say, the most of each class."""

    def __init__(self) -> None:
        words = [
            *SAID,
            *["the", "black", "white", "a", "over", "by", "dog", "but", "no", "without", "animals"],
        ]
        kinds = [OF_SOUNDS] * len(SAID) + [ENGLISH] * (len(words) - len(SAID))
        self.lexicon = Lexicon(words, kinds)
        self.abstaining = 0.3

    def probabilities(self, words: Iterable[str]) -> Float32:
        found = np.zeros(NUM_CLASSES, np.float32)
        for word in words:
            for known in self.lexicon.read(word).known:
                for index, value in SAID.get(known, {}).items():
                    found[index] = max(found[index], value)
        return found


def meaning_of(text: str, ontology: Ontology) -> Understood:
    return understand(text, FakeEncoder(), ontology)


def first(text: str, ontology: Ontology) -> tuple[list[int], list[int]]:
    found = meaning_of(text, ontology)
    return [each.classes[0] for each in found.wanted], [each.classes[0] for each in found.unwanted]


def test_classes_count_from_a_share_of_the_first_on(ontology: Ontology) -> None:
    (meaning,) = meaning_of("the  doggo ", ontology).wanted
    assert meaning.classes == (DOG, ANIMAL, BARK)
    assert meaning.weights == pytest.approx((0.9, 0.5, 0.4))
    assert meaning_of("the  doggo ", ontology).text == "the doggo"


@pytest.mark.parametrize(
    ("text", "wanted", "unwanted"),
    [
        ("doggo and kitty", [DOG, CAT], []),
        ("doggo without kitty", [DOG], [CAT]),
        ("no kitty", [], [CAT]),
        ("the black and white doggo", [DOG], []),
        ("the feathered over a brook", [BIRD, STREAM], []),
        ("the feathered over the white", [BIRD], []),
        ("dogog", [DOG], []),
        ("Vacuum cleaners", [377], []),
    ],
)
def test_sounds_and_exclusions(
    ontology: Ontology, text: str, wanted: list[int], unwanted: list[int]
) -> None:
    assert first(text, ontology) == (wanted, unwanted)


def test_a_name_of_several_classes_means_all_of_them(ontology: Ontology) -> None:
    (meaning,) = meaning_of("stormy weather", ontology).wanted
    assert meaning.is_named and set(meaning.weights) == {1.0}
    assert {ontology.classes[each].name for each in meaning.classes} == {
        "Wind",
        "Thunderstorm",
        "Rain",
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no words"),
        (" \t\n", "no words"),
        ("\N{DOG FACE}\N{DOG FACE}", "no words"),
        ("!?", "no words"),
        ("a" * 10_000, f"10000 letters; describe a sound in at most {MAX_LETTERS}"),
        ("the a over", "names no sound"),
        ("thing", "names no sound that is known"),
        ("everything", "names no sound"),
        ("xyzzyx", "not understood: 'xyzzyx'"),
        ("a xyzzyx and a doggo without a blorptang", "not understood: 'blorptang'"),
        ("ein Hund bellt", "does not look English ('ein'); ask in English"),
        ("\N{CYRILLIC SMALL LETTER ES}\N{CYRILLIC SMALL LETTER O}", "does not look English"),
        ("perro ladrando fuerte", "most words of the text"),
    ],
)
def test_what_is_not_understood_is_said_in_one_line(
    ontology: Ontology, text: str, complaint: str
) -> None:
    with pytest.raises(InputError) as caught:
        meaning_of(text, ontology)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_control_characters_are_not_repeated(ontology: Ontology) -> None:
    with pytest.raises(InputError) as caught:
        meaning_of("xyzzyx\x1b[31m", ontology)
    assert "\x1b" not in str(caught.value)


def test_what_is_like_it_is_suggested(ontology: Ontology) -> None:
    with pytest.raises(InputError, match='did you mean "Vacuum cleaner"'):
        understand("vacuumomat cleaner", FakeEncoder(), ontology)


def test_never_a_horse(ontology: Ontology) -> None:
    (meaning,) = understand("the hoover", load_text_classes(), ontology).wanted
    assert ontology.classes[meaning.classes[0]].name == "Vacuum cleaner"
    assert "Horse" not in {ontology.classes[each].name for each in meaning.classes}
