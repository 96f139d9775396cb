"""What the results of a run may find where they go."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from uss.core.errors import InputError
from uss.results.bags import bag_names
from uss.results.earlier import PROVENANCE_NAME, VIEWS, EarlierResult
from uss.results.file_settings import FileSettings
from uss.results.folder import check_result_folder, check_room
from uss.results.identity import Identity
from uss.results.recordings import Input
from uss.results.result import RunSettings, SeparationResult


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What the results of a run may find where they go.

    Attributes:
        force: results of other recordings may be replaced.
        resume: results that are there already, of the same recording, model and settings, stay.
        sources: files that the run reads, with links resolved; no result may remove them.
    """

    force: bool = False
    resume: bool = False
    sources: frozenset[str] = frozenset()

    def owner(self, identity: Identity) -> Identity | None:
        """Say whose results may be replaced by this recording's; None for everybody's."""
        return None if self.force else identity

    def kept_result(
        self,
        output: Path,
        recording: Input,
        settings: RunSettings,
        *,
        is_bag: bool,
        any_precision: bool = False,
    ) -> SeparationResult | None:
        """Read the result that makes the work on a recording needless, if it may be kept.

        Args:
            output: the folder for results.
            recording: the file.
            settings: what its result would note.
            is_bag: the result is to be a bag, see ``uss.results.bags``.
            any_precision: nobody named the precision, so that any may be the result's.

        Raises:
            OSError, ValueError: if the recording cannot be read, or what is there is no result.
        """
        if not self.resume:
            return None
        earlier = EarlierResult.find(output / recording.folder_name)
        if earlier is None or earlier.is_bag != is_bag:
            return None
        size_bytes = recording.path.stat().st_size
        if not earlier.may_answer(size_bytes, settings, any_precision=any_precision):
            return None
        same = earlier.is_of(recording.identity(settings.track))
        return earlier.result() if same else None

    def check(
        self,
        output: Path,
        recording: Input,
        identity: Identity,
        settings: FileSettings,
        others: Sequence[str],
    ) -> EarlierResult | None:
        """Refuse before the work what the result must not replace.

        Args:
            output: the folder for results.
            recording: the file.
            identity: of it.
            settings: whether there will be stems, and a bag.
            others: files of the new result beside its stems and views.

        Returns:
            The earlier result, if there is one.

        Raises:
            ValueError: as ``check_result_folder``; or if the run reads a file of that result, stems
                would be lost, or another file is in the way.
        """
        earlier = check_result_folder(output, recording.folder_name, self.owner(identity))
        if earlier is None:
            return None
        if settings.detect_only and earlier.stems:
            # Stems took long to make.
            raise InputError(
                f"{earlier.folder} holds stems, which --detect-only would delete; choose another "
                "output folder"
            )
        self._check_sources(earlier)
        names = [*VIEWS, PROVENANCE_NAME, *others]
        check_room(earlier, bag_names(names) if settings.bag else names)
        return earlier

    def _check_sources(self, earlier: EarlierResult) -> None:
        folder = os.path.realpath(earlier.folder)
        for name in sorted(earlier.files):
            if os.path.join(folder, *name.split("/")) in self.sources:
                raise InputError(
                    f"{earlier.folder / name} is to be read, and belongs to the result that would "
                    "be replaced; choose another output folder or another --name"
                )


def resolved(paths: Iterable[Path]) -> frozenset[str]:
    """Resolve links, as ``Placement.sources`` wants it."""
    return frozenset(os.path.realpath(path) for path in paths)
