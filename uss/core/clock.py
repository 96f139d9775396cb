"""Times as people write them."""

from __future__ import annotations

import re

from uss.core.errors import InputError

_TIME = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)")


def parse_time(text: str) -> float:
    """Read ``1:02:03.5``, ``62:03.5`` or ``3723.5`` as seconds.

    Raises:
        ValueError: if it is none of these.
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{text!r} is no time; give seconds (90.5) or h:mm:ss (0:01:30.5)")
    hours, minutes, seconds = (float(each or 0.0) for each in found.groups())
    if (found.group(2) and seconds >= 60.0) or (found.group(1) and minutes >= 60.0):
        raise InputError(f"{text!r} has more than 59 minutes or seconds; carry them over")
    return 3600.0 * hours + 60.0 * minutes + seconds


def format_time(seconds: float) -> str:
    """Write seconds as ``h:mm:ss``, with as many decimals as it takes, three at most."""
    minutes, milliseconds = divmod(round(1000.0 * seconds), 60_000)
    hours, minutes_left = divmod(minutes, 60)
    text = f"{hours}:{minutes_left:02}:{milliseconds / 1000.0:06.3f}"
    return text.rstrip("0").removesuffix(".") if "." in text else text
