"""The groups of a result: stems of one group add up with its residual and share a folder."""

from __future__ import annotations

from uss.core.errors import InputError

NAMED_GROUP = "queries"
"""What the user named."""

_LEVEL_GROUP = "level"


def group_of(level: int | None) -> str:
    """Name the group, and folder, of what was found at a level; None for what the user named."""
    return NAMED_GROUP if level is None else f"{_LEVEL_GROUP}{level}"


def level_of(group: str) -> int | None:
    """Tell the level of a group; None for what the user named.

    Raises:
        ValueError: if there is no such group.
    """
    digits = group.removeprefix(_LEVEL_GROUP)
    if group == NAMED_GROUP:
        return None
    if digits == group or not digits.isdecimal():
        raise InputError(f"there is no group {group!r}; groups are queries, level1, level2, ...")
    return int(digits)
