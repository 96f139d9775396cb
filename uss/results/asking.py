"""From what a user names to queries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uss.audio import AudioFile
from uss.audio.listing import list_recordings
from uss.conditions.queries import Query
from uss.separation.separator import Separator


def example_queries(separator: Separator, examples: Sequence[Query | str | Path]) -> list[Query]:
    """Ask for what sounds like recordings.

    Args:
        separator: makes the queries.
        examples: files, and folders, each of which is one query, the mean of its files.

    Raises:
        OSError, ValueError: if a file cannot be read or is silent, or the separator takes no
            queries that are made of audio.
    """
    return [
        each if isinstance(each, Query) else _example_query(separator, Path(each))
        for each in listed(examples)
    ]


def unwanted_queries(
    separator: Separator, names: Sequence[Query | str | int | Path]
) -> list[Query]:
    """Ask for what must be in no stem: classes, or examples where only a file has that name.

    AudioSet's own names go before files, files before aliases.

    Raises:
        OSError, ValueError: if there is neither a class nor a file of a name; as
            ``example_queries``.
    """
    return [
        each if isinstance(each, Query) else _unwanted(separator, each) for each in listed(names)
    ]


def listed(named: Any) -> Sequence[Any]:
    """Take a single name, file or query for a list of one, not of its letters."""
    return [named] if isinstance(named, (str, int, Path, Query)) else named


def _unwanted(separator: Separator, name: str | int | Path) -> Query:
    if isinstance(name, Path):
        return _example_query(separator, name)
    # A recording called like an alias is what the user has; a class's own name goes before it.
    is_file = isinstance(name, str) and Path(name).exists()
    if is_file and not separator.ontology.is_name(name):
        return _example_query(separator, Path(str(name)))
    return separator.class_query(name)


def _example_query(separator: Separator, path: Path) -> Query:
    files = list_recordings([path])
    return separator.audio_query(path.stem, (AudioFile(file) for file in files))
