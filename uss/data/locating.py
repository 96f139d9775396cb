"""Finding the audio files of clips whose manifest does not name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from uss.core.errors import InputError
from uss.data.clip_files import ClipFiles, stems
from uss.data.manifest import AudioSetClip, Clip


class ClipLocator:
    """Finds the files of AudioSet's clips; other clips stay as they are.

    What files may be called, ``ClipFiles`` says. Names without a start are not taken for videos of
    which the manifest has several clips. The folders are scanned once, and not at all for a
    manifest that names its files.

    Args:
        clips: all rows of a manifest.
        audio_root: the folder that holds the files.

    Raises:
        ValueError: if there is no file for any of the clips.
    """

    def __init__(self, clips: Sequence[Clip], audio_root: str | Path) -> None:
        first = next((clip for clip in clips if isinstance(clip, AudioSetClip)), None)
        self._files: ClipFiles | None = None
        if first is None:
            return
        ytids = {clip.ytid for clip in clips if isinstance(clip, AudioSetClip)}
        self._files = ClipFiles(Path(audio_root), ytids)
        if not any(clip.path for clip in map(self._located, clips)):
            raise nothing_found(audio_root, file_stems(first))

    def __call__(self, clips: Sequence[Clip]) -> list[Clip]:
        """Find the files of some of the clips.

        Returns:
            The clips with their paths relative to the root; an empty path where there is no file.
        """
        return [self._located(clip) for clip in clips]

    def _located(self, clip: Clip) -> Clip:
        if self._files is not None and isinstance(clip, AudioSetClip):
            is_only = clip.clip_id == clip.ytid
            path = self._files.find(clip.ytid, clip.start_seconds, is_only=is_only)
            return replace(clip, path=path) if path else clip
        return clip


def locate(clips: Sequence[Clip], audio_root: str | Path) -> list[Clip]:
    """Find the files of all clips of a manifest at once; see ``ClipLocator``.

    Raises:
        ValueError: if there is no file for any of the clips.
    """
    return ClipLocator(clips, audio_root)(clips)


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
