"""Finding a data set's files where its archives put them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def find_prefix(folder: Path, wanted: str, prefixes: Sequence[str], remedy: str) -> str:
    """Find which folder below the user's holds a data set.

    Args:
        folder: that the user named.
        wanted: a file or folder of the data set.
        prefixes: folders in which it may lie, each with a slash at its end; empty for none.
        remedy: what to do, for the error message.

    Returns:
        The prefix.

    Raises:
        FileNotFoundError: if it is in none of them.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; {remedy}")
    for prefix in prefixes:
        if (folder / prefix / wanted).exists():
            return prefix
    raise FileNotFoundError(f"{folder} holds no {wanted}; {remedy}")


def files_below(folder: Path, subfolder: str, suffix: str) -> list[str]:
    """List files of one folder, relative to the user's, in the order of their names.

    Hidden files, such as macOS leaves beside unpacked ones, are left out.
    """
    return sorted(
        path.relative_to(folder).as_posix()
        for path in (folder / subfolder).glob(f"*{suffix}")
        if path.is_file() and not path.name.startswith(".")
    )
