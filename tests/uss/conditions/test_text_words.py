"""How words of a text come down to words that have vectors."""

import pytest

from uss.conditions.text_words import ENGLISH, NAME, OF_SOUNDS, Lexicon, words_in

KINDS = {
    "dog": OF_SOUNDS,
    "bark": OF_SOUNDS,
    "bird": OF_SOUNDS,
    "hoover": OF_SOUNDS,
    "vacuum": OF_SOUNDS,
    "water": OF_SOUNDS,
    "fall": OF_SOUNDS,
    "table": ENGLISH,
    "paris": NAME,
    "pipes": OF_SOUNDS,
    "pipe": ENGLISH,
    "falling": ENGLISH,
    "photo": OF_SOUNDS,
    "synthesis": ENGLISH,
}


@pytest.fixture
def lexicon() -> Lexicon:
    return Lexicon(list(KINDS), list(KINDS.values()), {"woofer": "bark", "mutt": "dog"})


def known(lexicon: Lexicon, word: str) -> tuple[str, ...]:
    return lexicon.read(word).known


def test_words_lose_case_accents_possessives_and_punctuation() -> None:
    assert words_in("The Dog's  café: «bark!»") == ("the", "dog", "cafe", "bark")
    assert words_in("dogs' & cats\N{RIGHT SINGLE QUOTATION MARK}s") == ("dogs", "and", "cats")
    assert words_in("isn't") == ("isn't",)
    assert words_in("\N{DOG FACE}") == ()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("dog", ("dog",)),
        ("dogs", ("dog",)),
        ("barking", ("bark",)),
        ("barked", ("bark",)),
        ("barker", ("bark",)),
        ("hoovering", ("hoover",)),
        ("mutt", ("dog",)),
        ("mutts", ("dog",)),
        ("waterfall", ("water", "fall")),
        # English words that no text about sounds has, by one that some have.
        ("pipe", ("pipes",)),
        ("falling", ("fall",)),
        ("table", ("table",)),
    ],
)
def test_forms_synonyms_and_compounds(lexicon: Lexicon, typed: str, meant: tuple[str, ...]) -> None:
    word = lexicon.read(typed)
    assert (word.known, word.is_respelt) == (meant, False)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("vaccum", "vacuum"),  # a letter wrong
        ("vacum", "vacuum"),  # missing
        ("bbird", "bird"),  # too many
        ("brid", "bird"),  # two that changed places
        ("dgo", "dog"),  # also in a short word
        ("vaccuumm", "vacuum"),  # two errors in a long word
    ],
)
def test_misspelt_words(lexicon: Lexicon, typed: str, meant: str) -> None:
    word = lexicon.read(typed)
    assert (word.known, word.is_respelt) == ((meant,), True)


@pytest.mark.parametrize(
    "typed", ["xyzzy", "dig", "blorptang", "qwertyuiop", "zz", "photosynthesis"]
)
def test_what_is_like_nothing_is_not_known(lexicon: Lexicon, typed: str) -> None:
    word = lexicon.read(typed)
    assert (word.known, word.is_silent) == ((), False)


def test_numbers_and_contractions_are_silent_and_names_are_known(lexicon: Lexicon) -> None:
    assert lexicon.read("42").is_silent and lexicon.read("won't").is_silent
    assert known(lexicon, "paris") == ("paris",) and lexicon.kind("paris") == NAME
    assert lexicon.kind("xyzzy") is None


def test_a_word_of_sounds_goes_before_another_that_is_as_near() -> None:
    lexicon = Lexicon(["belt", "bell"], [ENGLISH, OF_SOUNDS])
    assert lexicon.read("bellt").known == ("bell",)
