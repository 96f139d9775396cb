"""Bringing one file over HTTP to its place: resumed after a break, checked before it gets its name.

Of pooch this uses the hashing. Its ``retrieve`` writes to a file with a random name that it
deletes after an error, so a broken download could not be resumed; the transfer is therefore made
with requests.

Beside ``<file>`` lie, while they are needed, ``<file>.part`` (what has come so far) and
``<file>.part.etag`` (the server's name for the version the part belongs to).
"""

from __future__ import annotations

import logging
import os
import re
import sys
from dataclasses import dataclass
from http.client import IncompleteRead
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import pooch
import requests
from tqdm import tqdm

from uss.checkpoints.published import PublishedFile
from uss.core.errors import InputError

logger = logging.getLogger(__name__)

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 30.0
_CHUNK_BYTES = 1 << 16
"""The most that is lost when a connection breaks off."""
_OK, _PARTIAL, _RANGE_NOT_SATISFIABLE = 200, 206, 416
_CONTENT_RANGE = re.compile(r"bytes (?:(?P<start>\d+)-\d+|\*)/(?:(?P<total>\d+)|\*)")


@dataclass(frozen=True)
class Transfer:
    """One download, by a process that is alone with the file.

    Attributes:
        published: which file.
        url: where it is.
        path: where it is to go; the folder is there.
        progress: show a bar on stderr if that is a terminal.
    """

    published: PublishedFile
    url: str
    path: Path
    progress: bool

    @property
    def part(self) -> Path:
        """What has come so far."""
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def tag_file(self) -> Path:
        """The server's name for the version the part belongs to."""
        return self.path.with_name(f"{self.path.name}.part.etag")

    @property
    def by_hand(self) -> str:
        """The remedy where downloading does not help."""
        return f"get the file from {self.published.source} and put it at {self.path}"

    def run(self) -> None:
        """Bring the file to its place, complete and verified.

        Raises:
            ValueError: if what the server offers has the wrong size or hash.
            OSError: if the server cannot be reached or refuses, the connection breaks off, or the
                folder cannot be written.
        """
        start = self.part.stat().st_size if self.part.exists() else 0
        if start == 0 or start != self.published.size_bytes:
            self._complete_part(start)
        self._check_hash()
        os.replace(self.part, self.path)
        self.tag_file.unlink(missing_ok=True)

    def _complete_part(self, start: int) -> None:
        response = self._request(start)
        status = response.status_code
        if start and status in (_PARTIAL, _RANGE_NOT_SATISFIABLE):
            if not self._fits_part(response, start):
                response.close()
                logger.info("%s has changed at its address; starting over", self.published.name)
                start, response = 0, self._request(0)
            elif status == _RANGE_NOT_SATISFIABLE:
                response.close()
                return
        with response:
            if response.status_code == _OK:
                start = 0
            self._receive(response, start, self._total_bytes(response, start))

    def _request(self, start: int) -> requests.Response:
        # Compressed, neither ranges nor lengths would count the file's own bytes.
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        try:
            return requests.get(
                self.url, headers=headers, stream=True, timeout=(_CONNECT_SECONDS, _READ_SECONDS)
            )
        except requests.RequestException as error:
            # After a redirection it is another host than the address names.
            asked = getattr(error.request, "url", None) or self.url
            way = " through the proxy" if isinstance(error, requests.exceptions.ProxyError) else ""
            raise OSError(
                f"{self.published.name} is not in the cache and {urlsplit(asked).hostname} cannot "
                f"be reached{way} ({reason_of(error)}); download {self.url} elsewhere and put it "
                f"at {self.path}"
            ) from error

    def _fits_part(self, response: requests.Response, start: int) -> bool:
        """Whether a 206 continues the part, or a 416 says that nothing is missing.

        ETags are compared here rather than with If-Range, which some servers ignore and which
        does not allow weak ones.
        """
        span = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if span is None:
            return False
        known = self.tag_file.read_text("utf-8") if self.tag_file.exists() else ""
        same = not known or response.headers.get("ETag", known) == known
        reached = span["start" if response.status_code == _PARTIAL else "total"]
        return same and reached == str(start)

    def _total_bytes(self, response: requests.Response, start: int) -> int | None:
        """Return the size of the whole file, if anyone knows it; refuse what cannot be it."""
        if response.status_code != (_PARTIAL if start else _OK):
            raise OSError(
                f"{self.published.name} cannot be downloaded: {self.url} answers "
                f"{response.status_code} {response.reason}; try later, or {self.by_hand}"
            )
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise OSError(f"{self.url} leads to a web page instead of a file; {self.by_hand}")
        span = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        given = (span["total"] if span else None) or response.headers.get("Content-Length", "")
        offered = int(given) if given.isdecimal() else None
        size = self.published.size_bytes
        if size is not None and offered not in (None, size):
            raise InputError(
                f"{self.url} offers {offered:,} bytes, the published {self.published.name} has "
                f"{size:,}; {self.by_hand}"
            )
        return offered if size is None else size

    def _receive(self, response: requests.Response, start: int, total: int | None) -> None:
        """Append to the part, or write it anew, until the file is whole."""
        logger.info("downloading %s from %s to %s", self.published.name, self.url, self.path)
        received, cause = start, None
        try:
            with open(self.part, "ab" if start else "wb") as stream, self._bar(start, total) as bar:
                if not start:
                    self.tag_file.write_text(response.headers.get("ETag", ""), "utf-8")
                for chunk in response.iter_content(_CHUNK_BYTES):
                    stream.write(chunk)
                    received += len(chunk)
                    bar.update(len(chunk))
                    if total is not None and received > total:
                        break
                stream.flush()
                os.fsync(stream.fileno())
        except requests.RequestException as error:
            cause = error
        except OSError as error:
            raise OSError(
                f"{self.part} cannot be written ({reason_of(error)}); what has come is kept: make "
                "room and run again to resume"
            ) from error
        if cause is not None or (total is not None and received < total):
            of_total = "" if total is None else f" of {total:,}"
            raise OSError(
                f"{self.published.name}: the connection to {urlsplit(self.url).hostname} broke off "
                f"after {received:,}{of_total} bytes "
                f"({reason_of(cause) if cause else 'it ended early'}); run again to resume"
            ) from cause
        if total is not None and received > total:
            self._discard()
            raise InputError(
                f"{self.url} sent {received:,} bytes, the published {self.published.name} has "
                f"{total:,}; they were deleted; {self.by_hand}"
            )

    def _bar(self, start: int, total: int | None) -> tqdm[NoReturn]:
        return tqdm(
            initial=start,
            total=total,
            unit="B",
            unit_scale=True,
            desc=self.published.name,
            file=sys.stderr,
            disable=None if self.progress else True,
        )

    def _check_hash(self) -> None:
        expected = self.published.checksum
        algorithm = expected.partition(":")[0] if expected else "sha256"
        found = f"{algorithm}:{pooch.file_hash(str(self.part), alg=algorithm)}"
        if expected is None:
            logger.info(
                "%s has the checksum %s; the published one is not known, so it is not checked",
                self.published.name,
                found,
            )
        elif found != expected:
            self._discard()
            raise InputError(
                f"what {self.url} sent has the checksum {found}, the published "
                f"{self.published.name} {expected}; it was deleted: run again, or {self.by_hand}"
            )

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.tag_file.unlink(missing_ok=True)


def reason_of(error: BaseException) -> str:
    """Say in a few words what lies at the bottom of an error that wraps others."""
    if isinstance(error, IncompleteRead):
        return "it ended early"
    # Not __context__: it goes on to whatever the caller is handling.
    candidates = (error.__cause__, getattr(error, "reason", None), *error.args)
    for inner in candidates:
        if isinstance(inner, BaseException):
            return reason_of(inner)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
