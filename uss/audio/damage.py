"""What of a file could not be read as it is, in words."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Converted:
    """A part of another kind than the first.

    Attributes:
        start_seconds: where it begins.
        sample_rate: its own.
        num_channels: its own.
    """

    start_seconds: float
    sample_rate: int
    num_channels: int


@dataclass
class Damage:
    """What happened in one pass through a file.

    Attributes:
        is_whole: whether nothing is broken or missing.
        read_bytes: of the parts that were decoded.
        lost_bytes: of the parts that cannot be decoded.
        converted: parts of another rate or with other channels.
        notes: what was done because of headers and timestamps.
    """

    is_whole: bool = True
    read_bytes: int = 0
    lost_bytes: int = 0
    converted: list[Converted] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    def report(self, path: Path, seconds: float) -> None:
        """Log it.

        Args:
            path: the file.
            seconds: what was decoded of it.
        """
        if not self.is_whole:
            logger.warning(
                "%s is damaged or cut off; the %.1f s of it that can be decoded are used",
                path,
                seconds,
            )
        if self.lost_bytes:
            # Nobody knows the duration of what cannot be decoded; bytes tell about how much it is.
            missing = seconds * self.lost_bytes / max(1, self.read_bytes)
            logger.warning(
                "%s goes on for about %.1f s (%d bytes) that cannot be decoded; they are missing",
                path,
                missing,
                self.lost_bytes,
            )
        if self.converted:
            first = self.converted[0]
            logger.warning(
                "%s goes on at %.1f s with %d Hz and %d channels; that and what follows has the "
                "rate and the channels of the beginning",
                path,
                first.start_seconds,
                first.sample_rate,
                first.num_channels,
            )
        for note in self.notes:
            logger.warning("%s %s", path, note)
