"""What is separated: a recording, or one track of it, under a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uss.audio.tracks import list_tracks


@dataclass(frozen=True)
class Input:
    """A recording and the name of its result.

    Attributes:
        path: the file.
        name: of the folder; None for that of the file without its suffix.
        track: which of its audio tracks; None for what the settings say.
    """

    path: Path
    name: str | None = None
    track: int | None = None

    @classmethod
    def of(cls, path: Path | Input) -> Input:
        """Take a file under its own name."""
        return path if isinstance(path, Input) else cls(path)

    @property
    def folder_name(self) -> str:
        """The name of the folder of the result."""
        return self.path.stem if self.name is None else self.name


def with_all_tracks(inputs: Sequence[Input]) -> list[Input]:
    """Put every audio track of a film in its place, as ``film.track1``, ``film.track2`` ...

    Files with one track, and those that cannot be read, keep their names.
    """
    expanded: list[Input] = []
    for each in inputs:
        tracks = list_tracks(each.path) if each.path.is_file() else ()
        numbers = [track.number for track in tracks] if len(tracks) > 1 else []
        named = [Input(each.path, f"{each.folder_name}.track{n}", n) for n in numbers]
        expanded += named or [each]
    return expanded
