"""Finding the audio files of clips whose manifest does not name them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from uss.core.errors import InputError
from uss.data.manifest import AudioSetClip, Clip

_SUFFIXES = frozenset(
    f".{name}"
    for names in ("aac aif aiff flac m4a mka mp3 oga ogg opus wav wma", "3gp mkv mov mp4 webm")
    for name in names.split()
)


class ClipLocator:
    """Finds the files of AudioSet's clips; other clips stay as they are.

    A file may lie in any folder below the root (folders that are links are not followed) and be
    called ``YTID_START``, with the start in whole seconds or in milliseconds, ``YTID`` or
    ``YYTID``, as the common download tools do. Names without a start are not taken for videos of
    which the manifest has several clips. The folders are scanned once, and not at all for a
    manifest that names its files.

    Args:
        clips: all rows of a manifest.
        audio_root: the folder that holds the files.

    Raises:
        ValueError: if there is no file for any of the clips.
    """

    def __init__(self, clips: Sequence[Clip], audio_root: str | Path) -> None:
        wanted = (clip for clip in clips if isinstance(clip, AudioSetClip))
        first = next(wanted, None)
        self._files = None if first is None else _AudioFiles(Path(audio_root))
        if first is not None and not any(clip.path for clip in map(self._located, clips)):
            names = ", ".join(f"{stem}.*" for stem in file_stems(first))
            raise InputError(
                f"{audio_root} holds no audio file of any clip; the first clip's would be called "
                f"one of {names}; name another --audio-root"
            )

    def __call__(self, clips: Sequence[Clip]) -> list[Clip]:
        """Find the files of some of the clips.

        Returns:
            The clips with their paths relative to the root; an empty path where there is no file.
        """
        return [self._located(clip) for clip in clips]

    def _located(self, clip: Clip) -> Clip:
        if self._files is not None and isinstance(clip, AudioSetClip):
            for stem in file_stems(clip):
                path = self._files.path(stem)
                if path is not None:
                    return replace(clip, path=path)
        return clip


def locate(clips: Sequence[Clip], audio_root: str | Path) -> list[Clip]:
    """Find the files of all clips of a manifest at once; see ``ClipLocator``.

    Raises:
        ValueError: if there is no file for any of the clips.
    """
    return ClipLocator(clips, audio_root)(clips)


def file_stems(clip: AudioSetClip) -> list[str]:
    """Name what a clip's file may be called, without the suffix; the most exact name first."""
    seconds, milliseconds = int(clip.start_seconds), round(1000.0 * clip.start_seconds)
    stems = [f"{clip.ytid}_{milliseconds}", f"{clip.ytid}_{seconds}"]
    if clip.clip_id == clip.ytid:
        stems += [clip.ytid, f"Y{clip.ytid}"]
    return list(dict.fromkeys(stems))


class _AudioFiles:
    """All audio files below a folder by their stems; of equal stems the first path alphabetically.

    Folders and suffixes are numbered, so that a file costs little more than its stem.
    """

    def __init__(self, root: Path) -> None:
        self._places: list[tuple[str, str]] = []
        self._place_of: dict[str, int] = {}
        for folder, _, names in os.walk(root):
            below = os.path.relpath(folder, root)
            numbers: dict[str, int] = {}
            for name in names:
                stem, suffix = os.path.splitext(name)
                if suffix.lower() in _SUFFIXES:
                    if suffix not in numbers:
                        numbers[suffix] = len(self._places)
                        self._places.append((below, suffix))
                    self._note(stem, numbers[suffix])

    def path(self, stem: str) -> str | None:
        """Where a file lies relative to the root; None if there is none of that stem."""
        place = self._place_of.get(stem)
        return None if place is None else self._path_at(place, stem)

    def _note(self, stem: str, place: int) -> None:
        known = self._place_of.setdefault(stem, place)
        if known != place and self._path_at(place, stem) < self._path_at(known, stem):
            self._place_of[stem] = place

    def _path_at(self, place: int, stem: str) -> str:
        folder, suffix = self._places[place]
        return os.path.normpath(os.path.join(folder, stem + suffix))
