"""What must be in no stem, by the names of classes or in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from uss.conditions.queries import Query
from uss.conditions.text_classes import load_text_classes
from uss.conditions.text_words import words_in
from uss.core.errors import InputError
from uss.separation.query_making import QueryMaker

_FEWEST_WORDS = 2


def unwanted_by_name(maker: QueryMaker, name: str | int) -> Sequence[Query]:
    """Look up a class by its name, or read a text.

    Raises:
        OSError, ValueError: if there is no class of a name, nor are its words understood.
    """
    try:
        return [maker.class_query(name)]
    except ValueError as error:
        if isinstance(name, int):
            raise
        unknown = error
    if not name.strip():
        raise InputError(f"{name!r} names nothing to be left out; name a class or a sound")
    if _looks_like_a_file(name):
        raise InputError(f"{name!r} is to be in no stem, but there is no such file")
    if not _may_be_text(name):
        raise unknown
    try:
        asked = maker.text_queries([name])
    except InputError:
        # What is one word is taken for a name, of which more is known to suggest.
        if len(name.split()) < _FEWEST_WORDS:
            raise unknown from None
        raise
    if asked.without:
        raise InputError(
            f"{name!r} is to be in no stem, and excludes something itself; say what is to be left "
            "out without exclusions"
        )
    return asked.queries


def unwanted_queries(maker: QueryMaker, given: Any) -> list[Query]:
    """Ask for what a program wants in no stem: classes, words, and queries.

    Raises:
        OSError, ValueError: as ``unwanted_by_name``; or if something is none of these.
    """
    listed = [given] if isinstance(given, (str, int, Query)) else given
    if isinstance(listed, bytes) or not isinstance(listed, Iterable):
        raise InputError(f"{given!r} cannot be left out; give classes, words or queries")
    queries: list[Query] = []
    for each in listed:
        if isinstance(each, Query):
            queries.append(each)
        elif isinstance(each, (str, int)) and not isinstance(each, bool):
            queries += unwanted_by_name(maker, each)
        else:
            raise InputError(f"{each!r} cannot be left out; give a class, words or a query")
    return queries


def _looks_like_a_file(name: str) -> bool:
    return name.startswith(("/", "./", "../", "~")) or Path(name).suffix[1:].isalnum()


def _may_be_text(name: str) -> bool:
    """Whether it is worth reading: what may be a class misspelt is not."""
    read = load_text_classes().lexicon.read
    return any(word.known and not word.is_respelt for word in map(read, words_in(name)))
