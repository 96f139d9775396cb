"""From what a user names to queries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uss.audio import AudioFile
from uss.audio.listing import list_recordings
from uss.conditions.placed_queries import PlacedQuery, united
from uss.conditions.queries import Query
from uss.core.spans import split_place
from uss.separation.separator import Separator
from uss.separation.unwanted import unwanted_by_name


def example_queries(separator: Separator, examples: Sequence[Query | str | Path]) -> list[Query]:
    """Ask for what sounds like recordings.

    Args:
        separator: makes the queries.
        examples: files, and folders, each of which is one query, the mean of its files. Where there
            is no file ``bell.wav@12-15`` it is what sounds like ``bell.wav``, from 12 to 15 s.

    Raises:
        OSError, ValueError: if a file cannot be read or is silent, or the separator takes no
            queries that are made of audio.
    """
    return united(
        [
            each if isinstance(each, Query) else _placed_example(separator, Path(each))
            for each in listed(examples)
        ]
    )


def unwanted_queries(
    separator: Separator, names: Sequence[Query | str | int | Path]
) -> list[Query]:
    """Ask for what must be in no stem: classes, examples where only a file has that name, or words.

    AudioSet's own names go before files, files before aliases, and aliases before words.

    Raises:
        OSError, ValueError: if there is neither a class nor a file of a name, nor are its words
            understood; as ``example_queries``.
    """
    return [
        query
        for each in listed(names)
        for query in ([each] if isinstance(each, Query) else _unwanted(separator, each))
    ]


def listed(named: Any) -> Sequence[Any]:
    """Take a single name, file or query for a list of one, not of its letters."""
    return [named] if isinstance(named, (str, int, Path, Query)) else named


def _unwanted(separator: Separator, name: str | int | Path) -> Sequence[Query]:
    if isinstance(name, Path):
        return [_example_query(separator, name)]
    # A recording called like an alias is what the user has; a class's own name goes before it.
    is_file = isinstance(name, str) and bool(name.strip()) and exists(name)
    if is_file and not separator.ontology.is_name(name):
        return [_example_query(separator, Path(str(name)))]
    return unwanted_by_name(separator, name)


def exists(name: str | Path) -> bool:
    """Whether there is a file of a name, which may be a text."""
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        # Too long, or with letters that no file's name has.
        return False


def example_file(path: Path) -> Path:
    """Take the file of an example, without the times that may follow its name."""
    return path.with_name(split_place(path.name)[0]) if _is_placed(path) else path


def example_files(examples: Any) -> list[Path]:
    """Take the files among examples, which no result may remove."""
    return [example_file(Path(each)) for each in listed(examples) if not isinstance(each, Query)]


def _is_placed(path: Path) -> bool:
    # What does not look like a time belongs to the name of a file that is missing.
    looks_so = "@" in path.name and path.name.rpartition("@")[2][:1].isdigit()
    return looks_so and not path.exists()


def _placed_example(separator: Separator, path: Path) -> Query:
    if not _is_placed(path):
        return _example_query(separator, path)
    _, spans = split_place(path.name)
    return PlacedQuery.of(_example_query(separator, example_file(path)), spans)


def _example_query(separator: Separator, path: Path) -> Query:
    files = list_recordings([path])
    return separator.audio_query(path.stem, (AudioFile(file, track=None) for file in files))
