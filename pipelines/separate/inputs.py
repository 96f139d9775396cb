"""What uss-separate refuses of its inputs before any work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.separate.summary import SUMMARY_NAME
from uss.core.errors import InputError
from uss.results.recordings import Input


def check_names(recordings: Sequence[Path | Input]) -> None:
    """Refuse recordings whose results would lie in one folder.

    Names that differ only in case are one folder on some systems.

    Raises:
        ValueError: naming the two.
    """
    seen: dict[str, Path] = {}
    for each in map(Input.of, recordings):
        path, name = each.path, each.folder_name
        if path.is_dir():
            continue
        if name.casefold() == SUMMARY_NAME and len(recordings) > 1:
            raise InputError(f"the folder for {path} would take the place of {name}; rename it")
        other = seen.setdefault(name.casefold(), path)
        if other is not path:
            raise InputError(
                f"{other} and {path} would both be written to the folder {name}; "
                "separate them into different output folders"
            )
