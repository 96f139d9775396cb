"""Where shards lie: a folder, or any URL that fsspec knows (``s3://``, ``memory://``, ...)."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import fsspec
from fsspec.core import url_to_fs

from uss.core.errors import InputError
from uss.core.files import written_whole
from uss.shards.checksums import LINE_BYTES, blocks_of, stated_checksum

_MAX_OPEN = 128
_EXTRAS = {"s3": "s3", "s3a": "s3"}


class FileState(NamedTuple):
    """What can be known of a file without reading it.

    Attributes:
        size: in bytes.
        version: changes with the file: the time of its last change, or a store's own tag.
    """

    size: int
    version: str


class Span(NamedTuple):
    """Bytes [start, end) of a file of the folder."""

    name: str
    start: int
    end: int


def is_url(place: str | Path) -> bool:
    """Whether a place is a URL, such as ``s3://bucket/train`` or ``filecache::s3://...``."""
    text = str(place)
    return "://" in text or "::" in text


class ShardFiles:
    """The files of a folder or of a URL. Survives a change of process, by pickling or by a fork.

    Args:
        place: a folder, or a URL.

    Raises:
        ValueError: if fsspec does not know the URL's scheme or lacks what it needs.
    """

    def __init__(self, place: str | Path) -> None:
        text = str(place)
        if text.startswith("file://"):
            text = text.removeprefix("file://")
        self.place = text.rstrip("/") or text
        self.is_local = not is_url(text)
        self._open: OrderedDict[str, int] = OrderedDict()
        self._system: tuple[int, Any, str] | None = None
        if not self.is_local:
            self._remote()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict(), "_system": None}

    def __str__(self) -> str:
        return self.place

    def address(self, name: str) -> str:
        """Return the path or the URL of a file."""
        return f"{self.place}/{name}"

    def states(self) -> dict[str, FileState]:
        """List the files, with their states; nothing where there is no such place."""
        if self.is_local:
            try:
                with os.scandir(self.place) as entries:
                    found = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
            except FileNotFoundError:
                return {}
            return {name: FileState(at.st_size, str(at.st_mtime_ns)) for name, at in found}
        system, root = self._remote()
        with self._reported():
            try:
                system.invalidate_cache()
                entries = system.ls(root, detail=True)
            except FileNotFoundError:
                return {}
        return {
            entry["name"].rsplit("/", 1)[-1]: FileState(
                int(entry["size"]),
                str(entry.get("ETag") or entry.get("LastModified") or entry.get("created") or ""),
            )
            for entry in entries
            if entry["type"] == "file"
        }

    @contextmanager
    def opened(self, name: str) -> Iterator[BinaryIO]:
        """Open a file for reading anywhere in it.

        Raises:
            OSError: if there is none.
        """
        if self.is_local:
            with open(self.address(name), "rb") as file:
                yield file
        else:
            system, root = self._remote()
            with self._reported(), system.open(f"{root}/{name}", "rb") as file:
                yield file

    def blocks(self, name: str) -> Iterator[bytes]:
        """Read a whole file, block by block."""
        with self.opened(name) as file:
            yield from blocks_of(file)

    def content(self, name: str) -> bytes:
        """Read a whole file at once."""
        return b"".join(self.blocks(name))

    def read(self, spans: Sequence[Span]) -> list[bytes]:
        """Read pieces of files; from a URL all at the same time.

        Raises:
            OSError: if a file is missing or shorter.
        """
        if self.is_local:
            return [self._read_local(span) for span in spans]
        system, root = self._remote()
        with self._reported():
            return cast(
                list[bytes],
                system.cat_ranges(
                    [f"{root}/{span.name}" for span in spans],
                    [span.start for span in spans],
                    [span.end for span in spans],
                    on_error="raise",
                ),
            )

    def stated_checksums(self, sizes: dict[str, int]) -> dict[str, str | None]:
        """Read what files say of themselves, see ``uss.shards.checksums``.

        Args:
            sizes: of the files, by name.
        """
        spans = [
            Span(name, max(0, size - LINE_BYTES), size) for name, size in sizes.items() if size
        ]
        ends = self.read(spans) if spans else []
        stated = {
            span.name: stated_checksum(bytes(end)) for span, end in zip(spans, ends, strict=True)
        }
        return {name: stated.get(name) for name in sizes}

    def put(self, source: Path, name: str) -> None:
        """Bring a complete local file here; it appears when all of it is there."""
        if self.is_local:
            with (
                written_whole(self.address(name)) as part,
                source.open("rb") as read,
                part.open("wb") as written,
            ):
                for block in blocks_of(read):
                    written.write(block)
            return
        system, root = self._remote()
        with self._reported():
            system.put_file(str(source), f"{root}/{name}")

    def close(self) -> None:
        """Close the files."""
        for number in self._open.values():
            os.close(number)
        self._open.clear()

    def __del__(self) -> None:
        with suppress(OSError, AttributeError):
            self.close()

    def _read_local(self, span: Span) -> bytes:
        number = self._open.get(span.name)
        if number is None:
            number = os.open(self.address(span.name), os.O_RDONLY | getattr(os, "O_BINARY", 0))
            self._open[span.name] = number
            if len(self._open) > _MAX_OPEN:
                os.close(self._open.popitem(last=False)[1])
        else:
            self._open.move_to_end(span.name)
        size = span.end - span.start
        if hasattr(os, "pread"):
            # Processes that were forked share a file's position, which this does not use.
            piece = os.pread(number, size, span.start)
        else:
            os.lseek(number, span.start, os.SEEK_SET)
            piece = os.read(number, size)
        if len(piece) != size:
            raise OSError(f"{self.address(span.name)} ends before byte {span.end}")
        return piece

    def _remote(self) -> tuple[Any, str]:
        """Return the file system and the root in it, made anew in every process."""
        if self._system is None or self._system[0] != os.getpid():
            scheme = self.place.rsplit("::", 1)[-1].split("://", 1)[0]
            try:
                system, root = url_to_fs(self.place)
            except ImportError as error:
                extra = _EXTRAS.get(scheme)
                remedy = f"install the extra {extra!r}" if extra else "install what it names"
                raise InputError(f"{self.place}: {error}; {remedy}") from error
            except ValueError as error:
                known = ", ".join(sorted(fsspec.available_protocols()))
                raise InputError(f"{self.place}: {error}; give a folder or one of {known}") from (
                    error
                )
            self._system = (os.getpid(), system, str(root).rstrip("/"))
        return self._system[1], self._system[2]

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn the errors of stores, which know no common class, into one of ours."""
        try:
            yield
        except (OSError, InputError):
            raise
        except Exception as error:
            if type(error).__module__.split(".")[0] in ("botocore", "aiohttp", "fsspec", "s3fs"):
                raise InputError(
                    f"{self.place}: {error}; check the address, the network and the credentials"
                ) from error
            raise
