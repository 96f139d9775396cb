"""The files of downloaded clips, by what their names tell: the video, and perhaps when."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

_SUFFIXES = frozenset(
    f".{name}"
    for names in ("aac aif aiff flac m4a mka mp3 oga ogg opus wav wma", "3gp mkv mov mp4 webm")
    for name in names.split()
)
_NUMBER = re.compile(r"\d+(\.\d+)?")


class ClipFiles:
    """The audio files below a folder that may be clips of some videos.

    A file may lie in any folder below the root (folders that are links are not followed) and be
    called ``YTID``, ``YTID_START``, ``YTID_START_END`` or ``YTID_START-END``, any of them also with
    a ``Y`` before; times are in seconds or in milliseconds, whole or not, with zeros in front or
    without. All common download tools do one of these. The folders are scanned once; ids may hold
    any letters, as what is an id is looked up.

    Args:
        root: the folder.
        ytids: the videos that there are clips of.

    Attributes:
        num_files: audio files there are, of whatever clips.
    """

    def __init__(self, root: Path, ytids: Collection[str]) -> None:
        self.num_files = 0
        self._paths: dict[str, str] = {}
        wanted = ytids if isinstance(ytids, (set, frozenset)) else frozenset(ytids)
        for stem, path in self._audio_files(root):
            key = _key_of(stem, wanted)
            if key is not None:
                self._paths[key] = min(path, self._paths.get(key, path))

    def find(self, ytid: str, start_seconds: float, *, is_only: bool) -> str:
        """Find the file of a clip.

        Args:
            ytid: of the video.
            start_seconds: where in the video the clip begins.
            is_only: whether there is no other clip of the video; then a name without a start is
                taken too.

        Returns:
            The path relative to the root, of equal names the first in alphabetical order; empty if
            there is none.
        """
        keys = [_key(ytid, start) for start in _starts(start_seconds)]
        for key in [*keys, ytid] if is_only else keys:
            if key in self._paths:
                return self._paths[key]
        return ""

    def _audio_files(self, root: Path) -> Iterator[tuple[str, str]]:
        """Give stems and paths relative to the root."""
        for folder, _, names in os.walk(root):
            below = os.path.relpath(folder, root)
            inside = "" if below == "." else f"{below}{os.sep}"
            for name in names:
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in _SUFFIXES:
                    self.num_files += 1
                    yield stem, inside + name


def stems(ytid: str, start_seconds: float, *, is_only: bool) -> list[str]:
    """Name what a clip's file may be called, the simplest of the ways to write it."""
    found = [f"{ytid}_{_written(start)}" for start in _starts(start_seconds)]
    return list(dict.fromkeys([*found, ytid] if is_only else found))


def _starts(start_seconds: float) -> tuple[float, ...]:
    """A start as names may give it, the most exact first."""
    return (1000.0 * start_seconds, float(int(start_seconds)), start_seconds)


def _key(ytid: str, start: float) -> str:
    """What is no id, as some ids end like a start."""
    return f"{ytid}@{_written(start)}"


def _key_of(stem: str, ytids: Collection[str]) -> str | None:
    """Tell the video and the start that a file's stem names; None if no known video."""
    for name in (stem, stem[1:]) if stem.startswith("Y") else (stem,):
        if name in ytids:
            return name
        for head, numbers in _without_times(name):
            if head in ytids and all(_NUMBER.fullmatch(each) for each in numbers):
                return _key(head, float(numbers[0]))
    return None


def _without_times(name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Take a start, or a start and an end, from the end of a name."""
    head, _, last = name.rpartition("_")
    yield head, (last,)
    start, mark, end = last.partition("-")
    if mark:
        yield head, (start, end)
    head, _, start = head.rpartition("_")
    yield head, (start, last)


def _written(number: float) -> str:
    return str(round(number)) if abs(number - round(number)) < 1e-6 else f"{number:.3f}"
