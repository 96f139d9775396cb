"""The folder of a result: complete under its name, or not there; what else lies in it stays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from uss.core.errors import InputError
from uss.results.earlier import EarlierResult
from uss.results.identity import Identity
from uss.results.locking import folder_locked
from uss.results.ownership import check_free, kept_entries, link_over, settle
from uss.results.part_folder import PartFolder


def check_result_folder(
    output: Path, name: str, identity: Identity | None = None
) -> EarlierResult | None:
    """Refuse to replace what is no earlier result, or one of another recording.

    Args:
        output: the folder for results.
        name: of the result's folder in it; may lie deeper, as in ``tape/scene``.
        identity: of the recording; None if any result may be replaced.

    Returns:
        The earlier result, if there is one.

    Raises:
        ValueError: if ``output/name`` is something else, or its parent is no folder.
    """
    final = output / name
    for folder in (output, *list(final.parents)[: len(Path(name).parts) - 1]):
        if os.path.lexists(folder) and not folder.is_dir():
            raise InputError(f"{folder} is a file; choose a folder for the output")
    earlier = EarlierResult.find(final)
    if earlier is not None:
        if identity is not None:
            earlier.check_replaceable(identity)
        if final.is_symlink() and kept_entries(final, earlier.files):
            raise InputError(
                f"{final} is a link to a folder with other files than the result's; "
                "remove the link or choose another output folder"
            )
    return earlier


@contextmanager
def result_folder(output: Path, name: str, identity: Identity | None = None) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``output/name`` when all went well.

    Files of an earlier result there are removed, all others stay.

    Args:
        output: see ``check_result_folder``.
        name: likewise.
        identity: likewise.

    Raises:
        OSError: if the disk is full or ``output`` cannot be written to.
        ValueError: as ``check_result_folder``; or if another file is in the way of a new one.
    """
    check_result_folder(output, name, identity)
    final = output / name
    is_new = not output.exists()
    output.mkdir(parents=True, exist_ok=True)
    growing = PartFolder(output, name)
    part = growing.path
    try:
        yield part
        part.chmod(0o755)
        with folder_locked(output):
            # Another run may have written a result meanwhile.
            earlier = check_result_folder(output, name, identity)
            _replace_folder(part, final, earlier, growing.earlier)
        growing.release()
    except BaseException as error:
        growing.discard()
        if is_new and not any(output.iterdir()):
            output.rmdir()
        if isinstance(error, OSError) and str(part) in str(error):
            # The temporary folder is gone, and nobody knows its name.
            raise OSError(str(error).replace(str(part), str(final))) from error
        raise


def check_room(earlier: EarlierResult | None, files: Iterable[str]) -> None:
    """Refuse to write over what lies in the folder of an earlier result and is not its own.

    Args:
        earlier: the result that is going to be replaced, if any.
        files: of the new one.

    Raises:
        ValueError: naming the first file that is in the way.
    """
    if earlier is not None:
        check_free(earlier.folder, kept_entries(earlier.folder, earlier.files), files)


def written_files(folder: Path) -> tuple[str, ...]:
    """List all files below a folder, relative to it, sorted."""
    return tuple(
        sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    )


def _replace_folder(new: Path, final: Path, earlier: EarlierResult | None, old: Path) -> None:
    """Rename a folder over the earlier result's.

    Two renames, so that at every moment the old or the new result lies complete in one folder;
    file by file, a kill would leave some stems of each. What is not the result's own is linked into
    the new folder before, so it is under its name all the time but between the renames, and
    removing either folder never takes the last link.
    """
    if earlier is None:
        final.parent.mkdir(parents=True, exist_ok=True)
        os.replace(new, final)
        return
    kept = kept_entries(final, earlier.files)
    check_free(final, kept, written_files(new))
    link_over(final, kept, new)
    try:
        os.replace(final, old)
        os.replace(new, final)
    finally:
        settle(old, final)
