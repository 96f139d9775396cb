"""What uss-separate takes: files as they are named, and folders for the recordings in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.separate.summary import SUMMARY_NAME
from uss.audio import AudioFile
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


def open_recording(path: Path, track: int) -> AudioFile:
    """Open one of the listed recordings.

    Args:
        path: the file.
        track: which of its audio tracks, from 1.

    Raises:
        OSError, ValueError: as ``AudioFile``; or if it is a folder.
    """
    if path.is_dir():
        raise InputError(
            f"the folder {path} holds no audio or video file (folders in it are not searched); "
            "name an audio or video file, or a folder with some"
        )
    return AudioFile(path, track)


def check_names(recordings: Sequence[Path]) -> None:
    """Refuse recordings whose results would lie in one folder.

    Names that differ only in case are one folder on some systems.

    Raises:
        ValueError: naming the two.
    """
    seen: dict[str, Path] = {}
    for path in recordings:
        if path.is_dir():
            continue
        name = path.stem
        if name.casefold() == SUMMARY_NAME and len(recordings) > 1:
            raise InputError(f"the folder for {path} would take the place of {name}; rename it")
        other = seen.setdefault(name.casefold(), path)
        if other is not path:
            raise InputError(
                f"{other} and {path} would both be written to the folder {name}; "
                "separate them into different output folders"
            )


def _recordings_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
