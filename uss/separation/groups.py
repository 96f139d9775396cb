"""The groups of a result: stems of one group add up with its residual and share a folder."""

from __future__ import annotations

import re

from uss.audio import safe_file_name
from uss.core.errors import InputError

NAMED_GROUP = "queries"
"""What the user named."""
BLIND_GROUP = "blind"
"""What a blind separator gives of itself; no preset can be beside it."""

_LEVEL_GROUP = "level"
# What is called like a level, or nearly like what the user named, is none.
_PRESET_GROUP = re.compile(rf"(?!{_LEVEL_GROUP}|quer(y|ies)$)[^\W\d_][\w -]*", re.IGNORECASE)


def group_of(level: int | None) -> str:
    """Name the group, and folder, of what was found at a level; None for what the user named."""
    return NAMED_GROUP if level is None else f"{_LEVEL_GROUP}{level}"


def level_of(group: str) -> int | None:
    """Tell the level of a group; None for what the user named, and for a preset's.

    Raises:
        ValueError: if there is no such group.
    """
    digits = group.removeprefix(_LEVEL_GROUP)
    if group == NAMED_GROUP or _can_be_preset(group):
        return None
    if digits == group or not digits.isdecimal():
        raise InputError(
            f"there is no group {group!r}; groups are queries, level1, level2, ... and presets"
        )
    return int(digits)


def check_preset_name(name: str) -> None:
    """Refuse the name of a preset that cannot be a group's.

    Raises:
        InputError: if it can be no folder's, or is that of another group.
    """
    if not _can_be_preset(name):
        raise InputError(
            f"no preset can be called {name!r}; begin with a letter, go on with letters, digits, "
            f"blanks and hyphens, and take neither {NAMED_GROUP} nor {_LEVEL_GROUP}"
        )


def _can_be_preset(name: str) -> bool:
    return _PRESET_GROUP.fullmatch(name) is not None and safe_file_name(name) == name
