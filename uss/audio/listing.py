"""Folders that stand for the recordings in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

# fmt: off
_SUFFIXES = frozenset((
    ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".caf", ".dts", ".eac3",
    ".flac", ".m4a", ".m4b", ".mka", ".mp2", ".mp3", ".oga", ".ogg", ".opus", ".rf64", ".snd",
    ".tta", ".w64", ".wav", ".wave", ".wma", ".wv",
    ".3g2", ".3gp", ".asf", ".avi", ".f4v", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4",
    ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv",
))
# fmt: on


def list_recordings(inputs: Sequence[Path]) -> list[Path]:
    """Put the audio and video files of a folder, sorted by name, in the folder's place.

    Only files in the folder itself that have a suffix of audio or video count, and no hidden ones.
    A folder without any stays in the list, so that it fails alone when it is opened.

    Args:
        inputs: files, taken whatever they are called, and folders.

    Raises:
        OSError: if a folder cannot be listed.
    """
    listed: list[Path] = []
    for path in inputs:
        listed += (_recordings_in(path) or [path]) if path.is_dir() else [path]
    return listed


def _recordings_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
