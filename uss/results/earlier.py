"""What lies where a result is going to be: an earlier result, and which files are its own."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from uss.core.errors import InputError
from uss.results.bags import DECLARATION, PAYLOAD, are_tags_whole, is_bag, payload_names, tag_files
from uss.results.fingerprints import first_changed
from uss.results.identity import Identity
from uss.results.result import RECORD_NAME, RunSettings, SeparationResult, result_of

logger = logging.getLogger(__name__)

VIEWS = (RECORD_NAME, "timeline.png", "report.html")
"""What every result has, beside its stems; earlier versions had no more."""
PROVENANCE_NAME = "provenance.json"
"""What every result has too."""


@dataclass(frozen=True)
class EarlierResult:
    """A result that is there.

    Attributes:
        folder: its own; a bag has its files in ``data``.
        content: of ``detections.json``.
        is_bag: see ``uss.results.bags``.
    """

    folder: Path
    content: Mapping[str, Any]
    is_bag: bool = False

    @classmethod
    def find(cls, folder: Path) -> EarlierResult | None:
        """Read what is there.

        Returns:
            None if there is nothing.

        Raises:
            ValueError: if what is there is no result.
        """
        if not os.path.lexists(folder):
            return None
        content, in_bag = _read_record(folder / RECORD_NAME), False
        if content is None and is_bag(folder):
            content, in_bag = _read_record(folder / PAYLOAD / RECORD_NAME), True
        if content is None:
            raise InputError(
                f"{folder} exists and is no earlier result; move it away or choose another output "
                "folder"
            )
        return cls(folder, content, in_bag)

    @property
    def files(self) -> frozenset[str]:
        """Its own files, relative to its folder; whatever else lies there is somebody else's.

        Earlier versions did not list them: then they are the stems, residuals and views. Their
        copy of a film is not among them, as it is called like the film, which may lie there too.
        """
        if not self.is_bag:
            return self._listed
        return payload_names(self._listed) | tag_files(self.folder)

    @property
    def last_files(self) -> frozenset[str]:
        """Those of its files that tell that it is a result; without them it is none."""
        if self.is_bag:
            return payload_names([RECORD_NAME]) | {DECLARATION}
        return frozenset({RECORD_NAME})

    @property
    def _listed(self) -> frozenset[str]:
        """What the record lists, relative to it."""
        listed = self.content.get("files")
        names = listed if isinstance(listed, list) and listed else [*VIEWS, *self.stems]
        return _inside([*names, RECORD_NAME])

    @property
    def stems(self) -> frozenset[str]:
        """Files of stems and residuals, relative to the record."""
        return _inside(_stems(self.content))

    @property
    def identity(self) -> Identity | None:
        """Which recording it is of; earlier versions did not note that."""
        noted = self.content.get("identity")
        try:
            return Identity(**noted) if isinstance(noted, dict) else None
        except TypeError:
            return None

    def is_of(self, identity: Identity) -> bool:
        """Whether it is of this recording, as far as can be told.

        What earlier versions wrote tells the name of the file and the track.
        """
        own = self.identity
        if own is not None:
            return own.is_same_recording(identity)
        name = self.content.get("input", Path(identity.path).name)
        return bool(name == Path(identity.path).name and self._track == identity.track)

    def check_replaceable(self, identity: Identity) -> None:
        """Refuse to replace it by the result of another recording.

        Raises:
            ValueError: naming both, and what can be done.
        """
        if self.is_of(identity):
            return
        own = self.identity
        held = own.path if own else str(self.content.get("input"))
        template = '"{parent}/{stem}"'
        if own and own.has_content_of(identity):
            held, template = f"audio track {own.track} of {held}", '"{stem} {track}"'
        elif own is None and self._track != identity.track:
            held, template = f"audio track {self._track} of {held}", '"{stem} {track}"'
        elif identity.is_piped:
            # What comes through a pipe has no name and lies in no folder.
            template = "with a name of your own"
        elif held == identity.path:
            held += ", which held something else then"
        raise InputError(
            f"{identity.path}: {self.folder} is the result of another recording, {held}; --name "
            f"{template} or another output folder keeps both, --force replaces it"
        )

    def may_answer(
        self, size_bytes: int, settings: RunSettings, *, any_precision: bool = False
    ) -> bool:
        """Whether the same separation of a file of this size could give it again, complete.

        Its files must be there, as they were written; of versions that noted no fingerprints that
        cannot be told, and those that noted no events had whole segments in their place. Then only
        reading the file tells whether it is the same recording.
        """
        noted = self.content.get("fingerprints")
        return (
            isinstance(noted, dict)
            and self._has_events
            and not self.content.get("missing")
            and {*self._listed, *VIEWS} <= {*noted, RECORD_NAME}
            and self._may_be_of(size_bytes, settings, any_precision)
            and self._is_as_written(noted)
        )

    def _is_as_written(self, noted: Mapping[str, Any]) -> bool:
        place = self.folder / PAYLOAD if self.is_bag else self.folder
        changed = first_changed(place, noted)
        if changed is not None:
            logger.info("%s is not as it was written; it is made again", place / changed)
        return changed is None and (not self.is_bag or are_tags_whole(self.folder))

    @property
    def _has_events(self) -> bool:
        stems = self.content.get("stems")
        return isinstance(stems, list) and all(
            isinstance(stem, dict) and "events" in stem for stem in stems
        )

    def _may_be_of(self, size_bytes: int, settings: RunSettings, any_precision: bool) -> bool:
        own = self.content.get("settings")
        wanted = json.loads(json.dumps(asdict(settings)))
        if any_precision and isinstance(own, dict):
            wanted["precision"] = own.get("precision")
        return (
            self.identity is not None and self.identity.size_bytes == size_bytes and own == wanted
        )

    def result(self) -> SeparationResult:
        """Read it; one that ``may_answer`` has all that is read."""
        return result_of(self.content)

    @property
    def _track(self) -> int:
        settings = self.content.get("settings")
        track = settings.get("track") if isinstance(settings, dict) else None
        return track if isinstance(track, int) else 1


def _read_record(path: Path) -> Mapping[str, Any] | None:
    """Read ``detections.json``; None if that is no file of ours, whoever wrote it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    is_ours = isinstance(content, dict) and ("stems" in content or not content)
    return content if is_ours else None


def _stems(content: Mapping[str, Any]) -> Iterator[object]:
    stems, residuals = content.get("stems"), content.get("residuals")
    if isinstance(stems, list):
        yield from (stem.get("file") for stem in stems if isinstance(stem, dict))
    if isinstance(residuals, dict):
        yield from residuals.values()


def _inside(names: Iterable[object]) -> frozenset[str]:
    """Take the files that lie in the folder: a list can be changed by hand, or by an enemy."""
    relative = [name for name in names if isinstance(name, str) and name]
    return frozenset(
        name
        for name in relative
        for posix, windows in [(PurePosixPath(name), PureWindowsPath(name))]
        if not (posix.anchor or windows.anchor or ".." in (*posix.parts, *windows.parts))
    )
