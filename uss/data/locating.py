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


def locate(clips: Sequence[Clip], audio_root: str | Path) -> list[Clip]:
    """Find the files of AudioSet's clips; other clips stay as they are.

    A file may lie in any folder below the root (folders that are links are not followed) and be
    called ``YTID_START``, with the start in whole seconds or in milliseconds, ``YTID`` or
    ``YYTID``, as the common download tools do. Names without a start are not taken for videos of
    which the manifest has several clips. The folders are scanned once.

    Args:
        clips: the rows of a manifest.
        audio_root: the folder that holds the files.

    Returns:
        The clips with their paths relative to the root; an empty path where there is no file.

    Raises:
        ValueError: if there is no file for any of the clips.
    """
    wanted = [clip for clip in clips if isinstance(clip, AudioSetClip)]
    if not wanted:
        return list(clips)
    paths = _audio_files(Path(audio_root))
    located = [_with_path(clip, paths) for clip in clips]
    if not any(clip.path for clip in located):
        names = ", ".join(f"{stem}.*" for stem in file_stems(wanted[0]))
        raise InputError(
            f"{audio_root} holds no audio file of any clip; the first clip's would be called one "
            f"of {names}; name another --audio-root"
        )
    return located


def file_stems(clip: AudioSetClip) -> list[str]:
    """Name what a clip's file may be called, without the suffix; the most exact name first."""
    seconds, milliseconds = int(clip.start_seconds), round(1000.0 * clip.start_seconds)
    stems = [f"{clip.ytid}_{milliseconds}", f"{clip.ytid}_{seconds}"]
    if clip.clip_id == clip.ytid:
        stems += [clip.ytid, f"Y{clip.ytid}"]
    return list(dict.fromkeys(stems))


def _with_path(clip: Clip, paths: dict[str, str]) -> Clip:
    if isinstance(clip, AudioSetClip):
        for stem in file_stems(clip):
            if stem in paths:
                return replace(clip, path=paths[stem])
    return clip


def _audio_files(root: Path) -> dict[str, str]:
    """Stem to path relative to the root; of equal stems the first path in alphabetical order."""
    paths: dict[str, str] = {}
    for folder, _, names in os.walk(root):
        below = os.path.relpath(folder, root)
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in _SUFFIXES:
                path = os.path.normpath(os.path.join(below, name))
                paths[stem] = min(path, paths.get(stem, path))
    return paths
