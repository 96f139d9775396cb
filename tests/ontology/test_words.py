import pytest

from ontology.words import folded, singular, stem, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Gun shots", ("gun", "shot")),
        ("hi-hat", ("hi", "hat")),
        ("rock & roll", ("rock", "and", "roll")),
        ("the dog's bark", ("the", "dog", "bark")),
        ("dentist\N{RIGHT SINGLE QUOTATION MARK}s drill", ("dentist", "drill")),
        ("À cappella", ("a", "cappella")),
        ("Bell (musical)", ("bell", "musical")),
        ("808", ("808",)),
        ("...", ()),
        ("", ()),
    ],
)
def test_words_are_lower_case_and_singular(text: str, words: tuple[str, ...]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize("text", ["gunshot", "Gun shot", "gun-shots", "GUN_SHOT", " gunshots "])
def test_forms_of_a_name_are_one(text: str) -> None:
    assert folded(text) == "gunshot"


@pytest.mark.parametrize(
    ("plural", "expected"),
    [
        ("dogs", "dog"),
        ("cries", "cry"),
        ("boxes", "box"),
        ("glasses", "glass"),
        ("buses", "bus"),
        ("wolves", "wolf"),
        ("mice", "mouse"),
        # No plurals.
        ("glass", "glass"),
        ("bass", "bass"),
        ("bus", "bus"),
        ("chorus", "chorus"),
        ("gas", "gas"),
        ("tennis", "tennis"),
    ],
)
def test_singular(plural: str, expected: str) -> None:
    assert singular(plural) == expected


@pytest.mark.parametrize(
    "family",
    [
        ("bark", "barks", "barking", "barked"),
        ("run", "runs", "running", "runner"),
        ("cry", "cries", "crying"),
        ("whistle", "whistling", "whistles", "whistled"),
        ("drill", "drilling", "drills"),
        ("breathe", "breath", "breathing"),
        ("clap", "claps", "clapping"),
    ],
)
def test_words_of_one_family_have_one_stem(family: tuple[str, ...]) -> None:
    assert len({stem(word) for word in family}) == 1


def test_short_words_stay_as_they_are() -> None:
    assert [stem(word) for word in ("bed", "red", "ring", "king", "bee")] == [
        "bed",
        "red",
        "ring",
        "king",
        "bee",
    ]
