"""The folder of a result: complete under its name, or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uss.core.errors import InputError
from uss.results.part_folder import PartFolder


def check_result_folder(output: Path, name: str) -> None:
    """Refuse to replace what is no earlier result.

    Raises:
        ValueError: if ``output/name`` is something else, or ``output`` no folder.
    """
    final = output / name
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; choose a folder for the output")
    if final.exists() and not (final / "detections.json").is_file():
        raise InputError(
            f"{final} exists and is no earlier result; move it away or choose another output folder"
        )


@contextmanager
def result_folder(output: Path, name: str) -> Iterator[Path]:
    """Yield a temporary folder that replaces ``output/name`` when all went well.

    Raises:
        OSError: if the disk is full or ``output`` cannot be written to.
        ValueError: as ``check_result_folder``.
    """
    check_result_folder(output, name)
    final = output / name
    is_new = not output.exists()
    output.mkdir(parents=True, exist_ok=True)
    growing = PartFolder(output, name)
    part = growing.path
    try:
        yield part
        part.chmod(0o755)
        _replace_folder(part, final, growing.earlier)
        growing.release()
    except BaseException as error:
        growing.discard()
        if is_new and not any(output.iterdir()):
            output.rmdir()
        if isinstance(error, OSError) and str(part) in str(error):
            # The temporary folder is gone, and nobody knows its name.
            raise OSError(str(error).replace(str(part), str(final))) from error
        raise


def _replace_folder(new: Path, final: Path, old: Path) -> None:
    """Rename a folder over another, which comes back from ``old`` if that fails."""
    if final.exists():
        os.replace(final, old)
    try:
        os.replace(new, final)
    except OSError:
        if old.exists():
            os.replace(old, final)
        raise
    if old.is_symlink():
        old.unlink()
    shutil.rmtree(old, ignore_errors=True)
