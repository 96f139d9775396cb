"""What in a result's folder is not the result's own, and how it stays when the result goes."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from uss.core.errors import InputError
from uss.results.bags import DECLARATION, check_payload
from uss.results.earlier import EarlierResult

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeptEntries:
    """What is not the result's own, relative to its folder, folders before what is in them.

    Attributes:
        folders: those that hold nothing of the result.
        files: files, and links to whatever.
    """

    folders: tuple[str, ...]
    files: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.folders or self.files)


def kept_entries(folder: Path, owned: frozenset[str]) -> KeptEntries:
    """List what is not the result's own.

    Links to folders are entries like files: what lies behind them is never looked at.
    """
    shared = _folders_of(owned)
    folders: list[str] = []
    files: list[str] = []
    for relative, is_folder in _entries(folder):
        if is_folder and relative not in shared:
            folders.append(relative)
        elif not is_folder and relative not in owned:
            files.append(relative)
    return KeptEntries(tuple(folders), tuple(files))


def check_free(folder: Path, kept: KeptEntries, files: Iterable[str]) -> None:
    """Refuse to write over what is not the result's own, or to take it into a bag.

    Raises:
        ValueError: naming the first such file.
    """
    new = frozenset(files)
    if DECLARATION in new:
        check_payload(folder, kept.files)
    in_the_way = sorted({*kept.files} & {*new, *_folders_of(new)} | {*kept.folders} & new)
    if in_the_way:
        raise InputError(
            f"{folder / in_the_way[0]} is none of the earlier result's files, and in the way of "
            "the new one's; move it away or choose another output folder"
        )


def link_over(folder: Path, kept: KeptEntries, new: Path) -> None:
    """Give entries of a folder a second name in a new one.

    Where the file system knows no hard links the files are left to ``settle``, which moves them.
    """
    for relative in kept.folders:
        (new / relative).mkdir(parents=True, exist_ok=True)
    for relative in kept.files:
        source, target = folder / relative, new / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError, NotImplementedError):
            if source.is_symlink():
                target.symlink_to(os.readlink(source))
            else:
                os.link(source, target)
    # Now that nothing more comes into them: they may be read-only, and have times of change.
    for relative in reversed(kept.folders):
        shutil.copystat(folder / relative, new / relative)


def settle(old: Path, final: Path) -> None:
    """End the exchange of a result's folder, also one that was broken off.

    Args:
        old: where the replaced result was put; it goes, or comes back if there is no new one. What
            else lies there moves to the new one, if ``link_over`` has not already named it there.
        final: the result's place.

    Raises:
        OSError: if the old result cannot come back.
    """
    if not os.path.lexists(old):
        return
    if not os.path.lexists(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        os.replace(old, final)
        return
    # The new result is there: what fails now is no failure of it.
    with suppress(OSError):
        if old.is_symlink():
            old.unlink()
        else:
            _discard(old, final)
    if os.path.lexists(old):
        logger.warning("%s holds files that could not be moved to %s", old, final)


def _discard(old: Path, final: Path) -> None:
    """Remove what a result owns, last the list that says so, and all that was left empty."""
    try:
        earlier = EarlierResult.find(old)
    except InputError:
        earlier = None
    owned = earlier.files if earlier else frozenset()
    last = earlier.last_files if earlier else frozenset()
    entries = [entry for entry in _entries(old) if earlier and entry[0] not in last]
    for relative, is_folder in reversed(entries):
        with suppress(OSError):
            if is_folder:
                (old / relative).rmdir()
            elif relative in owned or _is_same(old / relative, final / relative):
                (old / relative).unlink()
            elif not os.path.lexists(final / relative):
                (final / relative).parent.mkdir(parents=True, exist_ok=True)
                os.replace(old / relative, final / relative)
    left = [*_entries(old)]
    if earlier and {name for name, is_folder in left if not is_folder} <= last:
        for name, is_folder in reversed(left):
            (old / name).rmdir() if is_folder else (old / name).unlink()
    old.rmdir()


def _is_same(first: Path, second: Path) -> bool:
    """Whether both are names of one file, or links with one target."""
    if not os.path.lexists(second):
        return False
    if first.is_symlink() and second.is_symlink():
        return os.readlink(first) == os.readlink(second)
    return os.path.samestat(first.lstat(), second.lstat())


def _folders_of(files: Iterable[str]) -> frozenset[str]:
    """All folders that files lie in, relative like them."""
    return frozenset(
        parent.as_posix() for name in files for parent in PurePosixPath(name).parents
    ) - {"."}


def _entries(folder: Path) -> Iterator[tuple[str, bool]]:
    """Relative path, and whether it is a folder, of all below one; a folder before its content."""
    waiting = [""]
    while waiting:
        base = waiting.pop()
        with os.scandir(folder / base) as listing:
            for entry in sorted(listing, key=lambda each: each.name):
                relative = f"{base}{entry.name}"
                is_folder = entry.is_dir(follow_symlinks=False)
                yield relative, is_folder
                if is_folder:
                    waiting.append(f"{relative}/")
