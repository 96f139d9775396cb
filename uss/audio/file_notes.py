"""What a written file says of itself beside its sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class FileNotes:
    """What a written file says of itself.

    Attributes:
        tags: ``title``, ``artist``, ``date`` and ``isrc``, in the order in which they are written.
        description: what it is.
        originator: the program that wrote it.
        origination_date, origination_time: when its recording was made; empty where unknown.
        time_reference: samples from midnight to its first one.
        coding_history: one line per generation, after EBU R98.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    originator: str = ""
    origination_date: str = ""
    origination_time: str = ""
    time_reference: int = 0
    coding_history: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mark:
    """A place in a file.

    Attributes:
        start_samples: where it begins.
        num_samples: how long it is.
        name: what is there.
    """

    start_samples: int
    num_samples: int
    name: str
