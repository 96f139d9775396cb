"""What uss-separate refuses of its inputs before any work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

from pipelines.separate.summary import SUMMARY_NAME
from uss.core.errors import InputError
from uss.results.naming import check_distinct
from uss.results.recordings import Input


def check_names(recordings: Sequence[Path | Input]) -> None:
    """Refuse recordings whose results would lie in one folder.

    Args:
        recordings: all of a run.

    Raises:
        ValueError: naming the two.
    """
    inputs = [each for each in map(Input.of, recordings) if not each.path.is_dir()]
    for each in inputs:
        first = PurePath(each.folder_name).parts[0]
        if first.casefold() == SUMMARY_NAME and len(recordings) > 1:
            raise InputError(
                f"the folder for {each.path} would take the place of {first}; rename it"
            )
    check_distinct([(each.path, each.folder_name) for each in inputs])
