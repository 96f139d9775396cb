"""Sessions by the name of their format: which there are, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from uss.core.errors import InputError
from uss.core.files import fitting_name
from uss.interchange.aaf import write_aaf
from uss.interchange.edl import write_edl
from uss.interchange.hand_over import HandOver
from uss.interchange.otio_timelines import check_packages, write_otio
from uss.interchange.reaper import write_reaper


@dataclass(frozen=True)
class SessionFormat:
    """A format of sessions.

    Attributes:
        suffix: of its files.
        write: writes a result with stems into a file that lies in the folder of the result.
    """

    suffix: str
    write: Callable[[HandOver, Path], None]


SESSION_FORMATS: Mapping[str, SessionFormat] = {
    "reaper": SessionFormat(".rpp", write_reaper),
    "otio": SessionFormat(".otio", write_otio),
    "aaf": SessionFormat(".aaf", write_aaf),
    "edl": SessionFormat(".edl", write_edl),
}


def check_session_formats(formats: Iterable[str]) -> None:
    """Refuse formats that there are not, or whose packages are not installed.

    Raises:
        ValueError: naming those there are, or the package.
    """
    for name in formats:
        if name not in SESSION_FORMATS:
            raise InputError(f"no session format {name!r}; choose {', '.join(SESSION_FORMATS)}")
        check_packages(name)


def session_file(stem: str, name: str) -> str:
    """Call the session of a recording.

    Args:
        stem: how the recording is called.
        name: of the format.
    """
    return fitting_name(stem, SESSION_FORMATS[name].suffix)
