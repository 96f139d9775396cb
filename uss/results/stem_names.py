"""Names of the files of stems: like what they hold, by UCS, or by a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from string import Formatter

from uss.audio import safe_file_name
from uss.audio.writing import MAX_NAME_BYTES
from uss.conditions.queries import Query
from uss.conditions.text_queries import TextQuery
from uss.core.errors import InputError
from uss.results import naming
from uss.results.ucs import REST, category_of

UCS = "ucs"
"""Stands for the template of the Universal Category System: CatID_FXName_CreatorID_SourceID."""
PLAIN = "{class}"
FIELDS = ("class", "stem", "catid", "group", "track")
_UCS_TEMPLATE = "{catid}_{fx}_USS_{stem}"
_RESIDUAL = "residual"


def check_stem_template(template: str) -> None:
    """Refuse what is no template of stems' file names.

    Fields: ``class``, what is in the stem, or ``residual``; ``stem``, the recording's name without
    its suffix; ``catid``, its category in UCS; ``group``, the folder, such as ``level2``;
    ``track``, of the film. ``ucs`` stands for a template of its own.

    Raises:
        ValueError: naming what is wrong, and the fields there are.
    """
    if template == UCS:
        return
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise _refusal(template, str(error)) from error
    for literal, name, spec, conversion in pieces:
        if "/" in literal:
            raise _refusal(
                template, "a slash makes a folder, and --name (without s) names the result's folder"
            )
        if safe_file_name(f"a{literal}a") != f"a{literal}a":
            raise _refusal(template, f"{literal!r} cannot be in a file name everywhere")
        if name in naming.FIELDS and name not in FIELDS:
            raise _refusal(template, f"{{{name}}} is of --name, which names the result's folder")
        if name is not None and name not in FIELDS:
            raise _refusal(template, f"there is no {{{name}}}")
        if spec or conversion:
            raise _refusal(template, f"{name} cannot be formatted so")
    if "class" not in {name for _, name, _, _ in pieces}:
        raise _refusal(template, "all stems would have one name; put {class} into it")


def _refusal(template: str, reason: str) -> InputError:
    listed = ", ".join(f"{{{name}}}" for name in FIELDS)
    return InputError(
        f"the names {template!r} of stems: {reason}; write {UCS}, or text with {listed}"
    )


@dataclass(frozen=True)
class StemNames:
    """How the files of a result's stems are called.

    Attributes:
        template: see ``check_stem_template``; None calls them like what they hold.
        recording: name of the file, without its suffix.
        track: which audio track of it.
    """

    template: str | None = None
    recording: str = ""
    track: int = 1

    def of_stem(self, query: Query, group: str, taken: set[str]) -> str:
        """Name the file of a stem, without suffix, as no other of the folder is.

        Args:
            query: what is in it.
            group: the folder.
            taken: names in it, in small letters; gets the new one.
        """
        base = self._made(query.name, category_of(mids_of(query)), group)
        marks = [safe_file_name(query.mid)] if query.mid else []
        names = chain([base], (f"{base} ({mark})" for mark in chain(marks, count(2))))
        return _taken_first(names, taken)

    def of_residual(self, group: str, taken: set[str]) -> str:
        """Name the file of the residual, likewise."""
        base = self._made(_RESIDUAL, REST, group)
        return _taken_first(chain([base], (f"{base} ({mark})" for mark in count(2))), taken)

    def _made(self, name: str, category: str, group: str) -> str:
        template = _UCS_TEMPLATE if self.template == UCS else self.template or PLAIN
        values = {
            "class": safe_file_name(name),
            # Underscores divide the parts of a name of UCS.
            "fx": safe_file_name(name.replace("_", " ")).replace("_", "-"),
            "catid": category,
            "group": group,
            "track": str(self.track),
        }
        # What is in the stem tells files apart, so a long name of the recording is cut instead.
        rest = len(template.format(stem="", **values).encode())
        room = max(0, MAX_NAME_BYTES - rest) // max(1, template.count("{stem}"))
        stem = safe_file_name(self.recording).encode()[:room].decode(errors="ignore")
        return safe_file_name(template.format(stem=stem, **values))


def mids_of(query: Query) -> Sequence[str]:
    """List the nodes that a query stands for; of words, what they mean most."""
    if query.mid:
        return (query.mid,)
    if isinstance(query, TextQuery):
        return tuple(each.mid for each in query.understood)
    return query.mids


def _taken_first(names: chain[str], taken: set[str]) -> str:
    name = next(name for name in names if name.casefold() not in taken)
    taken.add(name.casefold())
    return name
