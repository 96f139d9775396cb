"""What is known of a file that its authors published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["separator", "tagger", "text encoder", "tokenizer"]

NO_ASSERTION = "NOASSERTION"
"""SPDX's word where nobody says under which licence something is."""

TASKS: Mapping[Kind, str] = {
    "separator": "separation",
    "tagger": "detection",
    "text encoder": "reading words",
    "tokenizer": "splitting words",
}
"""What each kind of file is for."""


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
        spdx: the same as an SPDX expression; ``NOASSERTION`` where nobody says.
        space: of the conditions that it takes or makes; None where it has to do with none.
        trained_on: what its authors say of its training data.
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
    spdx: str = NO_ASSERTION
    space: str | None = None
    trained_on: str = "not stated"
    needs: tuple[str, ...] = ()
