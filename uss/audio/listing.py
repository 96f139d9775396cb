"""Folders that stand for the recordings in them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from uss.core.errors import InputError

# fmt: off
_SUFFIXES = frozenset((
    ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".caf", ".dts", ".eac3",
    ".flac", ".m4a", ".m4b", ".mka", ".mp2", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".snd",
    ".tta", ".w64", ".wav", ".wave", ".wma", ".wv",
    ".3g2", ".3gp", ".asf", ".avi", ".f4v", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4",
    ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
))
# fmt: on


@dataclass(frozen=True)
class Found:
    """A recording among some inputs.

    Attributes:
        path: the file.
        below: the folder it was found in, relative to the one that was named; ``.`` for files that
            were named, and those directly in a named folder.
    """

    path: Path
    below: PurePath = field(default_factory=PurePath)


def list_recordings(inputs: Sequence[Path]) -> list[Path]:
    """Put the audio and video files of a folder, sorted by name, in the folder's place.

    Only files in the folder itself that have a suffix of audio or video count, and no hidden ones.
    A folder without any stays in the list, so that it fails alone when it is opened.

    Args:
        inputs: files, taken whatever they are called, and folders.

    Raises:
        OSError: if a folder cannot be listed.
    """
    return [found.path for found in find_recordings(inputs)]


def find_recordings(
    inputs: Sequence[Path], *, recursive: bool = False, but_not: Path | None = None
) -> list[Found]:
    """As ``list_recordings``; says where in a folder each file lies.

    Args:
        inputs: files and folders.
        recursive: also search the folders in folders, those that are not hidden; links to folders
            are not followed, so no folder is searched twice, and none for ever.
        but_not: a folder that is not searched, such as the one results go to.

    Raises:
        OSError: if a folder cannot be listed.
        ValueError: if ``but_not`` is to be searched and named itself.
    """
    searched: list[Found] = []
    for path in inputs:
        if not path.is_dir():
            searched.append(Found(path))
            continue
        if recursive and but_not is not None and _is_same_folder(path, but_not):
            raise InputError(
                f"{path} is to be searched for recordings and to hold the results, which would be "
                "found by the next run; choose another output folder"
            )
        folders = _folders_below(path, but_not) if recursive else [path]
        found = [
            Found(file, folder.relative_to(path))
            for folder in folders
            for file in _recordings_in(folder)
        ]
        searched += found or [Found(path)]
    return searched


def _recordings_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _folders_below(top: Path, but_not: Path | None) -> Iterator[Path]:
    """Go through a folder and those below it, each before what it holds, sorted by name."""

    def fail(error: OSError) -> None:
        raise error

    for folder, below, _ in os.walk(top, onerror=fail):
        here = Path(folder)
        yield here
        below[:] = sorted(
            name
            for name in below
            if not name.startswith(".")
            and not (but_not is not None and _is_same_folder(here / name, but_not))
        )


def _is_same_folder(first: Path, second: Path) -> bool:
    return second.is_dir() and first.samefile(second)
