"""Names of results: like the file, or by a template, and none of them twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from string import Formatter

from uss.audio import safe_file_name
from uss.core.errors import InputError

FIELDS = ("stem", "name", "parent", "suffix", "track", "number")
_OF_STEMS = ("class", "catid", "group")
_UNSAFE = re.compile(r'[<>:"\\|?*\x00-\x1f]')
_NUMBER_FORMAT = re.compile(r"0?[1-9]?d?")


def result_names(
    recordings: Sequence[tuple[Path, PurePath]], template: str | None = None, track: int = 1
) -> dict[Path, str]:
    """Name the folder of each recording's result, relative to the output.

    Args:
        recordings: each with the folder that its result goes to, below the output.
        template: see ``check_template``; None calls results like their files.
        track: which audio track of them.

    Raises:
        ValueError: if the template is none.
    """
    if template is not None:
        check_template(template)
    return {
        path: (below / _name(template, path, track, number)).as_posix()
        for number, (path, below) in enumerate(recordings, start=1)
    }


def uses_track(template: str) -> bool:
    """Whether names by a template tell the tracks of a film apart.

    Raises:
        ValueError: if the template is none.
    """
    check_template(template)
    return any(name == "track" for _, name, _, _ in Formatter().parse(template))


def check_template(template: str) -> None:
    """Refuse what is no template of a relative folder's name on every file system.

    Fields: ``stem``, the file's name without its suffix; ``name``, with it; ``parent``, the folder
    it is in; ``suffix``, without the dot; ``track``; ``number``, of the input in the run, from 1,
    as in ``{number:03}``. A slash makes folders in folders.

    Raises:
        ValueError: naming what is wrong, and the fields there are.
    """
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise _refusal(template, str(error)) from error
    for literal, name, spec, conversion in pieces:
        if unsafe := _UNSAFE.search(literal):
            raise _refusal(template, f"{unsafe[0]!r} is in no file name everywhere")
        if name in _OF_STEMS:
            raise _refusal(template, f"{{{name}}} is of --names, which names the stems' files")
        if name is not None and name not in FIELDS:
            raise _refusal(template, f"there is no {{{name}}}")
        is_number = name in ("track", "number")
        if conversion or (spec and not (is_number and _NUMBER_FORMAT.fullmatch(spec))):
            raise _refusal(template, f"{name} cannot be formatted so")
    parts = template.split("/")
    if not template.strip() or any(part.strip() in ("", ".", "..") for part in parts):
        raise _refusal(template, "it must lead to a folder below the output")


def check_distinct(results: Sequence[tuple[Path, str]]) -> None:
    """Refuse recordings whose results would lie in one folder, or one in the other's.

    Names that differ only in case are one folder on some systems.

    Args:
        results: the file and the name of each.

    Raises:
        ValueError: naming the two, and what can be done.
    """
    seen: dict[str, Path] = {}
    for path, name in results:
        other = seen.setdefault(name.casefold(), path)
        if other is not path:
            raise InputError(
                f"{other} and {path} would both be written to the folder {name}; "
                f"{_remedy(_telling(other, path))}"
            )
    for path, name in results:
        for folder in PurePath(name.casefold()).parents:
            above = seen.get(folder.as_posix())
            if above is not None:
                raise InputError(
                    f"{path} would be written to {name}, into the result of {above}; "
                    f"{_remedy('{name}')}"
                )


def _telling(first: Path, second: Path) -> str:
    """Find a template that tells two files apart; what comes through a pipe lies in no folder."""
    if any(str(path) == "-" or path.is_relative_to("/dev") for path in (first, second)):
        return "{number} {stem}"
    if _values(first)["parent"] != _values(second)["parent"]:
        return "{parent}/{stem}"
    return "{name}" if first.name.casefold() != second.name.casefold() else "{number} {stem}"


def _remedy(template: str) -> str:
    return (
        f'tell them apart with --name "{template}", or separate them into different output folders'
    )


def plain_name(path: Path) -> str:
    """Call a result like its file."""
    # Of "...wav" the stem is "..".
    return path.stem if path.stem.strip(".") else safe_file_name(path.name)


def _name(template: str | None, path: Path, track: int, number: int) -> str:
    if template is None:
        return plain_name(path)
    values = {**_values(path), "track": track, "number": number}
    parts = [part.format(**values) for part in template.split("/")]
    # What of a name is no UTF-8 would be in no name everywhere.
    return "/".join(safe_file_name(part.encode(errors="replace").decode()) for part in parts)


def _values(path: Path) -> dict[str, str]:
    """Give what a template can say of a file; no slash is in any of it."""
    parent = path.parent.name
    if parent in ("", ".."):
        parent = path.parent.resolve().name
    return {
        "stem": path.stem,
        "name": path.name,
        "parent": parent,
        "suffix": path.suffix.removeprefix("."),
    }


def _refusal(template: str, reason: str) -> InputError:
    listed = ", ".join(f"{{{name}}}" for name in FIELDS)
    return InputError(f"the name {template!r}: {reason}; write text with {listed} and /")
