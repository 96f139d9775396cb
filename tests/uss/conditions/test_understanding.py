"""What texts mean, with an encoder whose answers are known."""

from collections.abc import Iterable

import numpy as np
import pytest

from ontology import Ontology
from uss.conditions.text_checks import MAX_LETTERS
from uss.conditions.text_classes import TextClasses, load_text_classes
from uss.conditions.text_meanings import Meaning
from uss.conditions.text_words import ENGLISH, OF_SOUNDS, Lexicon
from uss.conditions.understanding import Understood, understand
from uss.core.arrays import Float32
from uss.core.errors import InputError
from uss.taggers import NUM_CLASSES

SPEECH, LAUGHTER = 0, 16
DOG, BARK, CAT, BIRD, STREAM, ANIMAL, MUSIC = 74, 75, 81, 111, 292, 72, 137
SAID = {
    "barky": {DOG: 0.9, BARK: 0.5, ANIMAL: 0.7, CAT: 0.4},
    "catty": {CAT: 0.8},
    "furry": {ANIMAL: 0.9, DOG: 0.8, CAT: 0.2},
    "gentleman": {SPEECH: 0.8, LAUGHTER: 0.1},
    "chortles": {LAUGHTER: 0.9},
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
    wanted, unwanted = (
        [each.nodes[0].class_index or 0 for each in meanings]
        for meanings in (found.wanted, found.unwanted)
    )
    return wanted, unwanted


def named(meaning: Meaning) -> list[str]:
    return [node.name for node in meaning.nodes]


def test_what_is_half_as_probable_as_the_first_is_meant(ontology: Ontology) -> None:
    # The animal lies above the dog, and of the cat's probability there would be too little.
    (meaning,) = meaning_of("the  barky ", ontology).wanted
    assert named(meaning) == ["Dog", "Bark"]
    assert meaning.weights == pytest.approx((0.9, 0.5))
    assert meaning_of("the  barky ", ontology).text == "the barky"


def test_the_most_special_of_what_is_nearly_as_probable_comes_first(ontology: Ontology) -> None:
    (meaning,) = meaning_of("furry", ontology).wanted
    assert named(meaning) == ["Dog"]


def test_who_makes_a_sound_is_not_the_sound(ontology: Ontology) -> None:
    (meaning,) = meaning_of("a gentleman chortles", ontology).wanted
    assert named(meaning) == ["Laughter"]
    # Where nobody does anything, who is there is all that is said.
    (meaning,) = meaning_of("a gentleman", ontology).wanted
    assert named(meaning) == ["Speech"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a kookaburra", ["Bird"]),
        ("English horn", ["Wind instrument, woodwind instrument"]),
        ("human voice", ["Human voice"]),
        ("the kitchen", ["Domestic sounds, home sounds"]),
        # The nearest that a person named for what is no class.
        ("kissing", ["Squish"]),
        ("a gentleman kissing", ["Squish"]),
    ],
)
def test_names_and_kinds(ontology: Ontology, text: str, expected: list[str]) -> None:
    (meaning,) = meaning_of(text, ontology).wanted
    assert named(meaning) == expected


def test_a_name_in_strange_words_is_read_as_what_it_is(ontology: Ontology) -> None:
    encoder = load_text_classes()
    (meaning,) = understand("a moggy purring on a sofa", encoder, ontology).wanted
    assert named(meaning)[0] in ("Cat", "Purr")
    (meaning,) = understand("my iPhone ringing", encoder, ontology).wanted
    assert named(meaning)[0] == "Telephone bell ringing"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("an out of tune piano", "Piano"),
        ("audience coughing", "Cough"),
        ("a woodpecker drumming on a tree", "Bird"),
        ("a toddler laughing", "Laughter"),
        ("a dog barks behind a fence", "Dog"),
    ],
)
def test_the_embedded_encoder(ontology: Ontology, text: str, expected: str) -> None:
    (meaning,) = understand(text, load_text_classes(), ontology).wanted
    assert meaning.nodes[0].name == expected


@pytest.mark.parametrize(
    "text", ["gato", "nappy", "a rectangular table", "red and blue", "bark of a tree"]
)
def test_what_is_guessed_must_be_sure(ontology: Ontology, text: str) -> None:
    with pytest.raises(InputError):
        understand(text, load_text_classes(), ontology)


@pytest.mark.parametrize(
    ("text", "wanted", "unwanted"),
    [
        ("barky and catty", [DOG, CAT], []),
        ("barky without catty", [DOG], [CAT]),
        ("no catty", [], [CAT]),
        ("the black and white barky", [DOG], []),
        ("the feathered over a brook", [BIRD, STREAM], []),
        ("the feathered over the white", [BIRD], []),
        ("feathred", [BIRD], []),
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
    assert set(named(meaning)) == {
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
        ("a xyzzyx and a barky without a blorptang", "not understood: 'blorptang'"),
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
    assert named(meaning)[0] == "Vacuum cleaner" and "Horse" not in named(meaning)
