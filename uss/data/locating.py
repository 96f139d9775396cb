"""Finding the audio files of clips whose manifest does not name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from uss.core.errors import InputError
from uss.data.clip_files import ClipFiles, stems
from uss.data.manifest import AudioSetClip, Clip


def locate(clips: Sequence[Clip], audio_root: str | Path) -> list[Clip]:
    """Find the files of AudioSet's clips; other clips stay as they are.

    What files may be called, ``ClipFiles`` says. Names without a start are not taken for videos of
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
    files = ClipFiles(Path(audio_root), {clip.ytid for clip in wanted})
    located = [_with_path(clip, files) for clip in clips]
    if not any(clip.path for clip in located):
        raise nothing_found(audio_root, file_stems(wanted[0]))
    return located


def nothing_found(audio_root: str | Path, names: Sequence[str]) -> InputError:
    """Say what the first clip's file might have been called."""
    listed = ", ".join(f"{stem}.*" for stem in names)
    return InputError(
        f"{audio_root} holds no audio file of any clip; the first clip's would be called one "
        f"of {listed}, perhaps with a Y before; name the folder that holds the files"
    )


def file_stems(clip: AudioSetClip) -> list[str]:
    """Name what a clip's file may be called, without the suffix; the most exact name first."""
    return stems(clip.ytid, clip.start_seconds, is_only=clip.clip_id == clip.ytid)


def _with_path(clip: Clip, files: ClipFiles) -> Clip:
    if isinstance(clip, AudioSetClip):
        is_only = clip.clip_id == clip.ytid
        path = files.find(clip.ytid, clip.start_seconds, is_only=is_only)
        return replace(clip, path=path) if path else clip
    return clip
