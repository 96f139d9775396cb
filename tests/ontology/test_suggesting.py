"""What is suggested for words that are no names: expectations by hand."""

import csv
import re
from pathlib import Path

import pytest

import ontology as package
from ontology import OntologyError, load_ontology
from ontology.spelling import close_to, distance, respelt
from ontology.suggesting import Vocabulary
from ontology.words import folded

TREE = load_ontology()


def suggested(text: str) -> list[str]:
    with pytest.raises(OntologyError, match="unknown class") as caught:
        TREE.look_up(text)
    _, _, names = str(caught.value).partition("did you mean ")
    return re.findall(r'"(.+?)"', names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Letters alone suggested Gargling, and Dial tone for what is now an alias.
        ("dog barking", ["Bark", "Dog"]),
        ("dialogs track", ["Speech"]),
        # The kind of sound and what makes it.
        ("barking dogs", ["Bark", "Dog"]),
        ("cat purring", ["Purr", "Cat"]),
        ("owl hooting at night", ["Hoot", "Owl"]),
        ("wolf howling", ["Howl", "Canidae, dogs, wolves"]),
        ("horse galloping", ["Clip-clop", "Horse"]),
        ("baby is crying", ["Baby cry, infant cry"]),
        ("crowd cheering", ["Cheering", "Crowd"]),
        ("fly buzzing", ["Buzz", "Fly, housefly"]),
        ("door creaking", ["Creak", "Door"]),
        ("water dripping", ["Drip", "Water"]),
        ("siren of ambulance", ["Ambulance (siren)", "Siren"]),
        ("motorcycle revving", ["Motorcycle", "Accelerating, revving, vroom"]),
        ("thunder and rain", ["Thunder", "Rain"]),
        ("glass breaking sound", ["Shatter", "Glass", "Breaking"]),
        # Words written apart or together, also in longer texts.
        ("key board", ["Keyboard (musical)", "Computer keyboard"]),
        ("wood pecker drumming", ["Bird"]),
        ("swordfights", ["Clang", "Chink, clink"]),
        ("hailstorms", ["Rain on surface"]),
        ("swordfight", ["Clang", "Chink, clink"]),
        # What no class is, and what comes near.
        ("woodpecker", ["Bird", "Knock"]),
        ("sea gull", ["Bird"]),
        ("zebra", ["Wild animals"]),
        ("angry elephants", ["Wild animals"]),
        ("rocket launch", ["Jet engine"]),
        ("leaf blower", ["Mechanical fan", "Light engine (high frequency)", "Power tool"]),
        ("washing machine", ["Domestic sounds, home sounds", "Mechanisms"]),
        ("football match", ["Crowd", "Cheering", "Whistle"]),
        ("monster", ["Growling", "Roar"]),
        # Synonyms and stems.
        ("people talking loudly", ["Speech"]),
        ("gunshots in the distance", ["Gunshot, gunfire"]),
        ("footsteps on gravel", ["Walk, footsteps"]),
        ("applauding audience", ["Applause", "Crowd"]),
        ("snoring man", ["Snoring"]),
        ("hammering nails", ["Hammer"]),
        ("bagpiper", ["Bagpipes"]),
        ("church organ music", ["Organ"]),
        ("spaceship", ["Aircraft engine", "Hum", "Sound effect"]),
        # Typing errors, also in words of aliases.
        ("bird chirpping", ["Chirp, tweet"]),
        ("saxaphone solo", ["Saxophone"]),
        ("xylofone", ["Marimba, xylophone"]),
        ("Speeech", ["Speech"]),
        ("dialoge", ["Speech"]),
        ("dgo", ["Dog"]),
        # What no tagger knows is suggested by what lies above it.
        ("seagull", ["Bird"]),
        ("yawns loudly", ["Human voice"]),
        # A word for several things.
        ("keyboard", ["Keyboard (musical)", "Computer keyboard"]),
    ],
)
def test_suggestions_mean_what_was_asked_for(text: str, expected: list[str]) -> None:
    found = suggested(text)
    assert found[: len(expected)] == expected
    assert len(found) <= 3


@pytest.mark.parametrize(
    ("text", "unwanted"),
    [
        ("dog barking", "Gargling"),
        ("dialoge", "Dial tone"),
        ("jazz saxophone", "Telephone"),
        ("train passing", "Trance music"),
        ("gunfight", "Jet engine"),
        ("wood pecker", "Wood block"),
        ("rocket", "Rock music"),
        ("bulldog", "Cattle, bovinae"),
        ("ghost", "Goat"),
        ("elephant", "Telephone"),
        ("welding", "Wedding music"),
        ("elevator", "Background music"),
    ],
)
def test_letters_do_not_go_before_meaning(text: str, unwanted: str) -> None:
    try:
        assert unwanted not in [node.name for node in TREE.look_up(text)]
    except OntologyError:
        assert unwanted not in suggested(text)


def hints() -> list[dict[str, str]]:
    file = Path(package.__file__).with_name("hints.csv")
    with file.open(encoding="utf-8", newline="") as content:
        return list(csv.DictReader(content))


def test_every_hint_names_what_can_be_asked_for_and_is_no_name_itself() -> None:
    rows = hints()
    words = [row["word"] for row in rows]
    assert words == sorted(words, key=str.casefold)
    assert len({folded(word) for word in words}) == len(words)
    for row in rows:
        nodes = [TREE.nodes[mid] for mid in row["mids"].split(";")]
        assert "; ".join(node.name for node in nodes) == row["names"]
        assert all(TREE.class_indexes(node) for node in nodes)
        assert {*suggested(row["word"])[:2]} & {*row["names"].split("; ")}


def test_spelling() -> None:
    assert [distance("dgo", "dog"), distance("", "ab"), distance("bark", "barque")] == [1, 2, 3]
    assert close_to("saxaphone", ["saxophone", "vibraphone"], 3) == ["saxophone"]
    assert close_to("oats", ["goat", "oaks"], 3) == ["oaks"]
    known = {"gun", "fight", "woodpecker", "shots"}
    assert respelt(["gunfight", "wood", "pecker", "gunx"], known) == [
        *("gun", "fight", "woodpecker", "gunx")
    ]


@pytest.mark.parametrize("text", ["quagga", "qqqqqq", "", "???", "\N{SNOWMAN}"])
def test_nothing_alike_is_no_suggestion(text: str) -> None:
    assert suggested(text) == []


def test_every_suggestion_can_be_asked_for() -> None:
    for text in ("dog barking", "bird of prey", "whistling kettle", "audience murmuring"):
        for name in suggested(text):
            assert all(TREE.class_indexes(node) for node in TREE.look_up(name))


def test_a_word_for_several_nodes_is_suggested_as_it_is_typed() -> None:
    vocabulary = Vocabulary(
        {"/a": "Hoot", "/b": "Croak"}, {"/a": (), "/b": ()}, {"night chorus": ("/a", "/b")}, {"/a"}
    )
    assert vocabulary.like("chorus at night") == ["night chorus"]
    assert vocabulary.like("croak") == []


def test_a_long_text_takes_no_longer_than_a_glance() -> None:
    assert suggested("a dog barks while it rains " * 200)[:2] == ["Bark", "Dog"]


@pytest.mark.parametrize("text", ["a", "the", "of the"])
def test_what_says_nothing_is_like_nothing(text: str) -> None:
    assert suggested(text) == []
