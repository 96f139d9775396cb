"""Links of Markdown that lies in the repository, turned into links of the site."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from pathlib import Path

_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
_FILES = "repository"
"""Where the site keeps files that its pages link to and that are no pages."""


class Links:
    """Knows where what a page links to lies on the site.

    Args:
        repository: its root.
        pages: where a Markdown file outside ``docs`` lies on the site, both relative.
    """

    def __init__(self, repository: Path, pages: Mapping[str, str]) -> None:
        self.repository = repository
        self.pages = pages
        self.files: dict[str, Path] = {}

    def rewritten(self, markdown: str, source: str, page: str) -> str:
        """Return a page's Markdown with links that hold on the site.

        Args:
            markdown: of the page.
            source: where it lies in the repository, such as ``docs/separation.md``.
            page: where it lies on the site, such as ``separation.md``.

        Files and folders that are linked and are no pages are noted in ``files``.

        Raises:
            ValueError: if a link leads to nothing.
        """

        def replace(match: re.Match[str]) -> str:
            target, anchor = match.group(1), match.group(2) or ""
            place = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
            return self._relative(place, page, source) + anchor

        return _LINK.sub(replace, markdown)

    def _relative(self, place: str, page: str, source: str) -> str:
        path = self.repository / place
        if not path.exists():
            raise ValueError(f"{source} links to {place}, which does not exist")
        if place in self.pages:
            goal = self.pages[place]
        elif place.startswith("docs/"):
            goal = place.removeprefix("docs/")
        elif path.is_dir():
            # A list of what is in it says more than a link that leads nowhere.
            goal = f"{_FILES}/{place}.txt"
            self.files[goal] = path
        else:
            goal = f"{_FILES}/{place}"
            self.files[goal] = path
        return posixpath.relpath(goal, posixpath.dirname(page) or ".")


def listing(folder: Path) -> str:
    """List the files of a folder, one a line with its size."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return "".join(f"{path.stat().st_size:>12,}  {path.name}\n" for path in files)
