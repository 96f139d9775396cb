"""What is known of a file that its authors published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["separator", "tagger", "text encoder", "tokenizer"]


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """One checkpoint as its authors published it.

    Attributes:
        name: what users call it here.
        kind: what the file holds; a ``separator`` may bring its query network along.
        file_name: what the file is called in the cache.
        published_name: what the file is called where it is published.
        url: direct address, or None where only a person with a browser gets at it.
        size_bytes: its size, or None if unknown.
        checksum: ``sha256:`` or ``md5:`` and the digits, whichever is known to be the publisher's;
            or None.
        source: a page where people find the file.
        licence: what its source says about its use, or None if that is unknown.
        needs: names of other published files that it does not work without.
    """

    name: str
    kind: Kind
    file_name: str
    published_name: str
    url: str | None
    size_bytes: int | None = None
    checksum: str | None = None
    source: str
    licence: str | None = None
    needs: tuple[str, ...] = ()
