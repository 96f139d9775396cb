"""Phrases of captions, by the published rules."""

import csv
import time
from pathlib import Path

import pytest

from uss.data.caption_phrases import phrases_of


@pytest.mark.parametrize(
    ("caption", "phrases"),
    [
        # "As" is cut before "nearby", which is then no longer between two blanks.
        ("A woman talks nearby as water pours", ("A woman talks nearby", "Water pours")),
        ("Multiple clanging and clanking sounds", ("Multiple clanging", "Clanking sounds")),
        ("A siren wails followed by a car passing", ("A siren wails", "A car passing")),
        ("Wind blows, insects sing, and then rain", ("Wind blows", "Insects sing", "Rain")),
        ("A man speaks after which a dog barks", ("A man speaks", "A dog barks")),
        ("An engine hums with birds over a stream", ("An engine hums", "Birds", "A stream")),
        # Longer connectives come first.
        ("Rain and is followed by thunder", ("Rain", "Thunder")),
        # What is one source stays whole, and keeps its "and".
        ("A man and woman speak while a phone rings", ("A man and woman speak", "A phone rings")),
        (
            "An alarm turns on and off and a dog barks",
            ("An alarm turns on and off and a dog barks",),
        ),
        # What is not at the start is in lower case.
        ("A horn honks and a TV plays", ("A horn honks", "A tv plays")),
        # A "then" is dropped wherever it is left, a comma too.
        ("then a bell rings,", ("A bell rings",)),
        # As log sheets are written.
        ("Dog barks,rain falls", ("Dog barks", "Rain falls")),
        ("A crowd of 1,000 claps", ("A crowd of 1000 claps",)),
        ("DOG GROWLING WITH A MAN TALKING", ("Dog growling", "A man talking")),
        ("Steam hisses. Then a bell rings", ("Steam hisses.", "A bell rings")),
        ("Then a bell rings", ("A bell rings",)),
        # As published, that is kept in small letters alone.
        ("Man and woman speak", ("Man", "Woman speak")),
        # The word alone, not a part of one.
        ("wind strengthens then rain", ("Wind strengthens", "Rain")),
    ],
)
def test_captions_are_cut_at_the_published_words(caption: str, phrases: tuple[str, ...]) -> None:
    assert phrases_of(caption) == phrases


@pytest.mark.parametrize("caption", ["", "  \n\t", ",", "then"])
def test_a_caption_without_words_has_no_phrase(caption: str) -> None:
    assert phrases_of(caption) == ()


def test_one_word_is_one_phrase() -> None:
    assert phrases_of("dog") == phrases_of(" DOG ") == ("Dog",)


def test_blanks_of_any_kind_are_one() -> None:
    assert phrases_of("a dog\nand\t a  cat") == ("A dog", "A cat")


@pytest.mark.parametrize(
    "caption", ["Ein Hund bellt und es regnet", "犬が吠え、雨が降る", "Un perro ladra y llueve"]
)
def test_another_language_has_no_connectives_and_stays_whole(caption: str) -> None:
    assert phrases_of(caption) == (caption.capitalize(),)


def test_of_another_language_commas_are_cut_all_the_same() -> None:
    assert phrases_of("Hund bellt, Regen fällt") == ("Hund bellt", "Regen fällt")


def test_two_thousand_words_are_cut_in_no_time() -> None:
    start = time.perf_counter()
    assert len(phrases_of(" and ".join(["a dog barks"] * 500))) == 500
    assert phrases_of("bark " * 2_000) == (("bark " * 2_000).strip().capitalize(),)
    assert time.perf_counter() - start < 1.0


def test_published_captions_give_phrases_without_connectives(shared: Path) -> None:
    with (shared / "captions" / "caption_labels.csv").open(newline="") as file:
        captions = [row["caption"] for row in csv.DictReader(file)][::20]
    for caption in captions:
        found = phrases_of(caption)
        assert found and all(each == each.strip().capitalize() for each in found)
        assert not any("," in each for each in found)
