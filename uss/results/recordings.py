"""What is separated: a recording, or one track of it, under a name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from uss.audio.tracks import default_track, list_tracks
from uss.results.identity import Identity
from uss.results.naming import plain_name, result_names, uses_track


@dataclass(frozen=True)
class Input:
    """A recording and the name of its result.

    Attributes:
        path: the file.
        name: of the folder, below the output; None for that of the file without its suffix.
        track: which of its audio tracks; None for what the settings say.
        is_spooled: the file only holds what came through a pipe, as long as the run lasts.
    """

    path: Path
    name: str | None = None
    track: int | None = None
    is_spooled: bool = False

    @classmethod
    def of(cls, path: Path | Input) -> Input:
        """Take a file under its own name."""
        return path if isinstance(path, Input) else cls(path)

    @classmethod
    def named(cls, path: Path, template: str | None, track: int | None) -> Input:
        """Name the result as its recording is called, or by a template; see ``result_names``."""
        recording = cls(path)
        if template is None:
            return recording
        number = recording.chosen_track(track) if uses_track(template) else 1
        return cls(path, result_names([(path, PurePath())], template, number)[path])

    @property
    def folder_name(self) -> str:
        """The name of the folder of the result."""
        return plain_name(self.path) if self.name is None else self.name

    def chosen_track(self, track: int | None) -> int:
        """Tell which track is taken where the settings say ``track``, as ``AudioFile`` does."""
        chosen = self.track or track
        if chosen is None:
            return default_track(list_tracks(self.path)) if self.path.is_file() else 1
        return chosen

    def identity(self, track: int) -> Identity:
        """Which recording it is; what came through a pipe is known by the result's name.

        Raises:
            OSError: if it cannot be read.
        """
        own = Identity.of(self.path, track)
        return replace(own, path=self.folder_name, is_piped=True) if self.is_spooled else own


def of_track(recording: Input, track: int) -> str:
    """Call the result of one track of several."""
    return f"{recording.folder_name}.track{track}"


def with_all_tracks(
    inputs: Sequence[Input], named: Callable[[Input, int], str] = of_track
) -> list[Input]:
    """Put every audio track of a film in its place, as ``film.track1``, ``film.track2`` ...

    Files with one track, and those that cannot be read, keep their names.

    Args:
        inputs: the recordings.
        named: names the result of a track.
    """
    expanded: list[Input] = []
    for each in inputs:
        tracks = list_tracks(each.path) if each.path.is_file() else ()
        numbers = [track.number for track in tracks] if len(tracks) > 1 else []
        several = [replace(each, name=named(each, n), track=n) for n in numbers]
        expanded += several or [each]
    return expanded
