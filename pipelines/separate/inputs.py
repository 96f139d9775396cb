"""What uss-separate refuses of its inputs before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from pipelines.separate.summary import SUMMARY_NAME
from uss.core.errors import InputError
from uss.results.naming import check_distinct, result_names


def check_names(recordings: Sequence[Path], names: Mapping[Path, str] | None = None) -> None:
    """Refuse recordings whose results would lie in one folder.

    Args:
        recordings: all of a run.
        names: of their results; like the files if None.

    Raises:
        ValueError: naming the two.
    """
    named = names or result_names([(path, PurePath()) for path in recordings])
    files = [path for path in recordings if not path.is_dir()]
    for path in files:
        first = PurePath(named[path]).parts[0]
        if first.casefold() == SUMMARY_NAME and len(recordings) > 1:
            raise InputError(f"the folder for {path} would take the place of {first}; rename it")
    check_distinct(files, named)
