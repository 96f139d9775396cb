"""What MkDocs calls while it builds the site (``mkdocs.yml``)."""

from __future__ import annotations

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel

_REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_REPOSITORY), str(_REPOSITORY / "scripts")]

from site_pages.commands import command_pages  # noqa: E402
from site_pages.links import Links, listing  # noqa: E402

_PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "LICENSE": "licence.md",
    "NOTICE": "notice.md",
}
_MARKDOWN = ".md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside ``docs``, the commands' reference, and linked files."""
    links = Links(_REPOSITORY, _PAGES)

    def add(place: str, content: str | None = None, path: Path | None = None) -> None:
        if path is not None:
            files.append(File.generated(config, place, abs_src_path=str(path)))
        else:
            files.append(File.generated(config, place, content=content))

    for source, page in _PAGES.items():
        text = (_REPOSITORY / source).read_text(encoding="utf-8")
        if not source.endswith(_MARKDOWN):
            text = f"# {source.capitalize()}\n\n```text\n{text}\n```\n"
        add(page, _rewritten(links, text, source, page))
    for command, text in command_pages().items():
        add(f"reference/{command}.md", text)
    for file in list(files.documentation_pages()):
        if file.generated_by is None:
            text = file.content_string
            place = file.src_uri
            files.remove(file)
            add(place, _rewritten(links, text, f"docs/{place}", place))
    for place, path in links.files.items():
        if path.is_dir():
            add(place, listing(path))
        else:
            add(place, path=path)
        added = files.get_file_from_path(place)
        if added is not None and added.is_documentation_page():
            added.inclusion = InclusionLevel.NOT_IN_NAV
    return files


def _rewritten(links: Links, text: str, source: str, page: str) -> str:
    try:
        return links.rewritten(text, source, page)
    except ValueError as error:
        raise PluginError(str(error)) from error
