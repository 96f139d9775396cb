"""The records of an evaluation, kept as they are made, so that it can be stopped and go on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

from uss.core.errors import InputError

Progress: TypeAlias = Callable[[int, int], None]
"""Called with how many records there are, from earlier runs as well, and how many there will be."""

_JOURNAL_NAME = "results.jsonl"
_RESULTS = ("results.json", "results.csv", "classes.png")


class Journal:
    """A file of one JSON object per line: first the settings, then the records.

    It ends in ``.part`` until ``finish``.

    Args:
        path: of the finished file, ``.jsonl``.
        settings: what the records depend on; those of an earlier run count only if they are equal.

    Attributes:
        records: those of earlier runs and of this one, in their order.

    Raises:
        InputError: if there is a journal of other settings, or a file that is none.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        # As they come back from JSON.
        self._settings: dict[str, Any] = json.loads(json.dumps(dict(settings)))
        self.records: list[dict[str, Any]] = []
        self._num_bytes = 0
        earlier = next((file for file in (self._part, path) if file.exists()), None)
        if earlier is None:
            return
        *lines, rest = earlier.read_bytes().split(b"\n")
        if not lines and earlier == path:
            raise _foreign(path)
        contents = [self._parse(earlier, line) for line in lines]
        if contents:
            self._check_settings(earlier, contents[0])
        self.records = contents[1:]
        # What follows is the line that was being written when the run was stopped.
        self._num_bytes = earlier.stat().st_size - len(rest)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record; it survives a kill from here on."""
        if self._path.exists() and not self._part.exists():
            os.replace(self._path, self._part)
        with self._part.open("r+b" if self._part.exists() else "wb") as file:
            file.truncate(self._num_bytes)
            file.seek(self._num_bytes)
            if self._num_bytes == 0:
                file.write(_line(self._settings))
            file.write(_line(record))
            self._num_bytes = file.tell()
        self.records.append(dict(record))

    def finish(self) -> None:
        """Give the file its final name."""
        if self._part.exists():
            os.replace(self._part, self._path)

    def _check_settings(self, file: Path, found: Mapping[str, Any]) -> None:
        keys = [
            key
            for key in sorted({*found, *self._settings})
            if found.get(key) != self._settings.get(key)
        ]
        if keys:
            raise InputError(
                f"{file} belongs to an evaluation with other settings ({', '.join(keys)}); choose "
                "another output folder, or delete the old one"
            )

    @staticmethod
    def _parse(file: Path, line: bytes) -> dict[str, Any]:
        try:
            content = json.loads(line)
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise _foreign(file)
        return content


@contextmanager
def output_folder(output: Path) -> Iterator[None]:
    """Remove a folder again that was made in the block and holds nothing, if the block raises."""
    missing = [each for each in (output, *output.parents) if not each.exists()]
    try:
        yield
    except BaseException:
        for each in missing:
            with suppress(OSError):
                each.rmdir()
        raise


def open_journal(output: Path, settings: Mapping[str, Any]) -> Journal:
    """Make the output folder if it is missing, and open the journal in it.

    Raises:
        OSError, InputError: if the folder is none, or holds something else or other results.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; choose another output folder")
    for name in (*_RESULTS, _JOURNAL_NAME):
        if (output / name).is_dir():
            raise InputError(f"{output / name} is a folder; choose another output folder")
    output.mkdir(parents=True, exist_ok=True)
    return Journal(output / _JOURNAL_NAME, settings)


def no_progress(done: int, total: int) -> None:
    """Show nothing."""


def _foreign(file: Path) -> InputError:
    return InputError(f"{file} is no journal of an evaluation; choose another output folder")


def _line(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode() + b"\n"
